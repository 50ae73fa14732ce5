"""Parking: which keys of a slice wait, and what a batch adds to them. Pure; what is stored is in eventfold.store.parked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from eventfold.processors.dead_letters.letters import Letter, parked
from eventfold.schemas.record import Record
from eventfold.store.commits import Changes
from eventfold.store.parked import Mark, Marks, written


@dataclass(slots=True)
class Parking:
    """The parked keys of one slice as they are once a batch is written, and the records that the batch adds to them."""

    marks: dict[bytes, Mark] = field(default_factory=dict)
    added: list[tuple[Record, str]] = field(default_factory=list)

    @classmethod
    def onto(cls, before: Marks) -> Parking:
        """To begin a batch with."""
        return cls(dict(before))

    def split(self, records: Sequence[Record]) -> list[Record]:
        """Put aside the records whose key is parked, and return the others."""
        marks, rest = self.marks, []
        for record in records:
            if (record.key() or b"") in marks:
                self.put(record)
            else:
                rest.append(record)
        return rest

    def takes(self, record: Record) -> bool:
        """Whether the record's key is parked."""
        return key_of(record) in self.marks

    def put(self, record: Record, error: str = "") -> None:
        """Put a record aside: the one that failed, with its error, or one behind it."""
        key, before = key_of(record), self.marks.get(key_of(record))
        offset, recorded = record.offset(), record.timestamp()[1]
        if before is None:
            self.marks[key] = Mark(origin=offset, recorded=recorded, error=error, count=1)
        else:
            self.marks[key] = replace(before, count=before.count + 1)
            error = f"it waits behind offset {before.origin}, which failed: {before.error}"
        self.added.append((record, error))

    def write(self, before: Marks, changes: Changes) -> None:
        """Let the commit of the batch write what it adds."""
        come = {record.offset(): key_of(record) for record, _ in self.added}
        changes.parked = written(before, self.marks, come, ())

    def letters(self, owner: str, generation: str) -> Iterable[Letter]:
        """The notices of what the batch adds."""
        return (parked(owner, record, error, generation) for record, error in self.added)


def key_of(record: Record) -> bytes:
    """Under which key a record is parked; without one, under the empty one."""
    key = record.key()
    return key.encode() if isinstance(key, str) else key or b""
