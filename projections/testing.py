"""Folds events in memory, without Kafka and Redis: a public part of eventfold, with which projections are tested.

given(flights, scheduled, departed).then("flights", "UA1", {"status": "departed", ...}).then_none("flights", "UA2")
assert folded(flights, [scheduled, departed])["flights"]["UA1"]["status"] == "departed"
assert_folds_alike(flights, events)

Events hold only the fields that the projection declares to read (see Projection.on), as a projector's do.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pprint import pformat

import orjson

from eventfold.projections.in_memory import HELD, InMemory, as_read, fold, folded
from eventfold.projections.projection import Projection, Table
from eventfold.projections.trial import are_scalars
from eventfold.schemas.event import Event
from eventfold.store.rows import Row, to_json

__all__ = ["Given", "assert_folds_alike", "folded", "given"]
_IN_MEMORY = (
    "kept in memory from one event to the next, rows give other rows than read back: a step depends on the order of an "
    "object's fields (stored, it is that of their names), or on what it returned before that was stored"
)


class Given:
    """Events that were folded, to be compared row by row."""

    def __init__(self, projection: Projection, events: Sequence[Event]) -> None:
        self._projection = projection
        read = as_read(projection, events)
        once, single = _read_back(projection, [read]), _read_back(projection, [[event] for event in read])
        _same(once.shown(), single.shown(), f"{projection.name}: folded twice, events give other rows")
        _same(once.shown(), _trusted(projection, [read]).shown(), f"{projection.name}: {_IN_MEMORY}")
        self._tables = once.tables

    def then(self, table: str, key: str, row: Row) -> Given:
        """Expect exactly this row; AssertionError shows the difference. Returns itself, for the next one."""
        found = self._row(table, key)
        if found is None:
            there = ", ".join(map(repr, self._tables[table])) or "no row"
            raise AssertionError(f"{self._projection.name}: {table!r} has no row {key!r}; there is: {there}")
        _same(row, orjson.loads(found), f"{self._projection.name}: the row {key!r} of {table!r} is another one")
        return self

    def then_none(self, table: str, key: str) -> Given:
        """Expect that there is no such row."""
        found = self._row(table, key)
        if found is not None:
            raise AssertionError(f"{self._projection.name}: {table!r} has a row {key!r}: {found.decode()}")
        return self

    def _row(self, table: str, key: str) -> bytes | None:
        return self._tables[self._projection.table(table).name].get(key)


def given(projection: Projection, *events: Event) -> Given:
    """Fold these events, in this order and in one slice.

    They are folded twice from zero, each on what is read back of the rows that the one before left, and once more as a
    projector folds many at once; AssertionError where that gives other rows. FoldError when a step fails.
    """
    return Given(projection, events)


def assert_folds_alike(
    projection: Projection, events: Sequence[Event], *, rounds: int = 10, slices: int = 4, seed: int | None = None
) -> None:
    """Check what every projection promises, with random choices in each of so many rounds.

    Rows, to the byte, and members of indexes are the same when folded again from zero, wherever batches begin and
    end, and whether rows stay in memory from one event to the next or go through JSON. Tables with a merge give the same merged
    rows in whatever order the events come, and however they are spread over so many slices.
    AssertionError shows the difference and the seed, with which the same choices are made again.
    """
    seed = random.randrange(2**32) if seed is None else seed
    choice = random.Random(seed)
    events = as_read(projection, events)
    expected = _read_back(projection, [events])
    batchings: list[list[Sequence[Event]]] = [[events], [[event] for event in events]]
    for batches in (*batchings, *(_cut(events, choice) for _ in range(rounds))):
        for held in (HELD, 1, 0):
            found = _trusted(projection, batches, held)
            _same(expected.shown(), found.shown(), f"{projection.name}: other batches give other rows (seed={seed})")
    merging = [table for table in projection.tables if table.merge is not None]
    if not merging:
        return
    partial = _only(projection, merging)
    for _ in range(rounds):
        spread: list[list[Event]] = [[] for _ in range(slices)]
        for event in choice.sample(events, len(events)):
            choice.choice(spread).append(event)
        parts = [_read_back(partial, [part]) for part in spread]
        for table in merging:
            _same(
                _merged(table, [expected], choice),
                _merged(table, parts, choice),
                f"{projection.name}, table {table.name}: another order, or other slices, give other rows (seed={seed})",
            )


def _read_back(projection: Projection, batches: Sequence[Sequence[Event]]) -> InMemory:
    """Each event folded on what is read back of the rows."""
    return fold(projection, [_own(batch) for batch in batches], held=0, trial=None)


def _trusted(projection: Projection, batches: Sequence[Sequence[Event]], held: int = HELD) -> InMemory:
    """As a projector folds that trusts the steps: within a batch, rows stay as the steps leave them."""
    return fold(projection, [_own(batch) for batch in batches], held, trial=1)


def _own(events: Sequence[Event]) -> list[Event]:
    """The events with data of their own, since what a row takes over from an event a later step may change."""
    return [
        event if are_scalars(map(type, event.data.values())) else event._replace(data=deepcopy(event.data)) for event in events
    ]


def _cut(events: Sequence[Event], choice: random.Random) -> list[Sequence[Event]]:
    borders = sorted(choice.randrange(len(events) + 1) for _ in range(5))
    return [events[low:high] for low, high in zip([0, *borders], [*borders, len(events)], strict=True)]


def _only(projection: Projection, tables: Sequence[Table]) -> Projection:
    names = {table.name for table in tables}
    return Projection(
        name=projection.name,
        version=projection.version,
        topics=projection.topics,
        tables=tuple(tables),
        routes={type_: [route for route in routes if route.table in names] for type_, routes in projection.routes.items()},
    )


def _merged(table: Table, parts: Sequence[InMemory], choice: random.Random) -> dict[str, bytes]:
    """Every row of a table, its partial rows merged two by two in a random order."""
    assert table.merge is not None
    partials: dict[str, list[Row]] = {}
    for part in parts:
        for key, row in part.tables[table.name].items():
            partials.setdefault(key, []).append(orjson.loads(row))
    for rows in partials.values():
        while len(rows) > 1:
            left, right = (rows.pop(choice.randrange(len(rows))) for _ in range(2))
            rows.append(table.merge(left, right))
    return {key: to_json(rows[0]) for key, rows in partials.items()}


def _same(expected: Mapping[str, object], found: Mapping[str, object], what: str) -> None:
    if expected != found:
        lines = difflib.unified_diff(pformat(expected).splitlines(), pformat(found).splitlines(), "expected", "found", n=1)
        raise AssertionError("\n".join([what, *lines]))
