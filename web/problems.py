"""Errors as problem details (RFC 9457), `application/problem+json`: what went wrong, where, what to do; never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from eventfold.processors.lookup.history import TooMuchError
from eventfold.schemas.errors import (
    EventfoldError,
    NotFoundError,
    Outlook,
    ParkedError,
    TimedOutError,
    Transient,
    UnavailableError,
    UsageError,
)
from eventfold.store.connection import RedisError
from eventfold.store.errors import outlook
from eventfold.store.slices import TornError
from eventfold.web.oauth.denied import DeniedError

MEDIA = "application/problem+json"
URN = "urn:eventfold:problem:"
_AGAIN_S = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a client is told went wrong.

    kind: which problem it is, stable, the end of its `type` (`urn:eventfold:problem:<kind>`). detail: a sentence for a person.
    more: members besides the standard ones. headers: of the response.
    """

    status: int
    kind: str
    detail: str
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As it is sent."""
        body = {
            **self.more,
            "type": URN + self.kind,
            "title": self.kind.replace("-", " "),
            "status": self.status,
            "detail": self.detail.encode(errors="replace").decode(),
        }
        return Response(orjson.dumps(body), self.status, {"cache-control": "no-store", **self.headers}, MEDIA)


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def unavailable(kind: str, detail: str, **more: Any) -> Problem:
    """A problem that asking again later may not meet."""
    return Problem(status=503, kind=kind, detail=detail, more=more, headers={"retry-after": _AGAIN_S})


def wrong_parameter(name: str, what: str) -> ProblemError:
    """A parameter of the address that cannot be taken. what: why, in words that follow its name."""
    detail = f"the parameter {name[:100]!r} {what}"
    return ProblemError(Problem(status=400, kind="wrong-parameter", detail=detail, more={"parameter": name[:100]}))


def of_status(status: int, detail: str = "") -> Problem:
    """The problem that an HTTP status says all of."""
    phrase = HTTPStatus(status).phrase
    return Problem(status=status, kind=phrase.lower().replace(" ", "-"), detail=detail or phrase)


def of_error(error: Exception) -> Problem:
    """What an error is to a client; for one that is none of its business, that there was one."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, DeniedError):
        return _of_denied(error)
    if isinstance(error, RedisError) and outlook(error) is Outlook.LASTS:
        return Problem(status=500, kind="fault", detail="Redis refuses what it is asked, and waiting does not mend that")
    for kind, problem in _KINDS.items():
        if isinstance(error, kind):
            return problem(str(error))
    if isinstance(error, EventfoldError):
        return Problem(status=500, kind="fault", detail=str(error))
    return Problem(status=500, kind="fault", detail="something went wrong here that should not; the server's log says what")


def _of_denied(error: DeniedError) -> Problem:
    kind = error.error.replace("_", "-") or ("unavailable" if error.status == 503 else "no-token")
    more = {"scope": error.scope} if error.scope else {}
    return Problem(status=error.status, kind=kind, detail=error.detail, more=more, headers=error.headers)


_KINDS: dict[type[Exception], Callable[[str], Problem]] = {
    UsageError: lambda text: Problem(status=400, kind="wrong-request", detail=text),
    NotFoundError: lambda text: Problem(status=404, kind="not-found", detail=text),
    TooMuchError: lambda text: Problem(status=422, kind="too-much", detail=text),
    ParkedError: lambda text: unavailable("parked", text, state="parked"),
    TimedOutError: lambda text: unavailable("timed-out", text),
    UnavailableError: lambda text: unavailable("unavailable", text),
    Transient: lambda text: unavailable("unavailable", text),
    TornError: lambda _: unavailable("unavailable", "what Redis holds of it is not whole, and is folded anew: ask again later"),
    RedisError: lambda _: unavailable("unavailable", "Redis does not answer, or not as it should: ask again later"),
}
