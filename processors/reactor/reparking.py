"""What a person does about the letters of a process manager: retry them in their order, or let go of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from time import monotonic, time

from eventfold.kafka.records import rebuilt
from eventfold.kafka.topics import Topics
from eventfold.kafka.transactions import Transactions
from eventfold.processors.dead_letters import letters
from eventfold.processors.dead_letters.letters import DISCARDED, RETRIED, Letter
from eventfold.processors.reactor.managing import Managing
from eventfold.processors.reactor.parked_keys import own_letters
from eventfold.processors.reactor.reacting import ReactionError
from eventfold.processors.runtime import Runtime
from eventfold.producers.process_manager import COMMANDS_LIVE_MS, ProcessManager
from eventfold.schemas.record import Place, ProducerRecord

# Where more of a key arrives all the time than a daemon sees that it is free, there is always something parked again.
_LONGEST_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What came of it: how many letters were retried, discarded, and are left; and the error at which it stopped, if it did.

    Without an error some are left only where more of the key came all the time.
    """

    retried: int = 0
    discarded: int = 0
    left: int = 0
    error: str = ""


def open_of(runtime: Runtime, manager: ProcessManager, key: bytes | None = None, place: Place | None = None) -> list[Letter]:
    """The open letters of a process manager, of one key or (None) of all; a partition's in the order of their origins.

    key: b"" for records without one. place: of this partition of a log (or of refusals) alone.
    """
    managing = Managing(runtime, manager, runtime.codec(), threading.Event())
    return _open(managing, Topics(runtime.kafka), key, place)


def retry(runtime: Runtime, manager: ProcessManager, key: bytes, place: Place | None = None) -> Mended:
    """React to all that is parked of a key, in order, with the code and schemas of now.

    Commands and the end of their letters are one Kafka transaction a round; what is parked meanwhile is retried too. At the
    first letter that fails again it stops, and that one and those behind it stay parked. The commands live for seven
    days from now. Another retry of this process manager that runs is fenced: it writes nothing more.
    key, place: as in `open_of`.
    """
    return _mend(runtime, manager, key, place, discard=0)


def discard(runtime: Runtime, manager: ProcessManager, key: bytes, place: Place | None = None) -> Mended:
    """Let go of the first parked record of a key for good, and retry those behind it."""
    return _mend(runtime, manager, key, place, discard=1)


def skip_key(runtime: Runtime, manager: ProcessManager, key: bytes, place: Place | None = None) -> Mended:
    """Let go of all that is parked of a key; what comes later is reacted to again."""
    return _mend(runtime, manager, key, place, discard=None)


def _mend(runtime: Runtime, manager: ProcessManager, key: bytes, place: Place | None, discard: int | None) -> Mended:
    managing, topics = Managing(runtime, manager, runtime.codec(), threading.Event()), Topics(runtime.kafka)
    retried = discarded = 0
    error, deadline = "", monotonic() + _LONGEST_S
    # Open before the letters are read: what another one has not committed by then, it never will.
    with _open_transactions(runtime, f"{managing.group}.dead-letters") as transactions:
        while (found := _open(managing, topics, key, place)) and not error and monotonic() < deadline:
            work = _Round(managing)
            for _, of_place in groupby(found, lambda letter: letter.origin[:2]):
                work.add(list(of_place), discard)
                discard = discard and 0
            if work.records:
                transactions.begin()
                for (_, partition), records in work.records.items():
                    transactions.produce(partition, records)
                transactions.commit({}, None)
                transactions.settle()
            retried, discarded, error = retried + work.retried, discarded + work.discarded, work.error
    return Mended(retried=retried, discarded=discarded, left=len(found), error=error)


class _Round:
    """What one transaction writes."""

    def __init__(self, managing: Managing) -> None:
        self._managing = managing
        self._reactions = managing.reactions()
        self.records: dict[Place, list[ProducerRecord]] = {}
        self.retried = self.discarded = 0
        self.error = ""

    def add(self, found: Sequence[Letter], discard: int | None) -> None:
        """Letters of one key of one partition: let go of the first so many (None: of all), react to the others."""
        let_go = len(found) if discard is None else discard
        for letter in found[:let_go]:
            self._end(letter, DISCARDED)
            self.discarded += 1
        for letter in found[let_go:]:
            expires = int(time() * 1000) + COMMANDS_LIVE_MS
            try:
                emitted = self._reactions.of(rebuilt(letter.origin, letter.key, letter.value, letter.headers), expires)
            except ReactionError as error:
                self.error = self.error or str(error)
                return
            for place, record in emitted:
                self.records.setdefault(place, []).append(record)
            self._end(letter, RETRIED)
            self.retried += 1

    def _end(self, letter: Letter, state: str) -> None:
        topic, partition = self._managing.dead_letters[letter.origin.topic], letter.origin.partition
        self.records.setdefault((topic, partition), []).append(replace(letter, state=state).to_record(topic))


def _open(managing: Managing, topics: Topics, key: bytes | None, place: Place | None) -> list[Letter]:
    info = topics.describe(sorted(set(managing.dead_letters.values())))
    boxes = [(name, p) for name, topic in info.items() for p in range(topic.partitions)]
    ends = topics.settled(boxes, "the dead letters", threading.Event())
    spans = {box: (0, end) for box, end in ends.items()}
    found = letters.open_letters(own_letters(managing.reader(), topics, spans, managing.manager.name))

    def meant(letter: Letter) -> bool:
        # One of a topic that it no longer reads has nowhere to go.
        known = letter.origin.topic in managing.dead_letters
        return known and key in (None, letter.key or b"") and place in (None, letter.origin[:2])

    return sorted(filter(meant, found), key=lambda letter: letter.origin)


@contextmanager
def _open_transactions(runtime: Runtime, id_: str) -> Iterator[Transactions]:
    transactions = Transactions(runtime.kafka, id_)
    transactions.open()
    try:
        yield transactions
    finally:
        transactions.discard()
