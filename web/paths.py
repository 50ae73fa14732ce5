"""What stands in a path, read as it was sent: decoded, an escaped slash in an id cannot be told from one between segments."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.requests import Request

from eventfold.schemas.errors import UsageError
from eventfold.schemas.ids import checked_key
from eventfold.web.problems import Problem, ProblemError


def segments(request: Request, first: int) -> list[str]:
    """The path's segments from the one with this number on, still escaped; the first of all has number 0."""
    path: str = request.scope["raw_path"].partition(b"?")[0].decode("ascii", errors="replace")
    return path.removeprefix(request.scope.get("root_path", "")).split("/")[first + 1 :]


def aggregate_id(request: Request, place: int) -> str:
    """The aggregate's id, which the path ends with as its segment of this number; a ProblemError when it is none."""
    found = segments(request, place)
    try:
        return checked_key(unquote(found[0], errors="strict") if len(found) == 1 else "")
    except (UnicodeDecodeError, UsageError):
        detail = "the last part of the path must be an aggregate's id: 1 to 512 printable characters, a slash as %2F"
        raise ProblemError(Problem(status=400, kind="wrong-id", detail=detail)) from None
