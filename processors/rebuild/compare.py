"""Compares a live generation, which moves on meanwhile, with one that is being built: row by row, at the same offsets.

Nobody is held up. For each slice, in this order: (1) the builder folds to where the live slice is, offset A; (2) every
row of both is read, and keys that differ are suspects; (3) some suspects are read from the live slice together with its
offset B, in one atomic step; (4) the builder folds to B, and what it touches on the way is suspect as well; (5) those rows
are compared, both at B; (3) to (5) until no suspect is left. A row that was equal under (2) and not touched since A is
what it should be at any later offset, until an event touches it, and then it is a suspect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from eventfold.processors.projector.following import stored
from eventfold.processors.rebuild.builder import Builder, Touched
from eventfold.projections.difference import Difference, between
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.record import Place
from eventfold.store.builds import Build
from eventfold.store.parked import marks, shown, unlike
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import PARKED, PARKED_EVENTS

_AT_ONCE = 2_000
_ASIDE = {PARKED, PARKED_EVENTS}
_BEHIND_S = 20.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedApart:
    """A key that is parked on one side alone, or not from the same event on: then its rows may well differ.

    live, built: the offset of the first event that is parked, None where none is.
    """

    topic: str
    partition: int
    key: str
    live: int | None
    built: int | None

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "slice": f"{self.topic}/{self.partition}", "live": self.live, "new": self.built}


@dataclass(slots=True)
class Comparison:
    """What was compared, and what differs.

    offsets: by partition, at which both stood. rows: how many were compared. slices: how many, and how many of them were
    known to be equal by their digests, without reading a row. differences: the first `limit`; counts: of all, by (part, kind).
    parked: keys that are not parked alike, which is no difference of itself, but may be why rows differ.
    """

    limit: int
    rows: int = 0
    slices: int = 0
    by_digest: int = 0
    offsets: dict[Place, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    parked: list[ParkedApart] = field(default_factory=list)

    @property
    def different(self) -> int:
        """How many rows and members of indexes differ."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        counts: dict[str, dict[str, int]] = {}
        for (part, kind), count in sorted(self.counts.items()):
            counts.setdefault(part, {})[kind] = count
        return {
            "equal": not self.different,
            "slices": self.slices,
            "equal_by_digest": self.by_digest,
            "rows_read": self.rows,
            "different": self.different,
            "counts": counts,
            "differences": [difference.to_json() for difference in self.differences],
            "parked_apart": [apart.to_json() for apart in self.parked],
            "offsets": {f"{t}/{p}": offset for (t, p), offset in sorted(self.offsets.items())},
        }

    def add(self, difference: Difference) -> None:
        kind = difference.part, difference.kind
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.differences) < self.limit:
            self.differences.append(difference)


