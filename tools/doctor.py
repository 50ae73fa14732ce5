"""`eventfold doctor`: looks at everything that eventfold needs and says what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import click

from eventfold.kafka.errors import KafkaException, told
from eventfold.kafka.schema_registry import TRANSITIVE, Registry
from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import FAILED, EventfoldError
from eventfold.schemas.terminal import line, say
from eventfold.store.connection import RedisError
from eventfold.store.errors import is_away, is_full
from eventfold.store.errors import told as redis_told
from eventfold.store.heartbeats import daemons, why
from eventfold.store.server import Server
from eventfold.store.slice_store import SliceStore
from eventfold.tools.added_partitions import added_partitions
from eventfold.tools.lost_log import lost, partly_folded
from eventfold.tools.retention import faults, foreign_faults
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show
from eventfold.tools.unowned import members, sentence, unowned, works
from eventfold.tools.written_before import SAMPLE, found_in

OK, NOTE, WRONG = "ok", "note", "wrong"
OLDEST_JAVA = 17
# A rebalance, and a sign of life after it, take less.
_TAKEN_S = 4.0
_PAUSE_S = 0.3
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, a `note` that hinders nothing, or `wrong` with what to do."""

    what: str
    state: str
    text: str


@click.command()
@click.option("--every-event", is_flag=True, help="Look at all events for what no writer may write, not at a sample.")
@json_option
@pass_runtime
def doctor(runtime: Runtime, every_event: bool, as_json: bool) -> None:
    """Check Python, Kafka, Redis, topics, schemas, daemons; exit code 1 when something is wrong."""
    findings = list(examine(runtime, every_event))
    if as_json:
        show([{"what": f.what, "state": f.state, "finding": f.text} for f in findings], True)
    else:
        # No table: it would cut a sentence that says what to do.
        for f in findings:
            say(f"{f.state:<5}  {line(f.what)}: {line(f.text)}")
    if any(f.state == WRONG for f in findings):
        sys.exit(FAILED)


def examine(runtime: Runtime, every_event: bool = False) -> Iterator[Finding]:
    """Every finding, in the order in which one would mend them."""
    yield Finding("python", OK if sys.version_info >= (3, 11) else WRONG, sys.version.split()[0])
    yield _checked("domains", lambda: ", ".join(runtime.domain_names) or _wrong("none is installed"))
    yield _checked("schemas", lambda: _schemas(runtime))
    if runtime.registry is not None:
        yield _checked("schema registry", partial(_registry, runtime, runtime.registry))
    kafka = _checked("kafka", lambda: f"{Topics(runtime.kafka).brokers()} broker(s) at {runtime.kafka.bootstrap}")
    yield kafka
    yield _checked("redis", lambda: _redis(runtime))
    if kafka.state == OK:
        for name in runtime.domain_names:
            yield from _topics(runtime, name)
        for name in sorted({of.topic for projection in runtime.projections.values() for of in projection.foreign}):
            yield from _foreign(runtime, runtime.names.topic(name))
        yield from _each("partitions", lambda: added_partitions(runtime), "as many as were folded")
        yield from _events(runtime, every_event)
        yield from _lost(runtime)
    yield from _partial(runtime)
    yield from _daemons(runtime, kafka.state == OK)
    yield from _local_stack()


def _checked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, OK, look())
    except EventfoldError as error:
        return Finding(what, WRONG, str(error))
    except KafkaException as error:
        return Finding(what, WRONG, told(error))
    except RedisError as error:
        return Finding(what, WRONG, f"Redis: {error}")
    except TimeoutError:
        return Finding(what, WRONG, "no answer in time")


def _wrong(text: str) -> str:
    raise EventfoldError(text)


def _schemas(runtime: Runtime) -> str:
    runtime.codec()
    return "every .avsc is read"


def _registry(runtime: Runtime, registry: Registry) -> str:
    catalog = runtime.codec().catalog
    absent = [f"{message.type} version {message.version}" for message in catalog.writable if registry.find(message) is None]
    if absent:
        raise EventfoldError(
            f"not registered at {registry.settings.shown}: {', '.join(absent)}; see `eventfold schemas register`"
        )
    modes = {type_: registry.mode(type_) for type_ in sorted({message.type for message in catalog.writable})}
    if loose := [f"{type_} ({mode or 'none of its own'})" for type_, mode in modes.items() if mode not in TRANSITIVE]:
        raise EventfoldError(f"subjects whose compatibility mode is not transitive: {', '.join(loose)}")
    return f"every version is registered at {registry.settings.shown}, under subjects of a transitive mode"


def _redis(runtime: Runtime) -> str:
    try:
        server = Server.asked(runtime.redis)
        SliceStore(runtime.redis).refuse_eviction()
        full = is_full(runtime.redis)
    except RedisError as error:
        start = "; `make up` starts a local one, REDIS_URL names another" if is_away(error) else ""
        raise EventfoldError(f"{redis_told(error, runtime.redis)}{start}") from error
    if full is not None:
        raise EventfoldError(f"it is full, {full}: nothing is written until it has room; raise maxmemory, or drop generations")
    if int(server.version.split(".")[0]) < 7:
        raise EventfoldError(f"Redis {server.version} is too old: 7.0 or newer is needed")
    saved = "AOF on" if server.appends else "AOF off: after a crash everything is folded anew"
    return f"{server.version}, {saved}, {server.used} used"


