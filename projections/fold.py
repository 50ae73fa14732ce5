"""The pure part of a projector: a batch of events of one partition becomes the rows they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from projections.event import Event
from projections.projection import Projection, Row, Step, Table
from projections.slices import Changes, member
from schemas.errors import LogfoldError


class FoldError(LogfoldError):
    """A projection's step failed on an event; the text says which, and where the event lies."""

    def __init__(self, owner: str, event: Event, error: Exception) -> None:
        self.position = event.position
        super().__init__(
            f"{self.position} key {event.key!r}: {owner} cannot fold {event.type}: {type(error).__name__}: {error}"
        )


class Rows:
    """The rows of one table that are held in memory: at least the last `limit` used ones; between batches, at most
    twice as many and those of one batch.

    Two halves stand for an order of use: what is used moves to the young half, and when that is full the old one goes.
    """

    __slots__ = ("_limit", "old", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.young: dict[str, Row | None] = {}
        self.old: dict[str, Row | None] = {}

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Which of these are not held; those that are stay for this batch."""
        young, old = self.young, self.old
        missing = []
        for key in keys:
            if key not in young:
                if key in old:
                    young[key] = old.pop(key)
                else:
                    missing.append(key)
        return missing

    def trim(self) -> None:
        """Between batches: let go of what was not used for longest, once there is too much."""
        if len(self.young) > self._limit:
            self.old = self.young
            self.young = {}


Read = Callable[[str, list[str]], list[bytes | None]]


class Fold:
    """The fold of one projection over one slice, with the rows it touched last.

    After an exception the held rows may be half changed: throw the fold away and begin from the stored slice.
    """

    def __init__(self, projection: Projection, held_rows: int) -> None:
        self._projection = projection
        self._rows = {table.name: Rows(held_rows) for table in projection.tables}

    def apply(self, events: Iterable[Event], read: Read) -> Changes:
        """Fold the events in their order and return every changed row in its final form.

        read: (table, keys) -> the stored JSON of each row or None, called at most once a table.
        """
        work = self._plan(events)
        for table, steps in work.items():
            rows = self._rows[table]
            keys = rows.missing(dict.fromkeys(key for key, _, _ in steps))
            if keys:
                for key, stored in zip(keys, read(table, keys), strict=True):
                    rows.young[key] = None if stored is None else orjson.loads(stored)
        changes = Changes()
        for name, steps in work.items():
            rows = self._rows[name]
            _fold_table(self._projection.table(name), rows.young, steps, changes)
            rows.trim()
        return changes

    def _plan(self, events: Iterable[Event]) -> dict[str, list[tuple[str, Step, Event]]]:
        routes = self._projection.routes
        work: dict[str, list[tuple[str, Step, Event]]] = {}
        for event in events:
            for route in routes.get(event.type, ()):
                try:
                    key = route.key_of(event)
                except Exception as error:
                    raise FoldError(self._projection.name, event, error) from error
                if key is not None:
                    work.setdefault(route.table, []).append((key, route.step, event))
        return work


def _fold_table(table: Table, rows: dict[str, Row | None], steps: list[tuple[str, Step, Event]], changes: Changes) -> None:
    before: dict[str, tuple[str | None, ...]] = {}
    last: dict[str, Event] = {}
    indexes = table.indexes
    for key, step, event in steps:
        row = rows[key]
        try:
            if indexes and key not in before:
                before[key] = _members(table, key, row)
            rows[key] = step(row, event)
        except Exception as error:
            raise FoldError(table.name, event, error) from error
        last[key] = event
    for key, event in last.items():
        row = rows[key]
        try:
            changes.put(table.name, key, None if row is None else to_json(row))
            after = _members(table, key, row)
        except Exception as error:
            raise FoldError(table.name, event, error) from error
        if indexes:
            for index, old, new in zip(indexes, before[key], after, strict=True):
                if old != new:
                    changes.move(index.name, old, new)


def _members(table: Table, key: str, row: Row | None) -> tuple[str | None, ...]:
    found = (None if row is None else index.member(key, row) for index in table.indexes)
    return tuple(None if text is None else member(text, key) for text in found)


def to_json(row: Mapping[str, Any]) -> bytes:
    """The one canonical form of a row: JSON in UTF-8 with sorted keys and no blanks."""
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
