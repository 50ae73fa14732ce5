"""Several handlers that share a domain's partitions, against the raw loop; and what a conflict costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

from confluent_kafka import Producer

from bench.ledgers import Ledgers
from bench.log import DOMAIN, PARTITIONS, create_topics, daemon, with_prefix
from bench.measure import run
from bench.report import Figure, against
from eventfold import Client
from eventfold.installation import Installation
from eventfold.processors.lookup.loading import Loaded
from eventfold.producers.commands import NO_REPLY, Command
from eventfold.schemas.envelope import Envelope
from eventfold.store.heartbeats import daemons
from flights.dataset import flights
from flights.importer import commands

COUNTS = (1, 2, 4)
_PATIENCE_S = 300
_LOOK_S = 0.02
_SOURCE = "/bench"


def measure(environ: Mapping[str, str], months: list[int], count: int, rounds: int) -> Iterator[Figure]:
    """Commands a second with one, two and four handlers, each a process.

    The commands are written in one Kafka transaction. It is committed, and the clock starts, when every handler has its share
    of the partitions. The raw loop is one process that has all of them, and the same commands.
    """
    raw: list[float] = []
    rates: dict[int, list[float]] = {handlers: [] for handlers in COUNTS}
    for number in range(rounds):
        own = with_prefix(environ, f"bench-raw-{number}.")
        raw.append(run("raw_decide", own, commands=_fill(own, islice(commands(flights(months)), count))).rate)
        for handlers in COUNTS:
            own = with_prefix(environ, f"bench-{handlers}-{number}.")
            rates[handlers].append(_rate(own, handlers, months, count))
    for handlers in COUNTS:
        name = f"{handlers} handler{'s' * (handlers > 1)} on {PARTITIONS} partitions"
        yield against(name, "commands/s", rates[handlers], raw, None)


def conflicts(environ: Mapping[str, str], count: int, rounds: int) -> Iterator[Figure]:
    """Commands a second of one handler when every second command expects another version, against none."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for some, of in rates.items():
            own = with_prefix(environ, f"bench-conflicts-{some:d}-{number}.")
            filled = _fill(own, _expecting(count, every_second=7 if some else 0))
            of.append(run("decide", own, commands=filled).rate)
    yield against("one handler, every second command a conflict : none", "commands/s", rates[True], rates[False], None)


def retries(environ: Mapping[str, str], count: int) -> Iterator[Figure]:
    """How long a change takes from its decision to its outcome, undisturbed and with one conflict in between."""
    own = with_prefix(environ, "bench-retries.")
    installation = Installation(own)
    create_topics(installation)
    with daemon(own, "run", "handler", DOMAIN):
        _await_shares(installation, 1)
        client, life = Client(own, _SOURCE), _life()
        for name, overtaken in (("undisturbed", False), ("with one conflict", True)):
            took = [_changed(client, life, f"{name} {number}", overtaken=overtaken) * 1000 for number in range(count)]
            cuts = statistics.quantiles(took, n=100, method="inclusive")
            for cut in (50, 99):
                note = f"{count} one after the other"
                yield Figure(name=f"change {name}, p{cut}", value=cuts[cut - 1], unit="ms", note=note)


def _rate(environ: Mapping[str, str], handlers: int, months: list[int], count: int) -> float:
    installation = Installation(environ)
    create_topics(installation)
    with ExitStack() as running:
        for number in range(handlers):
            running.enter_context(daemon({**environ, "EVENTFOLD_INSTANCE": f"bench-{number}"}, "run", "handler", DOMAIN))
        _await_shares(installation, handlers)
        filled = _fill(environ, islice(commands(flights(months)), count))
        started, ledgers = time.monotonic(), Ledgers(installation)
        while (decided := ledgers.decided()) < filled:
            if time.monotonic() - started > _PATIENCE_S:
                raise TimeoutError(f"{handlers} handlers decided {decided} of {filled} commands within {_PATIENCE_S} s")
            time.sleep(_LOOK_S)
        return filled / (time.monotonic() - started)


def _await_shares(installation: Installation, handlers: int) -> None:
    """Return once each of the handlers has some of the partitions, and all of them are given."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        found, commands = daemons(installation.redis, installation.names.prefix), installation.names.commands(DOMAIN)
        shares = [sum(place.startswith(f"{commands}/") for place in body["partitions"]) for body in found.values()]
        if len(shares) == handlers and all(shares) and sum(shares) == PARTITIONS:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{handlers} handlers do not share {PARTITIONS} partitions: {shares}")
        time.sleep(_LOOK_S)


def _fill(environ: Mapping[str, str], source: Iterable[Command]) -> int:
    """Write commands that nobody waits for, so that readers of what is committed see all of them at once."""
    installation = Installation(environ)
    create_topics(installation)
    topic, codec = installation.names.commands(DOMAIN), installation.codec
    more: dict[str, Any] = {"transactional.id": f"{topic}.fill", "queue.buffering.max.messages": 1_000_000, "linger.ms": 20}
    producer, count = Producer(installation.kafka.producer(**more)), 0
    producer.init_transactions(30)
    producer.begin_transaction()
    for command in source:
        envelope = Envelope(
            id=command.id,
            type=command.type,
            source=_SOURCE,
            time=command.time,
            subject=command.key,
            correlation_id=command.id,
            expected_version=command.expected_version,
        )
        headers = [*envelope.to_headers(), NO_REPLY]
        producer.produce(topic, codec.encode(command.type, command.data), command.key, headers=headers)
        count += 1
        if count % 1_000 == 0:
            producer.poll(0)
    producer.commit_transaction(60)
    return count


def _expecting(count: int, every_second: int) -> Iterator[Command]:
    """New flights, each expected at version 0, but every second one at the version given."""
    first = next(command for command in commands(flights([1])) if command.type == "flights.ScheduleFlight")
    for number in range(count):
        yield Command(type=first.type, key=f"F-{number}", data=first.data, expected_version=every_second if number % 2 else 0)


def _changed(client: Client, life: Sequence[tuple[str, Mapping[str, Any]]], key: str, *, overtaken: bool) -> float:
    """Seconds from the first decision to the outcome; who overtakes it is not counted."""
    schedule, depart, arrive = life
    scheduled = client.submit(schedule[0], key, schedule[1])
    decided = 0.0

    def decide(loaded: Loaded) -> tuple[str, Mapping[str, Any]]:
        nonlocal decided
        if loaded.version > 1:
            return arrive
        if overtaken:
            assert client.submit(depart[0], key, depart[1], expected_version=loaded.version).accepted
        decided = time.monotonic()
        return depart

    outcome = client.change(DOMAIN, key, decide, after=scheduled)
    assert outcome is not None and outcome.accepted, outcome
    return time.monotonic() - decided


def _life() -> list[tuple[str, Mapping[str, Any]]]:
    """Type and data of the three commands of a flight that arrived."""
    found: dict[str, dict[str, Command]] = {}
    for command in commands(flights([1])):
        of = found.setdefault(command.key, {})
        of[command.type] = command
        if "flights.ArriveFlight" in of:
            names = ("flights.ScheduleFlight", "flights.DepartFlight", "flights.ArriveFlight")
            return [(name, of[name].data) for name in names]
    raise AssertionError("no flight of January arrived")
