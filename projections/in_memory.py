"""Folds events in memory, as a projector folds them into a slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from eventfold.projections.fold import Fold
from eventfold.projections.projection import Projection
from eventfold.projections.trial import TRIAL, Steps
from eventfold.schemas.event import Event
from eventfold.store.commits import Changes
from eventfold.store.rows import Row

HELD = 4_096


def folded(projection: Projection, events: Iterable[Event]) -> dict[str, dict[str, Row]]:
    """The rows that these events, in this order and in one slice, are folded into: `{table: {key: row}}`.

    Every table of the projection is there, an empty one too. FoldError when a step fails.
    """
    tables = fold(projection, [as_read(projection, events)]).tables
    return {name: {key: orjson.loads(row) for key, row in rows.items()} for name, rows in tables.items()}


def as_read(projection: Projection, events: Iterable[Event]) -> list[Event]:
    """The events as a projector would decode them: without the fields that no step declares to read."""
    reads = projection.reads
    return [event.reading(reads.get(event.type)) for event in events]


class InMemory:
    """In dicts, what a slice holds in Redis."""

    def __init__(self, projection: Projection) -> None:
        self.tables: dict[str, dict[str, bytes]] = {table.name: {} for table in projection.tables}
        self.indexes: dict[str, set[str]] = {index.name: set() for table in projection.tables for index in table.indexes}

    def read(self, table: str, keys: list[str]) -> list[bytes | None]:
        return [self.tables[table].get(key) for key in keys]

    def write(self, changes: Changes) -> None:
        for table, rows in changes.rows.items():
            for key, row in rows.items():
                if row is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = row
        for index, members in changes.members.items():
            self.indexes[index] -= {member for member, there in members.items() if not there}
            self.indexes[index] |= {member for member, there in members.items() if there}

    def shown(self) -> dict[str, object]:
        return {**self.tables, **{f"index {name}": sorted(members) for name, members in self.indexes.items()}}


def fold(projection: Projection, batches: Iterable[Sequence[Event]], held: int = HELD, trial: int | None = TRIAL) -> InMemory:
    """Fold batch by batch, with so many rows held between them; with none, each begins with what is stored.

    trial: how many results of each step are read back before it is trusted; None: all.
    """
    slice_, steps = InMemory(projection), Steps(projection, trial)
    folding = Fold(projection, held, steps)
    for batch in batches:
        slice_.write(folding.apply(batch, slice_.read))
        if not held:
            folding = Fold(projection, held, steps)
    return slice_
