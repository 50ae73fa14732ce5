"""What a request asks of a read model, read by the projection's declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from eventfold.projections.past import Point
from eventfold.projections.query import Param, Query
from eventfold.schemas.errors import UsageError
from eventfold.schemas.position import Position
from eventfold.schemas.times import millis
from eventfold.web.paths import segments
from eventfold.web.problems import ProblemError, of_status, wrong_parameter

LONGEST_WAIT_S = 30.0
WAIT_S = 10.0
MOST_POSITIONS = 100
POINTS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "as_of": ("happened", millis),
    "recorded_as_of": ("recorded", millis),
    "as_of_position": ("position", Position.parse),
    "as_of_version": ("version", lambda text: whole(text, 1)),
}
_OF_ALL = ("after", "timeout", "generation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """params: of the query, checked. after: positions that must be folded, waited for `timeout_s` long. generation: which to
    read. point: of the past.
    """

    params: dict[str, Any] = field(default_factory=dict)
    after: tuple[Position, ...] = ()
    timeout_s: float = WAIT_S
    generation: str | None = None
    point: Point | None = None


def asked(request: Request, query: Query, longest_s: float) -> Asked:
    """What `/<resource>/<projection>/<positional parameters>?<the others>` asks; a ProblemError says what is wrong.

    longest_s: for how long the caller may wait at all.
    """
    params = _params(request, query)
    known = {param.name for param in query.params if not param.positional}
    points = POINTS if query.aggregate is not None else {}
    given = _given(request, {*known, *_OF_ALL, *points}, many="after")
    for param in query.params:
        if not param.positional:
            params[param.name] = _value(param, given.get(param.name, [param.default])[0])
    if len(given.get("after", ())) > MOST_POSITIONS:
        raise wrong_parameter("after", f"is given more than {MOST_POSITIONS} times")
    after = tuple(_checked("after", Position.parse, text) for text in given.get("after", ()))
    timeout_s = _checked("timeout", _seconds, given["timeout"][0]) if "timeout" in given else WAIT_S
    generation = given["generation"][0] if "generation" in given else None
    point = _point(given, points)
    if point is not None and (after or generation is not None):
        raise wrong_parameter(
            "after" if after else "generation", "is of a read model, and the past is read from the log: leave it out"
        )
    return Asked(params=params, after=after, timeout_s=min(timeout_s, max(0.0, longest_s)), generation=generation, point=point)


def followed(request: Request, query: Query) -> dict[str, Any]:
    """A query's parameters, when its rows are to be followed: none of pages; a ProblemError says what is wrong."""
    paging = ("limit", "page") if query.paged else ()
    given = _given(request, {param.name for param in query.params if not param.positional} - set(paging))
    params = _params(request, query)
    for param in query.params:
        if not param.positional and param.name not in paging:
            params[param.name] = _value(param, given.get(param.name, [param.default])[0])
    return params


def whole(text: str, least: int = 0) -> int:
    """A whole number, of 18 digits at most; UsageError for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < least:
        raise UsageError(f"{text[:40]!r} is not a whole number from {least} on")
    return int(text)


def _params(request: Request, query: Query) -> dict[str, Any]:
    """Those of the path, each one segment of it, which may hold an escaped slash."""
    positional = [param for param in query.params if param.positional]
    resource, projection, *given = segments(request, 0)
    if len(given) != len(positional) or not all(given):
        wanted = "/".join(f"{{{param.name}}}" for param in positional)
        raise ProblemError(of_status(404, f"this resource is /{resource}/{projection}/{wanted}".rstrip("/")))
    found = {}
    for param, segment in zip(positional, given, strict=True):
        try:
            found[param.name] = _value(param, unquote(segment, errors="strict"))
        except UnicodeDecodeError:
            raise wrong_parameter(param.name, "is not UTF-8") from None
    return found


def _given(request: Request, known: set[str], many: str = "") -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise wrong_parameter(name, f"is not known; there are: {', '.join(sorted(known))}" if known else "is not known")
        given.setdefault(name, []).append(value)
        if name != many and len(given[name]) > 1:
            raise wrong_parameter(name, "is given more than once")
    return given


def _value(param: Param, text: str | None) -> Any:
    if text is None:
        raise wrong_parameter(param.name, "is missing")
    if param.choices and text not in param.choices:
        raise wrong_parameter(param.name, f"must be one of {', '.join(param.choices)}, not {text[:40]!r}")
    return text if param.check is None else _checked(param.name, param.check, text)


def _checked(name: str, check: Callable[[str], Any], text: str) -> Any:
    try:
        return check(text)
    except UsageError as error:
        raise wrong_parameter(name, f"cannot be taken: {error}") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT_S:
        raise UsageError(f"{text[:40]!r} is not a number of seconds from 0 to {LONGEST_WAIT_S:g}")
    return seconds


def _point(given: Mapping[str, list[str]], points: Mapping[str, tuple[str, Callable[[str], Any]]]) -> Point | None:
    named = [name for name in points if name in given]
    if len(named) > 1:
        raise wrong_parameter(named[1], f"and {named[0]} name different points of the past: give one of them")
    return Point(**{points[name][0]: _checked(name, points[name][1], given[name][0]) for name in named}) if named else None
