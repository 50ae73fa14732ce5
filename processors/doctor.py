"""`logfold doctor`: looks at everything that logfold needs and says what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
from redis.exceptions import RedisError

from processors.cli import META, json_option
from processors.heartbeat import daemons
from processors.runtime import Runtime
from processors.topics import Topics, domain_topics
from projections.settings import refuse_eviction
from projections.show import show
from schemas.errors import FAILED, LogfoldError

OK, NOTE, WRONG = "ok", "note", "wrong"
pass_runtime = click.decorators.pass_meta_key(META)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, a `note` that hinders nothing, or `wrong` with what to do."""

    what: str
    state: str
    text: str


@click.command()
@json_option
@pass_runtime
def doctor(runtime: Runtime, as_json: bool) -> None:
    """Check Python, Kafka, Redis, topics, schemas, daemons; exit code 1 when something is wrong."""
    findings = list(examine(runtime))
    show([{"what": f.what, "state": f.state, "finding": f.text} for f in findings], as_json)
    if any(f.state == WRONG for f in findings):
        sys.exit(FAILED)


def examine(runtime: Runtime) -> Iterator[Finding]:
    """Every finding, in the order in which one would mend them."""
    yield Finding("python", OK if sys.version_info >= (3, 11) else WRONG, sys.version.split()[0])
    yield _checked("domains", lambda: ", ".join(runtime.domain_names) or _wrong("none is installed"))
    yield _checked("schemas", lambda: _schemas(runtime))
    topics = Topics(runtime.kafka)
    kafka = _checked("kafka", lambda: f"{topics.brokers()} broker(s) at {runtime.kafka.bootstrap}")
    yield kafka
    yield _checked("redis", lambda: _redis(runtime))
    if kafka.state == OK:
        yield from _topics(runtime, topics)
    yield from _daemons(runtime)
    yield from _local_stack()


def _checked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, OK, look())
    except LogfoldError as error:
        return Finding(what, WRONG, str(error))
    except RedisError as error:
        return Finding(what, WRONG, f"{error}; `make up` starts a local one, REDIS_URL names another")


def _wrong(text: str) -> str:
    raise LogfoldError(text)


def _schemas(runtime: Runtime) -> str:
    runtime.codec()
    return "every .avsc is read"


def _redis(runtime: Runtime) -> str:
    info = runtime.redis.info()
    refuse_eviction(runtime.redis)
    version = str(info["redis_version"])
    if int(version.split(".")[0]) < 6:
        raise LogfoldError(f"Redis {version} is too old: 6 or newer is needed")
    saved = "AOF on" if info["aof_enabled"] else "AOF off: after a crash everything is folded anew"
    return f"{version}, {saved}, {info['used_memory_human']} used"


def _topics(runtime: Runtime, topics: Topics) -> Iterator[Finding]:
    for domain in runtime.domain_names:
        wanted = domain_topics(runtime.names, domain, decides=domain in runtime.domains)
        found = topics.existing(list(wanted))
        missing = sorted(set(wanted) - set(found))
        if missing:
            yield Finding(f"topics of {domain}", WRONG, f"missing: {', '.join(missing)}; run `logfold topics create`")
            continue
        counts = {name: info.partitions for name, info in found.items() if not name.endswith(".dead-letters")}
        if len(set(counts.values())) != 1:
            yield Finding(f"topics of {domain}", WRONG, f"must have the same number of partitions: {counts}")
            continue
        events = runtime.names.events(domain)
        config = topics.config(events)
        if config["retention.ms"] != "-1" or config["retention.bytes"] != "-1" or config["cleanup.policy"] != "delete":
            yield Finding(f"topics of {domain}", WRONG, f"{events} is not kept for ever: retention.ms={config['retention.ms']}")
            continue
        yield Finding(f"topics of {domain}", OK, f"{len(found)} topics, {counts[events]} partitions")


def _daemons(runtime: Runtime) -> Iterator[Finding]:
    try:
        found = daemons(runtime.redis, runtime.names.prefix)
    except RedisError:
        return
    alive = {body.get("projection") or f"{body.get('domain')}.handler" for body in found.values() if body["alive"]}
    wanted = [*runtime.projections, *(f"{name}.handler" for name in runtime.domains)]
    absent = [name for name in wanted if name not in alive]
    text = f"not running: {', '.join(absent)}; start them with `logfold run all`" if absent else f"all {len(wanted)} run"
    yield Finding("daemons", NOTE if absent else OK, text)
    for name, body in found.items():
        for place, error in body.get("stalled", {}).items():
            yield Finding(name, WRONG, f"{place} stands still: {error}")


def _local_stack() -> Iterator[Finding]:
    """Java and Maven serve `make up` alone; where Kafka and Redis are elsewhere they are not missed."""
    for tool in ("java", "mvn", "redis-server"):
        path = shutil.which(tool)
        if path is None:
            yield Finding(tool, NOTE, "not on the PATH; only `make up` needs it")
        elif tool == "java":
            done = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
            yield Finding(tool, OK, (done.stderr or done.stdout).partition("\n")[0])
        else:
            yield Finding(tool, OK, path)