def _topics(runtime: Runtime, domain: str) -> Iterator[Finding]:
    def look() -> list[str]:
        return faults(Topics(runtime.kafka), runtime.names, domain, decides=domain in runtime.domains)

    yield from _each(f"topics of {domain}", look, "all there, alike, and kept as they must be")


def _foreign(runtime: Runtime, topic: str) -> Iterator[Finding]:
    yield from _each(f"foreign topic {topic}", lambda: foreign_faults(Topics(runtime.kafka), topic), "there, and kept for ever")


def _events(runtime: Runtime, every: bool) -> Iterator[Finding]:
    found: list[str] = []

    def look() -> str:
        found.extend(islice(found_in(runtime, runtime.domain_names, every), _TOLD + 1))
        return "all can be written as they are read" + ("" if every else f" (of {SAMPLE} at each end of a partition)")

    checked = _checked("events", look)
    for text in found[:_TOLD]:
        yield Finding("events", NOTE, f"{text}; it is read as it is, but no writer may write it any more")
    if len(found) > _TOLD:
        yield Finding("events", NOTE, f"there are more than these {_TOLD}")
    if not found:
        yield checked


def _lost(runtime: Runtime) -> Iterator[Finding]:
    """Who cannot go on with the log that is there; that all can is said with their topics."""
    try:
        for name, text in lost(runtime):
            yield Finding(f"log of {name}", WRONG, text)
    except (EventfoldError, RedisError, KafkaException):
        # What does not answer has a finding of its own.
        return


def _partial(runtime: Runtime) -> Iterator[Finding]:
    try:
        for name, text in partly_folded(runtime):
            yield Finding(name, NOTE, text)
    except RedisError:
        return


def _each(what: str, look: Callable[[], list[str]], fine: str) -> Iterator[Finding]:
    """A finding for each fault, or one that there is none."""
    wrong: list[str] = []

    def looked() -> str:
        wrong.extend(look())
        return fine

    found = _checked(what, looked)
    yield from [Finding(found.what, WRONG, text) for text in wrong] or [found]


def _daemons(runtime: Runtime, kafka_answers: bool) -> Iterator[Finding]:
    try:
        found = daemons(runtime.redis, runtime.names.prefix)
    except RedisError:
        return
    wanted = works(runtime)
    absent = [work for work in wanted if not members(work, found)]
    text = f"not running: {', '.join(absent)}; start them with `eventfold run all`" if absent else f"all {len(wanted)} run"
    yield Finding("daemons", NOTE if absent else OK, text)
    for name, body in found.items():
        said = why(body)
        if said is not None:
            yield Finding(name, WRONG, said if body["alive"] else f"{said}; start it again under the same name")
        for place, error in body.get("stalled", {}).items():
            yield Finding(name, WRONG, f"{place} stands still: {error}")
        for refused in body.get("too_large", {}).values():
            yield Finding(name, WRONG, f"{refused}; its decider keeps too much")
    if kafka_answers and found:
        yield from _unowned(runtime)


def _unowned(runtime: Runtime) -> Iterator[Finding]:
    """Partitions that nobody has, unless they are only on their way to somebody."""
    topics, deadline = Topics(runtime.kafka), time.monotonic() + _TAKEN_S
    while True:
        found = daemons(runtime.redis, runtime.names.prefix)
        try:
            left = unowned(runtime, topics, found)
        except EventfoldError as error:
            yield Finding("partitions", WRONG, str(error))
            return
        if not any(members(work, found) for work in left) or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_S)
    for work, places in left.items():
        runs = members(work, found)
        # One that waits by itself says so; one that does not run may not be wanted.
        wrong = any(not found[name].get("waits") for name in runs)
        yield Finding(work, WRONG if wrong else NOTE, sentence(work, places, found))


def _local_stack() -> Iterator[Finding]:
    """Java and Maven serve `make up` alone; where Kafka and Redis are elsewhere they are not missed."""
    for tool in ("java", "mvn", "redis-server"):
        path = shutil.which(tool)
        if path is None:
            yield Finding(tool, NOTE, "not on the PATH; only `make up` needs it")
        else:
            yield _java(path) if tool == "java" else Finding(tool, OK, path)


def _java(path: str) -> Finding:
    done = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    # What came before 9 called itself 1.8 and the like.
    version = re.search(r'.*version "(?:1\.)?(\d+).*', done.stderr + done.stdout)
    if version is None or int(version[1]) < OLDEST_JAVA:
        return Finding("java", NOTE, f"{version[0] if version else path}: `make up` needs Java {OLDEST_JAVA} or newer")
    return Finding("java", OK, version[0])
