"""Reads a topic as a person does: from somewhere on, the last ones, or as it grows; partitions merged by time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

from eventfold.kafka.range_reader import RangeReader
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import header
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.record import Place, Record
from eventfold.tools.log.foreign import ForeignRecords

_WIDER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records are looked for: those of a key, and of some types (full names); None for all.

    A record that cannot be decoded is of the type that its `ce_type` header says. foreign: how the records of a topic that
    others write are read.
    """

    codec: Codec
    foreign: ForeignRecords | None = None
    key: bytes | None = None
    types: frozenset[str] | None = None

    def among(self, records: Iterable[Record]) -> Iterator[Record]:
        """Those of the records that are looked for."""
        return filter(self._has, records)

    def _has(self, record: Record) -> bool:
        if self.key is not None and self._key(record) != self.key:
            return False
        return self.types is None or self._type(record) in self.types

    def _key(self, record: Record) -> bytes | None:
        key = record.key() if self.foreign is None else self.foreign.key(record)
        return key.encode() if isinstance(key, str) else key

    def _type(self, record: Record) -> str:
        try:
            if self.foreign is not None:
                return self.foreign.event(record).type
            return self.codec.written(record.value()).type
        except DecodeError:
            return (header(record.headers(), "ce_type") or b"").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Tail:
    """Committed records of some partitions: each in its own order, one with another in the order of their timestamps."""

    log: RangeReader
    wanted: Wanted

    def between(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[Record]:
        """The records from the first offset of each partition up to its end, which is not included."""
        with ExitStack() as stack:
            scans = [
                stack.enter_context(closing(self.log.scan({place: (start, ends[place])}))) for place, start in starts.items()
            ]
            yield from self.wanted.among(heapq.merge(*scans, key=_recorded))

    def last(self, number: int, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> list[Record]:
        """So many records, the last ones before the ends. starts: where each partition begins."""
        found: dict[Place, deque[Record]] = {}
        left, width = list(starts), 4 * number
        while left:
            spans = {place: (max(starts[place], ends[place] - width), ends[place]) for place in left}
            found |= {place: deque(maxlen=number) for place in left}
            for record in self.wanted.among(self.log.scan(spans)):
                found[record.topic(), record.partition()].append(record)
            # What lies between records (marks of transactions, what is not looked for) is not known before it was read.
            left = [place for place in left if len(found[place]) < number and spans[place][0] > starts[place]]
            width *= _WIDER
        return [*deque(heapq.merge(*found.values(), key=_recorded), maxlen=number)]

    def follow(self, starts: Mapping[Place, int]) -> Iterator[Record]:
        """What comes from these offsets on, without an end."""
        return self.wanted.among(self.log.follow(starts))


def _recorded(record: Record) -> int:
    recorded: int = record.timestamp()[1]
    return recorded
