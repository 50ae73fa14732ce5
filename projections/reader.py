"""Reads a read model: rows by key, rows in an index's order, merged partials; waits for a position."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce

from eventfold.projections.projection import Projection, Table
from eventfold.schemas.errors import EventfoldError, ParkedError, TimedOutError, UnavailableError, UsageError
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place
from eventfold.store import parked
from eventfold.store.builds import Generation
from eventfold.store.generations import Generations
from eventfold.store.index_members import Parts, beginning
from eventfold.store.rows import Row, parsed
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId, key_text

_POLL_S = (0.001, 0.05)
Sleep = Callable[[float], None]


class GenerationGoneError(EventfoldError):
    """The generation that is being read was dropped meanwhile: what is not found there may well be in the live one."""


class NotReachedError(TimedOutError):
    """A position was not folded in time; `reached` is the offset that the slice is at."""

    def __init__(self, projection: str, position: Position, reached: int, timeout_s: float) -> None:
        super().__init__(f"{projection!r} has not folded {position} within {timeout_s:g} s: it is at offset {reached}")
        self.position = position
        self.reached = reached


class Reader:
    """One projection's live generation, looked up once: everything read through one reader is of one build.

    Reads over several slices are not one snapshot: each slice is whole at an offset of its own. GenerationGoneError when
    rows are missing because the generation was dropped.
    """

    def __init__(
        self,
        store: SliceStore,
        projection: Projection,
        generation: Generation,
        generations: Generations,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.projection = projection
        self.generation = generation
        self._store = store
        self._generations = generations
        self._sleep = sleep

    def get(self, table: str, key: str) -> Row | None:
        """The row under `key`, or None."""
        declared = self.projection.table(table)
        slices = self._homes(key) if declared.merge is None else self.generation.slices()
        found = [parsed(row, table, key) for row in self._store.row(slices, table, key)]
        if not found:
            self._refuse_gone(slices)
        return self._merged(declared, key, found)

    def all(self, table: str) -> dict[str, Row]:
        """Every row by key, in the order of the keys; for tables that are small, such as totals."""
        declared = self.projection.table(table)
        found: dict[str, list[Row]] = {}
        slices = self.generation.slices()
        for slice_ in slices:
            for key, row in self._store.table(slice_, table).items():
                found.setdefault(key_text(key), []).append(parsed(row, table, key_text(key)))
        self._refuse_gone(slices)
        return {key: self._merged(declared, key, found[key]) or {} for key in sorted(found)}

    @property
    def build(self) -> str:
        """The id of the generation, which the token of a page holds."""
        return self.generation.id

    def find(self, table: str, index: str, prefix: Parts, *, limit: int | None = None, start: str = "") -> list[Row]:
        """The rows whose first parts in the index are `prefix`, in the index's order.

        prefix: whole parts; a text is one, `()` are all rows. limit: so many at most. start: where a page begins, see
        eventfold.projections.paging.
        """
        return [row for _, row in self.entries(table, index, prefix, limit=limit, start=start)]

    def entries(
        self, table: str, index: str, prefix: Parts, *, limit: int | None = None, start: str = ""
    ) -> list[tuple[str, Row]]:
        """As `find`, each row with its key."""
        declared = self.projection.table(table)
        if index not in {i.name for i in declared.indexes}:
            raise UsageError(f"the table {table!r} has no index {index!r}")
        if not self.projection.indexes_of_now(self.generation):
            raise UnavailableError(
                f"the generation {self.generation.id} of {self.projection.name!r} has indexes in a form that is not read any "
                f"more: `eventfold replay {self.projection.name}` builds one that can be read"
            )
        slices = self.generation.slices()
        found = self._store.by_index(slices, table, index, beginning(prefix), start=start, limit=limit)
        self._refuse_gone(slices)
        for key, count in Counter(key for key, _ in found).items():
            self._refuse_split(declared, key, count)
        return [(key, parsed(row, table, key)) for key, row in found]

    def rows(self, slice_: SliceId, table: str) -> Iterator[tuple[str, bytes]]:
        """Every stored row of one slice, (key, canonical JSON), in no order; a row may come twice.

        TornError at the end when the table is not whole.
        """
        for found in self._store.scan(slice_, table, index=False):
            yield from found.items()
        self._store.check(slice_, [table])

    def wait(self, positions: Iterable[Position], timeout_s: float) -> None:
        """Return once every position is folded; TimedOutError after `timeout_s`, saying how far the slice is; ParkedError for
        one that is parked.
        """
        deadline = time.monotonic() + timeout_s
        events = []
        for position in positions:
            if position.partition >= self.generation.partitions.get(position.topic, 0):
                folds = dict(self.generation.partitions)
                raise UsageError(f"{self.projection.name!r} does not fold {position}: it folds {folds}")
            slice_ = self.generation.slice(position.topic, position.partition)
            pause = _POLL_S[0]
            while (reached := self._store.progress([slice_])[0].offset) <= position.offset:
                if time.monotonic() + pause > deadline:
                    raise NotReachedError(self.projection.name, position, reached, timeout_s)
                if reached == 0:
                    self._refuse_gone([slice_])
                self._sleep(pause)
                pause = min(pause * 2, _POLL_S[1])
            events.append((slice_, position.offset))
        if events:
            self._refuse_parked(events)

    def folded(self, key: str | None = None) -> dict[Place, int]:
        """The next offset to fold of each slice, or of those that may have what belongs to the aggregate `key`."""
        slices = self.generation.slices() if key is None else self._homes(key)
        stands = zip(slices, self._store.progress(slices), strict=True)
        return {(slice_.topic, slice_.partition): progress.offset for slice_, progress in stands}

    def parked(self, key: str | None = None) -> parked.Aside:
        """What is parked of the aggregate `key`; without one, how many keys are. One round trip."""
        if key is not None:
            return parked.look(self._store, [], self._homes(key), key)
        return parked.look(self._store, self.generation.slices(), [], "")

    def _homes(self, key: str) -> list[SliceId]:
        """The slices that may have what belongs to an aggregate: where others write, any, since they choose the partition."""
        if self.projection.foreign:
            return self.generation.slices()
        return [self.generation.slice(topic, partition_of(key, count)) for topic, count in self.generation.partitions.items()]

    def _refuse_parked(self, events: Sequence[tuple[SliceId, int]]) -> None:
        """What was passed by is not folded yet."""
        found = parked.first_of(self._store, events)
        if found is not None:
            slice_, offset, raw, mark = found
            name, key = self.projection.name, parked.shown(raw)
            raise ParkedError(
                f"{Position(slice_.topic, slice_.partition, offset)} is parked: {name!r} folds nothing of the key {key!r} from "
                f"offset {mark.origin} on ({mark.error}): see `eventfold dead-letters show {name} {key}`"
            )

    def _refuse_gone(self, slices: Sequence[SliceId]) -> None:
        """What lacks a slice may not have been built yet, or not be there any more."""
        if all(progress.revision for progress in self._store.progress(slices)):
            return
        if all(build.id != self.generation.id for build in self._generations.all(self.projection.name)):
            raise GenerationGoneError(f"the generation {self.generation.id} of {self.projection.name!r} was dropped: ask again")

    def _merged(self, table: Table, key: str, rows: Sequence[Row]) -> Row | None:
        if table.merge is not None and rows:
            return reduce(table.merge, rows)
        self._refuse_split(table, key, len(rows))
        return rows[0] if rows else None

    def _refuse_split(self, table: Table, key: str, slices: int) -> None:
        """A row of a table without a merge is made of one partition's events."""
        if table.merge is None and slices > 1:
            raise EventfoldError(
                f"{self.projection.name!r} has the row {key!r} of {table.name!r} in {slices} partitions, since events of its "
                "key lie in so many: without a `merge` they cannot become one row (docs/schemas.md)"
            )
