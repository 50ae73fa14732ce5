"""How long a command waits for its outcome and an event for its row, at a steady rate and with every daemon a process.

Open loop: a command is due at its time whatever became of those before it, and its latency counts from that time.
Redis is asked for outcomes and offsets every few milliseconds; a row is visible when its slice's offset has passed it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bench.log import DOMAIN, PARTITIONS, create_topics, daemon, with_prefix
from bench.projector import PROJECTIONS
from bench.report import Figure
from eventfold.installation import Installation
from eventfold.producers.commands import Command
from eventfold.schemas.ids import new_id
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from eventfold.store.generations import Generations
from eventfold.store.heartbeats import daemons
from eventfold.store.outcomes import Outcome, Reference, outcome_key
from flights.dataset import flights
from flights.importer import SOURCE, commands

RATE = 200
_LOOK_S = 0.002
_WARM_UP_S = 3
_PATIENCE_S = 60


@dataclass(slots=True)
class Seen:
    """What was observed: outcomes by command with the seconds they took, and offsets of slices with their times."""

    took: dict[str, float] = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)
    due: dict[Position, float] = field(default_factory=dict)
    offsets: dict[tuple[str, int], list[tuple[int, float]]] = field(default_factory=dict)


def measure(environ: Mapping[str, str], seconds: int) -> Iterator[Figure]:
    """Percentiles of command to outcome, event to row (of each projection) and command to row."""
    own = with_prefix(environ, "bench-latency.")
    installation = Installation(own)
    create_topics(installation)
    with daemon(own, "run", "all"):
        _await_daemons(installation)
        seen = _load(installation, (_WARM_UP_S + seconds) * RATE)
    appended = _appended(installation)
    warm = _WARM_UP_S * RATE
    yield from _percentiles("command to outcome", list(seen.took.values())[warm:])
    for name in PROJECTIONS:
        visible = _visible(seen, name)
        rows = [(visible[position] - appended[position]) * 1000 for position in seen.positions[warm:]]
        yield from _percentiles(f"event to row, {name}", rows)
    last = [_visible(seen, name) for name in PROJECTIONS]
    every = [(max(each[p] for each in last) - seen.due[p]) * 1000 for p in seen.positions[warm:]]
    yield from _percentiles("command to the rows of all four", every)


def _percentiles(name: str, values: list[float]) -> Iterator[Figure]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    note = f"{len(values):,} at {RATE}/s"
    yield Figure(name=f"{name}, p50", value=cuts[49], unit="ms", note=note)
    yield Figure(name=f"{name}, p99", value=cuts[98], unit="ms", note=note)


def _await_daemons(installation: Installation) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        found = daemons(installation.redis, installation.names.prefix)
        # A handler has as many partitions of internal commands beside those of the commands.
        if sum(len(body["partitions"]) in (PARTITIONS, 2 * PARTITIONS) for body in found.values()) == 1 + len(PROJECTIONS):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the daemons do not run: {sorted(found)}")
        time.sleep(0.2)


def _load(installation: Installation, count: int) -> Seen:
    """Send at the rate, and look at Redis until every outcome and every row is there."""
    sender = installation.write_side.sender(SOURCE)
    waiting = iter([_fresh(command) for command in islice(commands(flights([1])), count)])
    look = _Look(installation)
    start, sent = time.time() + 0.5, 0
    following: Command | None = next(waiting)
    deadline = start + count / RATE + _PATIENCE_S
    while following is not None or not look.complete():
        now = time.time()
        while following is not None and (due := start + sent / RATE) <= now:
            look.expect(sender.reference(following, sender.send(following)), due)
            sent += 1
            following = next(waiting, None)
        look.once()
        if now > deadline:
            raise TimeoutError("not every command was decided and folded within a minute after the last one")
        time.sleep(_LOOK_S)
    sender.flush()
    return look.seen


def _fresh(command: Command) -> Command:
    return replace(command, id=new_id(), noreply=False)


class _Look:
    """Looks at Redis: one pipeline for the outcomes still waited for and the offsets of all slices."""

    def __init__(self, installation: Installation) -> None:
        self.seen = Seen()
        self._redis = installation.redis
        self._topic = installation.names.commands(DOMAIN)
        self._waited: dict[str, tuple[str, float]] = {}
        generations = Generations(installation.redis, installation.names.prefix)
        self._slices: dict[tuple[str, int], str] = {}
        for name in PROJECTIONS:
            live = generations.live(name)
            assert live is not None
            self._slices |= {(name, slice_.partition): slice_.key("slice") for slice_ in live.slices()}
        self._wanted = [-1] * PARTITIONS

    def expect(self, of: Reference, due: float) -> None:
        key = outcome_key(self._topic, partition_of(of.key, PARTITIONS), of.parts[0])
        self._waited[of.command_id] = (key, due)

    def complete(self) -> bool:
        """Whether every outcome was seen, and every slice is past the last event of its partition."""
        offsets = self.seen.offsets
        return not self._waited and all(
            offsets.get(slice_, [(0, 0.0)])[-1][0] > self._wanted[slice_[1]] for slice_ in self._slices
        )

    def once(self) -> None:
        pipe = self._redis.pipeline(transaction=False)
        waited = list(self._waited.items())
        for _, (key, _) in waited:
            pipe.get(key)
        for key in self._slices.values():
            pipe.hget(key, "offset")
        found: list[Any] = pipe.execute()
        now = time.time()
        for (command_id, (_, due)), stored in zip(waited, found, strict=False):
            if stored is not None:
                del self._waited[command_id]
                self._note(Outcome.parse(stored), due, now)
        for slice_, stored in zip(self._slices, found[len(waited) :], strict=True):
            if stored is not None:
                steps = self.seen.offsets.setdefault(slice_, [])
                if not steps or steps[-1][0] != int(stored):
                    steps.append((int(stored), now))

    def _note(self, outcome: Outcome, due: float, now: float) -> None:
        self.seen.took[outcome.command_id] = (now - due) * 1000
        for position in outcome.positions:
            self.seen.positions.append(position)
            self.seen.due[position] = due
            self._wanted[position.partition] = max(self._wanted[position.partition], position.offset)


def _visible(seen: Seen, projection: str) -> dict[Position, float]:
    """When each event's row was first seen."""
    found: dict[Position, float] = {}
    for partition in range(PARTITIONS):
        mine = sorted((p for p in seen.positions if p.partition == partition), key=lambda position: position.offset)
        steps = iter(seen.offsets.get((projection, partition), []))
        offset, at = -1, 0.0
        for position in mine:
            while offset <= position.offset:
                offset, at = next(steps)
            found[position] = at
    return found


def _appended(installation: Installation) -> dict[Position, float]:
    """When the broker appended each event, in seconds since 1970."""
    topic = installation.names.events(DOMAIN)
    config = {"group.id": "bench.scan", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(installation.kafka.client(**config))
    reading, found = set(range(PARTITIONS)), {}
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in reading])
        while reading:
            for message in consumer.consume(5_000, 0.5):
                partition, offset = message.partition(), message.offset()
                assert partition is not None and offset is not None
                if message.error() is not None:
                    reading.discard(partition)
                else:
                    found[Position(topic, partition, offset)] = message.timestamp()[1] / 1000
    finally:
        consumer.close()
    return found