class Comparing:
    """Compares the slices of `live` with those that `builder` builds of `built`."""

    def __init__(
        self,
        projection: Projection,
        live: Build,
        built: Build,
        builder: Builder,
        store: SliceStore,
        *,
        limit: int,
        stopped: Callable[[], None],
    ) -> None:
        self._projection = projection
        self._live = live.generation
        self._built = built.generation
        self._builder = builder
        self._store = store
        self._stopped = stopped
        # What only one side has is a difference as well.
        self._parts = [part for part in dict.fromkeys((*projection.parts, *live.parts)) if part not in _ASIDE]
        # Digests are of tables: they do not tell of indexes, nor of a table that is no more.
        same_parts = {*live.parts} - _ASIDE == {*projection.parts} - _ASIDE
        self._by_digest = same_parts and self._live.version == self._built.version
        self.found = Comparison(limit)
        self.by_digest: set[Place] = set()
        """Those that were equal by their digests."""

    def slice(self, place: Place, *, read: bool) -> None:
        """Compare one slice; unless rows are to be `read` in any case, equal digests are enough."""
        self.found.slices += 1
        offset = self._meet(place)
        self.found.offsets[place] = offset
        if not read and self.same_digests(place):
            self.found.by_digest += 1
            self.by_digest.add(place)
        else:
            self._rows(place)
        self._parked(place)

    def _parked(self, place: Place) -> None:
        """Which keys are not parked alike, up to where rows were compared."""
        live, built = marks(self._store, [self._live.slice(*place), self._built.slice(*place)])
        for key in unlike(live, built, self.found.offsets[place]):
            of = [None if key not in side else side[key].origin for side in (live, built)]
            self.found.parked.append(ParkedApart(topic=place[0], partition=place[1], key=shown(key), live=of[0], built=of[1]))

    def same_digests(self, place: Place) -> bool:
        """Whether both slices stand at the same offset with the same digests; of those that are unknown, no."""
        live, built = (stored(self._store, generation, [place])[place] for generation in (self._live, self._built))
        if not self._by_digest or live.offset != built.offset or live.digests is None or built.digests is None:
            return False
        return all(live.digests.get(table.name, 0) == built.digests.get(table.name, 0) for table in self._projection.tables)

    def _meet(self, place: Place) -> int:
        """Fold to where the live slice is; wait for one that is behind, as after Redis lost its last writes."""
        deadline = time.monotonic() + _BEHIND_S
        while True:
            self._stopped()
            live, mine = stored(self._store, self._live, [place])[place].offset, self._builder.offsets()[place]
            if live >= mine:
                self._fold(place, live)
                return live
            if time.monotonic() > deadline:
                raise EventfoldError(
                    f"{place[0]}/{place[1]}: the live generation stands at offset {live}, the new one at {mine} already, so "
                    "they cannot be compared at one offset: start the projector and try again"
                )
            time.sleep(_LOOK_S)

    def _fold(self, place: Place, offset: int) -> None:
        now = self._builder.offsets()
        self._builder.advance({**now, place: max(offset, now[place])})
        self._stopped()

    def _rows(self, place: Place) -> None:
        live, built = self._live.slice(*place), self._built.slice(*place)
        touched: Touched = {}
        self._builder.touched = touched
        self.found.rows += sum(self._store.count(built, table.name) for table in self._projection.tables)
        checked: dict[str, set[str]] = {}
        try:
            suspects = {part: set(self._differing(place, part)) for part in self._parts}
            while True:
                for part, keys in touched.pop(place, {}).items():
                    suspects[part] |= keys
                pending = [(part, keys - checked.get(part, set())) for part, keys in suspects.items()]
                part, keys = next(((part, keys) for part, keys in pending if keys), ("", set()))
                if not keys:
                    return
                some = sorted(keys)[:_AT_ONCE]
                checked.setdefault(part, set()).update(some)
                index = self._is_index(place, part)
                offset, is_ = self._store.as_it_is(live, part, some, index=index)
                self._builder_to(place, offset)
                self.found.offsets[place] = offset
                _, should = self._store.as_it_is(built, part, some, index=index)
                for key in some:
                    difference = between(*place, part, key, is_.get(key), should.get(key))
                    if difference is not None:
                        self.found.add(difference)
        finally:
            self._builder.touched = None

    def _is_index(self, place: Place, part: str) -> bool:
        return any(self._store.is_index(of.slice(*place), part) for of in (self._live, self._built))

    def _builder_to(self, place: Place, offset: int) -> None:
        if offset < self._builder.offsets()[place]:
            raise EventfoldError(
                f"{place[0]}/{place[1]}: the live generation went back to offset {offset} while it was compared (did Redis "
                "lose its last writes?): try again"
            )
        self._fold(place, offset)

    def _differing(self, place: Place, part: str) -> Iterator[str]:
        """The keys of a part that do not have the same row on both sides, as far as can be told while one side moves."""
        live, built = self._live.slice(*place), self._built.slice(*place)
        index = self._is_index(place, part)
        for rows in self._store.scan(live, part, index=index):
            self._stopped()
            if rows:
                _, should = self._store.as_it_is(built, part, list(rows), index=index)
                yield from (key for key, row in rows.items() if should.get(key) != row)
        for rows in self._store.scan(built, part, index=index):
            self._stopped()
            if rows:
                _, is_ = self._store.as_it_is(live, part, list(rows), index=index)
                yield from (key for key, row in rows.items() if is_.get(key) != row)
