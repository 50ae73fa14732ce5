"""Reads a read model: rows by key, rows in an index's order, merged partials; waits for a position."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from eventfold.projections import past
from eventfold.projections.fold import parsed
from eventfold.projections.projection import Projection, Row, Table
from eventfold.schemas.errors import EventfoldError, NotFoundError, ParkedError, TimedOutError, UsageError
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from eventfold.store import parked
from eventfold.store.connection import Redis
from eventfold.store.generations import Generation, Generations, chosen
from eventfold.store.slices import SliceId, SliceStore, key_text

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


class NoAnswerError(NotFoundError):
    """A read model has nothing of what was asked for."""


class NotBuiltError(NotFoundError):
    """A read model of which there is no generation."""


class Reader:
    """One projection's live generation, looked up once: everything read through one reader is of one build.

    Reads over several slices are not one snapshot: each slice is whole at an offset of its own. GenerationGoneError when
    rows are missing because the generation was dropped.
    """

    def __init__(
        self, redis: Redis, projection: Projection, generation: Generation, generations: Generations, sleep: Sleep = time.sleep
    ) -> None:
        self.projection = projection
        self.generation = generation
        self._redis = redis
        self._store = SliceStore(redis)
        self._generations = generations
        self._sleep = sleep

    def get(self, table: str, key: str) -> Row | None:
        """The row under `key`, or None."""
        declared = self.projection.table(table)
        slices = self._homes(key) if declared.merge is None else self.generation.slices()
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hget(slice_.key(table), key)
        found = [parsed(row, table, key) for row in pipe.execute() if row is not None]
        if not found:
            self._refuse_gone(slices)
        return _merged(declared, found)

    def all(self, table: str) -> dict[str, Row]:
        """Every row by key, in the order of the keys; for tables that are small, such as totals."""
        declared = self.projection.table(table)
        found: dict[str, list[Row]] = {}
        slices = self.generation.slices()
        for slice_ in slices:
            for key, row in self._store.table(slice_, table).items():
                found.setdefault(key_text(key), []).append(parsed(row, table, key_text(key)))
        self._refuse_gone(slices)
        return {key: _merged(declared, found[key]) or {} for key in sorted(found)}

    @property
    def build(self) -> str:
        """The id of the generation, which the token of a page holds."""
        return self.generation.id

    def find(self, table: str, index: str, prefix: str, *, limit: int | None = None, start: str = "") -> list[Row]:
        """The rows whose member in the index begins with `prefix`, in the order of the members.

        limit: so many at most. start: only those whose member is not before this text.
        """
        return [row for _, row in self.entries(table, index, prefix, limit=limit, start=start)]

    def entries(
        self, table: str, index: str, prefix: str, *, limit: int | None = None, start: str = ""
    ) -> list[tuple[str, Row]]:
        """As `find`, each row with its key."""
        declared = self.projection.table(table)
        if index not in {i.name for i in declared.indexes}:
            raise UsageError(f"the table {table!r} has no index {index!r}")
        low, high = b"[" + max(prefix.encode(), start.encode()), b"[" + prefix.encode() + b"\xff"
        first = {} if limit is None else {"start": 0, "num": limit}
        slices = self.generation.slices()
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.zrangebylex(slice_.key(index), low, high, **first)
        found: list[tuple[bytes, str, Row]] = []
        for slice_, members in zip(slices, pipe.execute(), strict=True):
            keys = [key_text(m.partition(b"\t")[2]) for m in members]
            rows = self._store.rows(slice_, table, keys) if keys else []
            found += [
                (m, key, parsed(row, table, key)) for m, key, row in zip(members, keys, rows, strict=True) if row is not None
            ]
        self._refuse_gone(slices)
        return [(key, row) for _, key, row in sorted(found, key=lambda entry: entry[0])[:limit]]

    def rows(self, slice_: SliceId, table: str) -> Iterator[tuple[str, bytes]]:
        """Every stored row of one slice, (key, canonical JSON), by HSCAN and in no order; a row may come twice."""
        for key, row in self._redis.hscan_iter(slice_.key(table), count=1000):
            yield key_text(key), row

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


class Readers:
    """Opens readers for the declared projections."""

    def __init__(
        self,
        redis: Redis,
        names: Names,
        projections: Sequence[Projection],
        log: Callable[[], past.Past] | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        """log: where the past is read. sleep: how to wait."""
        self._redis = redis
        self._sleep = sleep
        self._log = log
        self._generations = Generations(redis, names.prefix)
        self.projections = {p.name: p for p in projections}

    def projection(self, name: str) -> Projection:
        try:
            return self.projections[name]
        except KeyError:
            raise UsageError(f"no projection is called {name!r}; there are: {', '.join(sorted(self.projections))}") from None

    def open(self, name: str, generation_id: str | None = None) -> Reader:
        """A reader of the live generation, or of the one whose id begins so.

        NotFoundError when the projection was never built, or there is no such generation.
        """
        projection = self.projection(name)
        if generation_id is not None:
            found = chosen(self._generations.all(name), generation_id).generation
            return Reader(self._redis, projection, found, self._generations, self._sleep)
        generation = self._generations.live(name)
        if generation is None:
            raise NotBuiltError(f"the read model {name!r} was never built: start it with `eventfold run projector {name}`")
        return Reader(self._redis, projection, generation, self._generations, self._sleep)

    def query(
        self,
        name: str,
        params: dict[str, Any],
        after: Sequence[Position] = (),
        timeout_s: float = 10,
        generation: str | None = None,
    ) -> Any:
        """Run a projection's query; NotFoundError when it answers None, UsageError for text that is not Unicode.

        A row of an aggregate of which something is parked says so in a field `parked` (since, error, events); where there is
        no row for that reason, ParkedError.
        """
        return self.ask(name, params, after, timeout_s, generation)[0]

    def ask(
        self,
        name: str,
        params: dict[str, Any],
        after: Sequence[Position] = (),
        timeout_s: float = 10,
        generation: str | None = None,
    ) -> tuple[Any, parked.Aside]:
        """As `query`, with what is parked in the read model."""
        _refuse_bytes(params)
        if self.projection(name).query is None:
            raise UsageError(f"the projection {name!r} declares no query")
        try:
            answer, aside = self._answer(name, params, after, timeout_s, generation)
        except GenerationGoneError:
            answer, aside = self._answer(name, params, after, timeout_s, generation)
        if answer is None and aside.mark is not None:
            raise ParkedError(
                f"{name} has no {_given(params)!r}: its events from {aside.since} on are parked ({aside.mark.error}): see "
                f"`eventfold dead-letters list --owner {name}`"
            )
        if isinstance(answer, dict) and aside.mark is not None:
            answer = {**answer, "parked": aside.to_json()}
        return _there(name, params, answer), aside

    def query_as_of(self, name: str, params: dict[str, Any], point: past.Point) -> Any:
        """As `query`, but of one aggregate's own events up to a point, folded from the log; see eventfold.projections.past."""
        if self._log is None:
            raise UsageError("these readers know no log to read the past from")
        _refuse_bytes(params)
        return _there(name, params, past.answer_as_of(self.projection(name), params, point, self._log()))

    def _answer(
        self, name: str, params: dict[str, Any], after: Sequence[Position], timeout_s: float, generation: str | None
    ) -> tuple[Any, parked.Aside]:
        reader = self.open(name, generation)
        reader.wait(after, timeout_s)
        query = reader.projection.query
        assert query is not None
        answer = query.run(reader, **params)
        return answer, reader.parked(None if query.aggregate is None else params.get(query.aggregate.name))


def _there(name: str, params: dict[str, Any], answer: Any) -> Any:
    if answer is None:
        raise NoAnswerError(f"{name} has no {_given(params)!r}")
    return answer


def _given(params: dict[str, Any]) -> str:
    return " ".join(str(value) for value in params.values() if value not in (None, ""))


def _refuse_bytes(params: dict[str, Any]) -> None:
    """Refuse an argument of a command line that is not UTF-8: Python holds its bytes as text that nothing can encode."""
    for value in params.values():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise UsageError(f"{value!r} is not Unicode text") from None


def _merged(table: Table, rows: Iterable[Row]) -> Row | None:
    merged: Row | None = None
    for row in rows:
        merged = row if merged is None else (table.merge(merged, row) if table.merge else row)
    return merged
