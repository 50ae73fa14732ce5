"""Opens readers of the declared projections, and runs their queries: of now, or of one aggregate as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from eventfold.projections import past
from eventfold.projections.missing import Ends, Missing, NoAnswerError
from eventfold.projections.projection import Projection
from eventfold.projections.reader import GenerationGoneError, Reader, Sleep
from eventfold.schemas.errors import NotFoundError, ParkedError, UsageError
from eventfold.schemas.names import Names
from eventfold.schemas.position import Position
from eventfold.store import parked
from eventfold.store.builds import chosen
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore


class NotBuiltError(NotFoundError):
    """A read model of which there is no generation."""


class Readers:
    """Opens readers for the declared projections."""

    def __init__(
        self,
        redis: Redis,
        names: Names,
        projections: Sequence[Projection],
        log: Callable[[], past.Past] | None = None,
        sleep: Sleep = time.sleep,
        ends: Ends | None = None,
    ) -> None:
        """log: where the past is read. sleep: how to wait. ends: asked where a query finds nothing, so that the error says
        whether the read model is behind the log.
        """
        self._store = SliceStore(redis)
        self._sleep = sleep
        self._log = log
        self._missing = Missing(ends=ends)
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
            return Reader(self._store, projection, found, self._generations, self._sleep)
        generation = self._generations.live(name)
        if generation is None:
            raise NotBuiltError(f"the read model {name!r} was never built: start it with `eventfold run projector {name}`")
        return Reader(self._store, projection, generation, self._generations, self._sleep)

    def query(self, name: str, params: dict[str, Any], after: Sequence[Position] = (), timeout_s: float = 10) -> Any:
        """Run a projection's query; NotFoundError when it answers None, UsageError for text that is not Unicode.

        A row of an aggregate of which something is parked says so in a field `parked` (since, error, events); where there is
        no row for that reason, ParkedError.
        """
        return self.ask(name, params, after, timeout_s, None)[0]

    def ask(
        self, name: str, params: dict[str, Any], after: Sequence[Position], timeout_s: float, generation: str | None
    ) -> tuple[Any, parked.Aside]:
        """As `query`, with what is parked in the read model. generation: the beginning of its id; None: the live one."""
        _refuse_bytes(params)
        if self.projection(name).query is None:
            raise UsageError(f"the projection {name!r} declares no query")
        try:
            answer, aside, reader = self._answer(name, params, after, timeout_s, generation)
        except GenerationGoneError:
            answer, aside, reader = self._answer(name, params, after, timeout_s, generation)
        if answer is None and aside.mark is not None:
            raise ParkedError(
                f"{name} has no {_given(params)!r}: its events from {aside.since} on are parked ({aside.mark.error}): see "
                f"`eventfold dead-letters list --owner {name}`"
            )
        if answer is None:
            raise self._missing.error(reader, _aggregate(reader, params), _given(params), aside.keys)
        if isinstance(answer, dict) and aside.mark is not None:
            answer = {**answer, "parked": aside.to_json()}
        return answer, aside

    def query_as_of(self, name: str, params: dict[str, Any], point: past.Point) -> Any:
        """As `query`, but of one aggregate's own events up to a point, folded from the log; see eventfold.projections.past."""
        if self._log is None:
            raise UsageError("these readers know no log to read the past from")
        _refuse_bytes(params)
        answer = past.answer_as_of(self.projection(name), params, point, self._log())
        if answer is None:
            raise NoAnswerError(f"{name} has no {_given(params)!r}")
        return answer

    def _answer(
        self, name: str, params: dict[str, Any], after: Sequence[Position], timeout_s: float, generation: str | None
    ) -> tuple[Any, parked.Aside, Reader]:
        reader = self.open(name, generation)
        reader.wait(after, timeout_s)
        query = reader.projection.query
        assert query is not None
        answer = query.run(reader, **params)
        return answer, reader.parked(_aggregate(reader, params)), reader


def _aggregate(reader: Reader, params: dict[str, Any]) -> str | None:
    """The id of the one aggregate that the query is about, where it is about one."""
    query = reader.projection.query
    return None if query is None or query.aggregate is None else params.get(query.aggregate.name)


def _given(params: dict[str, Any]) -> str:
    return " ".join(str(value) for value in params.values() if value not in (None, ""))


def _refuse_bytes(params: dict[str, Any]) -> None:
    """Refuse an argument of a command line that is not UTF-8: Python holds its bytes as text that nothing can encode."""
    for value in params.values():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise UsageError(f"{value!r} is not Unicode text") from None
