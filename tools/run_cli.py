"""The commands run, lag, topics."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from eventfold.kafka.domain_topics import domain_topics
from eventfold.kafka.topic_settings import wrong_settings
from eventfold.kafka.topics import Topics
from eventfold.processors.running import run_handler, run_process_managers, run_projectors
from eventfold.processors.runtime import Runtime
from eventfold.processors.supervisor import supervise
from eventfold.producers.handed import RUNTIME, handed
from eventfold.schemas.errors import UsageError
from eventfold.schemas.terminal import say
from eventfold.tools.lag import lags
from eventfold.tools.logs import configure
from eventfold.tools.show import show

pass_runtime = handed(RUNTIME)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def run() -> None:
    """Run daemons until SIGTERM or Ctrl-C; they finish their batch, commit and leave their group."""


@run.command()
@click.argument("domain")
@pass_runtime
def handler(runtime: Runtime, domain: str) -> None:
    """Decide the commands of DOMAIN."""
    with stopped_by_signals() as stop:
        run_handler(runtime, domain, stop)


@run.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--partitions", help="Only these, e.g. 0,3; taken without the consumer group.")
@pass_runtime
def projector(runtime: Runtime, names: tuple[str, ...], partitions: str | None) -> None:
    """Fold the log into the read models NAME..."""
    pinned = None if partitions is None else _numbers(partitions)
    with stopped_by_signals() as stop:
        run_projectors(runtime, names, pinned, stop)


@run.command("process-manager")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_runtime
def process_manager(runtime: Runtime, names: tuple[str, ...]) -> None:
    """React to the log with commands, as the process managers NAME... say, and keep their deadlines."""
    with stopped_by_signals() as stop:
        run_process_managers(runtime, names, stop)


@run.command("all")
@pass_runtime
def run_all(runtime: Runtime) -> None:
    """Run every daemon of the enabled domains, a process each, and start again those that fail."""
    # What every one of them would fail on, for as long as nobody mends it.
    runtime.loaded_codec()
    _refuse_none(runtime)
    children = [["run", "handler", name] for name in runtime.domains]
    children += [["run", "projector", name] for name in runtime.projections if name not in runtime.hosted]
    children += [["run", "process-manager", name] for name in runtime.process_managers]
    with stopped_by_signals() as stop:
        supervise(children, stop, redis=runtime.redis, prefix=runtime.names.prefix, instance=runtime.instance)


@click.command()
@json_option
@pass_runtime
def lag(runtime: Runtime, as_json: bool) -> None:
    """Show how far projections, handlers and process managers are behind the log; 0 when only transaction markers remain."""
    rows = [
        {"name": r.name, "topic": r.topic, "partition": r.partition, "offset": r.offset, "end": r.end, "lag": r.lag}
        for r in lags(runtime)
    ]
    show(rows, as_json)


@click.group()
def topics() -> None:
    """Create, list and mend the topics of the enabled domains."""


@topics.command()
@click.option(
    "--partitions",
    default=6,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many each topic gets; beside a domain's log that exists, as many as that has.",
)
@click.option("--replication", type=click.IntRange(1, 32), help="Copies of each; 3, or 1 where there are fewer brokers.")
@pass_runtime
def create(runtime: Runtime, partitions: int, replication: int | None) -> None:
    """Create what does not exist yet; topics that exist are left as they are."""
    _refuse_none(runtime)
    topics = Topics(runtime.kafka)
    for domain in runtime.domain_names:
        wanted, events = _wanted(runtime, domain), runtime.names.events(domain)
        there = topics.existing([events])
        made = topics.create(wanted, there[events].partitions if events in there else partitions, replication)
        for name in wanted:
            say(f"{name}: {'created' if name in made else 'exists'}")


@topics.command("configure")
@pass_runtime
def configure_topics(runtime: Runtime) -> None:
    """Set what is wrong with the settings of topics that exist, so that Kafka keeps the log; what may differ stays as it is."""
    _refuse_none(runtime)
    admin = Topics(runtime.kafka)
    configs = admin.configs(list(_wanted(runtime)))
    changed = 0
    for domain in runtime.domain_names:
        for wrong in wrong_settings(runtime.names, domain, configs, decides=domain in runtime.domains):
            admin.configure(wrong.topic, wrong.setting, wrong.must)
            say(f"{wrong.topic}: {wrong.setting} was {wrong.has}, it is {wrong.must} now")
            changed += 1
    if not changed:
        say("nothing was wrong", err=True)


@topics.command("list")
@json_option
@pass_runtime
def list_topics(runtime: Runtime, as_json: bool) -> None:
    """List the topics of the enabled domains."""
    admin = Topics(runtime.kafka)
    wanted = _wanted(runtime)
    found = admin.existing(list(wanted))
    rows: list[dict[str, Any]] = []
    for name in wanted:
        topic = found.get(name)
        if topic is None:
            rows.append({"topic": name, "exists": False})
            continue
        ends = admin.ends([(name, p) for p in range(topic.partitions)], committed=True)
        starts = admin.starts(ends)
        rows.append(
            {
                "topic": name,
                "exists": True,
                "partitions": topic.partitions,
                "replication": topic.replication,
                "offsets": sum(ends.values()) - sum(starts.values()),
                "retention_ms": int(admin.config(name)["retention.ms"]),
                "id": topic.id,
            }
        )
    show(rows, as_json)


def _refuse_none(runtime: Runtime) -> None:
    """UsageError where no domain is installed: a daemon that has nothing to do would look healthy."""
    if not runtime.domain_names:
        raise UsageError("no domain is installed: a domain is a package with the entry point eventfold.schemas")


def _wanted(runtime: Runtime, *domains: str) -> dict[str, dict[str, str]]:
    """The topics of these domains, or of all, and their settings."""
    wanted: dict[str, dict[str, str]] = {}
    for name in domains or runtime.domain_names:
        wanted |= domain_topics(runtime.names, name, decides=name in runtime.domains)
    return wanted


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--partitions {text!r}: write numbers with commas between, e.g. 0,3") from None


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; logging is set up for a daemon."""
    configure(os.environ)
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler_ in before.items():
            signal.signal(number, handler_)
