"""`GET /queries/...`: every read model of the enabled domains, by its declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from eventfold.projections.missing import NoAnswerError
from eventfold.projections.paging import PageGoneError
from eventfold.projections.projection import Projection
from eventfold.projections.queries import NotBuiltError, Readers
from eventfold.projections.query import Query
from eventfold.projections.reader import GenerationGoneError, NotReachedError
from eventfold.schemas.errors import EventfoldError, NotFoundError
from eventfold.schemas.position import Position
from eventfold.web.connected import Waits, while_connected
from eventfold.web.endpoint import Access, endpoint
from eventfold.web.oauth.tokens import Caller
from eventfold.web.problems import Problem, ProblemError, unavailable
from eventfold.web.queries.asking import Asked, asked
from eventfold.web.queries.entity import answered
from eventfold.web.waiting import awaited, on_loop
from eventfold.web.workers import Workers

Why = Callable[[str, Position | None], tuple[str, str]]
"""(projection, position) -> why it does not answer: a word (`lagging`, `rebuilding`, `stalled`) and a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSide:
    """What queries over HTTP are made of.

    readers: on the event loop (web.waiting). reads: the threads that read the past. waits: of who waits for a position. owners:
    the domain of each projection that answers. why: asked when a read model does not answer in time. counted: told of each
    query, by its domain.
    """

    readers: Readers
    reads: Workers
    waits: Waits
    owners: Mapping[str, str]
    why: Why
    counted: Callable[[str], None]

    def served(self) -> Sequence[tuple[str, Projection, Query]]:
        """Each projection that answers, after the name of its domain."""
        found = [(domain, self.readers.projection(name)) for name, domain in sorted(self.owners.items())]
        return [(domain, projection, projection.query) for domain, projection in found if projection.query is not None]


def query_routes(side: ReadSide, access: Access) -> list[BaseRoute]:
    """A route a projection."""
    return [_route(side, access, domain, projection, query) for domain, projection, query in side.served()]


def path_of(resource: str, projection: Projection, query: Query) -> str:
    """Its address as people and OpenAPI write it, parameters in braces."""
    positional = [f"{{{param.name}}}" for param in query.params if param.positional]
    return "/".join(["", resource, projection.name, *positional])


def route_of(resource: str, projection: Projection, query: Query) -> str:
    """The path that a router matches: whatever parameters it has are read from it later."""
    more = "/{parameters:path}" if any(param.positional for param in query.params) else ""
    return f"/{resource}/{projection.name}{more}"


def _route(side: ReadSide, access: Access, domain: str, projection: Projection, query: Query) -> Route:
    async def answer(request: Request, caller: Caller) -> Response:
        side.counted(domain)
        wanted = asked(request, query, caller.left_s())
        if wanted.point is not None:
            return await while_connected(request, on_loop, _answer, side, projection.name, query, wanted, request)
        if wanted.after:
            return await side.waits.run(request, on_loop, _answer, side, projection.name, query, wanted, request)
        return await on_loop(_answer, side, projection.name, query, wanted, request)

    return Route(route_of("queries", projection, query), endpoint(answer, access, f"{domain}:read"), methods=["GET"])


def _answer(side: ReadSide, name: str, query: Query, wanted: Asked, request: Request) -> Response:
    headers: dict[str, str] = {}
    try:
        if wanted.point is not None:
            found: Any = awaited(side.reads.run(side.readers.query_as_of, name, wanted.params, wanted.point))
        else:
            found, aside = side.readers.ask(name, wanted.params, wanted.after, wanted.timeout_s, wanted.generation)
            if aside.keys:
                headers["eventfold-parked-keys"] = str(aside.keys)
    except NoAnswerError as error:
        if not query.paged:
            raise _problem(side, name, error) from error
        # A list that is empty is there, and may be followed.
        found = {"entries": [], "next": None}
    except EventfoldError as error:
        raise _problem(side, name, error) from error
    return answered(request, found, headers)


def _problem(side: ReadSide, name: str, error: EventfoldError) -> Exception:
    """What a read model's own errors are to a client."""
    if isinstance(error, NotReachedError):
        state, why = side.why(name, error.position)
        detail = f"{error}: {why}"
        position = {"position": str(error.position), "reached": error.reached}
        return ProblemError(unavailable("not-reached", detail, projection=name, state=state, **position))
    if isinstance(error, NotBuiltError):
        state, why = side.why(name, None)
        return ProblemError(
            unavailable("not-built", f"the read model {name!r} was never built: {why}", projection=name, state=state)
        )
    if isinstance(error, GenerationGoneError):
        return ProblemError(unavailable("generation-gone", str(error), projection=name, state="rebuilding"))
    if isinstance(error, PageGoneError):
        return ProblemError(Problem(status=410, kind="page-gone", detail=str(error), more={"projection": name}))
    if isinstance(error, NotFoundError):
        more = {"behind": error.behind} if isinstance(error, NoAnswerError) and error.behind else {}
        return ProblemError(Problem(status=404, kind="not-found", detail=str(error), more={"projection": name, **more}))
    return error
