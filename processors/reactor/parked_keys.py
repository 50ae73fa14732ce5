"""Which keys a process manager has parked, as the dead-letter topic alone tells it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters import letters
from eventfold.processors.dead_letters.letters import DISCARDED, PARKED, Letter
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place, Record


class ParkedKeys:
    """The open letters of one owner in the partitions that it has.

    dead_letters: of each source topic, the one that its letters lie in, in the same partition.
    """

    def __init__(self, owner: str, topics: Topics, reader: RangeReader, dead_letters: Mapping[str, str]) -> None:
        self._owner = owner
        self._topics = topics
        self._reader = reader
        self._dead_letters = dead_letters
        self._let_go: set[Position] = set()
        self._open: dict[Place, dict[bytes | None, set[Position]]] = {}
        self._read: dict[Place, int] = {}

    def take(self, places: Collection[Place], stop: threading.Event) -> None:
        """Read what is parked of new partitions, complete: every transaction that is open there is waited for.

        Call it after the committed offsets were fetched: whoever committed them has written its letters then.
        """
        for place in places:
            self._open[place] = {}
        boxes = {self._box(place) for place in places}
        ends = self._topics.settled(boxes, "the dead letters", stop)
        for box in boxes:
            self._read.pop(box, None)
        self._fill(ends)

    def gone(self, places: Collection[Place]) -> None:
        """Forget partitions that were taken away."""
        for place in places:
            self._open.pop(place, None)

    def look(self) -> list[Position]:
        """Read what was retried or discarded meanwhile; the first parked origin of each key that is free again."""
        if not any(self._open.values()):
            return []
        before = {(place, key): min(origins) for place, keys in self._open.items() for key, origins in keys.items()}
        self._fill(self._topics.ends({self._box(place) for place in self._open}, committed=True))
        return [origin for (place, key), origin in before.items() if key not in self._open[place]]

    def first(self, record: Record) -> Position | None:
        """The first parked origin of a record's key, if the record lies there or behind it, and so must wait."""
        place: Any = (record.topic(), record.partition())
        keys = self._open[place]
        if not keys or record.key() not in keys:
            return None
        first = min(keys[record.key()])
        return first if first.offset <= record.offset() else None

    def holds(self, record: Record) -> bool:
        """Whether the record itself is parked already, as one that is read again may be."""
        place: Any = (record.topic(), record.partition())
        origin: Any = (*place, record.offset())
        return origin in self._open[place].get(record.key(), ())

    def let_go(self, record: Record) -> bool:
        """Whether a person discarded the record for good."""
        return Position(record.topic(), record.partition(), record.offset()) in self._let_go

    def add(self, letter: Letter) -> None:
        """Count a letter that is being written."""
        self._put(letter)

    def counts(self) -> dict[str, int]:
        """How many keys are parked, by `topic/partition`; without those that have none."""
        return {f"{topic}/{p}": len(keys) for (topic, p), keys in sorted(self._open.items()) if keys}

    def _box(self, place: Place) -> Place:
        return self._dead_letters[place[0]], place[1]

    def _fill(self, ends: Mapping[Place, int]) -> None:
        spans = {box: (self._read.get(box, 0), end) for box, end in ends.items()}
        for letter in own_letters(self._reader, self._topics, spans, self._owner):
            if letter.state == PARKED:
                self._put(letter)
            else:
                self._take_out(letter)
        self._read |= {box: max(end, self._read.get(box, 0)) for box, end in ends.items()}

    def _put(self, letter: Letter) -> None:
        keys = self._open.get((letter.origin.topic, letter.origin.partition))
        if keys is not None:
            keys.setdefault(letter.key, set()).add(letter.origin)

    def _take_out(self, letter: Letter) -> None:
        if letter.state == DISCARDED:
            self._let_go.add(letter.origin)
        keys = self._open.get((letter.origin.topic, letter.origin.partition))
        if keys is not None and letter.key in keys:
            keys[letter.key].discard(letter.origin)
            if not keys[letter.key]:
                del keys[letter.key]


def own_letters(reader: RangeReader, topics: Topics, spans: Mapping[Place, tuple[int, int]], owner: str) -> Iterator[Letter]:
    """The letters of a process manager in these spans of dead-letter partitions, a partition's in their order."""
    starts = topics.starts(spans)
    for record in reader.scan({place: (max(low, starts[place]), end) for place, (low, end) in spans.items()}, "dead letters"):
        about = letters.own_headers(record)
        if about.get("owner") == owner.encode() and not about.get("generation"):
            yield letters.read(record, "")
