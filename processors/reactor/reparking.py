"""What a person does about the letters of a process manager: retry them in their order, or let go of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, time

from eventfold.kafka.records import rebuilt
from eventfold.kafka.topics import Topics
from eventfold.kafka.transactions import Transactions
from eventfold.processors.dead_letters import letters
from eventfold.processors.dead_letters.letters import DISCARDED, RETRIED, Letter
from eventfold.processors.dead_letters.owner import DISCARD, RETRY, Resolved
from eventfold.processors.reactor.managing import Managing
from eventfold.processors.reactor.parked_keys import own_letters
from eventfold.processors.reactor.reacting import ReactionError
from eventfold.processors.runtime import Runtime
from eventfold.producers.process_manager import COMMANDS_LIVE_MS, ProcessManager
from eventfold.schemas.record import Place, ProducerRecord

# Where more of a key arrives all the time than a daemon sees that it is free, there is always something parked again.
_LONGEST_S = 30


def resolve(runtime: Runtime, manager: ProcessManager, key: bytes, place: Place, how: str) -> Resolved:
    """React to what is parked of a key, in order, with the code and schemas of now; or let go of the first or of all of it.

    Commands and the end of their letters are one Kafka transaction a round; what is parked meanwhile is retried too. At the
    first letter that fails again it stops, and that one and those behind it stay parked. The commands live for seven days from
    now. Another one of this process manager that runs is fenced: it writes nothing more. A daemon that runs sees what was
    done within a second or so; until then it goes on to park what comes of the key.
    key: b"" for records without one. place: the partition of a log (or of refusals) that they came from.
    """
    discard: int | None = {RETRY: 0, DISCARD: 1}.get(how)
    managing, topics = Managing(runtime, manager, runtime.codec(), threading.Event()), Topics(runtime.kafka)
    retried = discarded = 0
    error, deadline = "", monotonic() + _LONGEST_S
    # Open before the letters are read: what another one has not committed by then, it never will.
    with _open_transactions(runtime, f"{managing.group}.dead-letters") as transactions:
        while (found := _open(managing, topics, key, place)) and not error and monotonic() < deadline:
            work = _Round(managing)
            work.add(found, discard)
            discard = discard and 0
            if work.records:
                transactions.begin()
                for (_, partition), records in work.records.items():
                    transactions.produce(partition, records)
                transactions.commit({}, None)
                transactions.settle()
            retried, discarded, error = retried + work.retried, discarded + work.discarded, work.error
    error = error or ("more of the key came all the time: try again" if found else "")
    return Resolved(key=key, done=retried, dropped=discarded, left=len(found), error=error)


class _Round:
    """What one transaction writes."""

    def __init__(self, managing: Managing) -> None:
        self._managing = managing
        self._reactions = managing.reactions()
        self.records: dict[Place, list[ProducerRecord]] = {}
        self.retried = self.discarded = 0
        self.error = ""

    def add(self, found: Sequence[Letter], discard: int | None) -> None:
        """The letters of a key: let go of the first so many (None: of all), react to the others."""
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


def _open(managing: Managing, topics: Topics, key: bytes, place: Place) -> list[Letter]:
    """The open letters of a key, in the order of their origins."""
    info = topics.describe(sorted(set(managing.dead_letters.values())))
    boxes = [(name, p) for name, topic in info.items() for p in range(topic.partitions)]
    ends = topics.settled(boxes, "the dead letters", threading.Event())
    spans = {box: (0, end) for box, end in ends.items()}
    found = letters.open_letters(own_letters(managing.reader(), topics, spans, managing.manager.name))

    def meant(letter: Letter) -> bool:
        # One of a topic that it no longer reads has nowhere to go.
        known = letter.origin.topic in managing.dead_letters
        return known and (letter.key or b"") == key and letter.origin[:2] == place

    return sorted(filter(meant, found), key=lambda letter: letter.origin)


@contextmanager
def _open_transactions(runtime: Runtime, id_: str) -> Iterator[Transactions]:
    transactions = Transactions(runtime.kafka, id_)
    transactions.open()
    try:
        yield transactions
    finally:
        transactions.discard()
