"""Bodies of requests: JSON, of a bounded size, that comes within a bounded time."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from eventfold.schemas.json_text import parse_json
from eventfold.web.problems import Problem, ProblemError, of_status

MOST_BYTES = 1_000_000


async def json_object(request: Request, within_s: float) -> dict[str, Any]:
    """The JSON object that is the body; a ProblemError says what is wrong with it, at once where that shows before the end.

    within_s: how long the body may take to come.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise ProblemError(of_status(415, "send JSON: Content-Type: application/json"))
    try:
        async with asyncio.timeout(within_s):
            body = await _bytes(request)
    except TimeoutError:
        raise ProblemError(_closing(408, f"the body did not come within {within_s:g} s")) from None
    try:
        found = parse_json(body)
    except ValueError as error:
        raise ProblemError(Problem(status=400, kind="malformed-json", detail=f"the body is not JSON: {error}")) from None
    if not isinstance(found, dict):
        raise ProblemError(Problem(status=400, kind="malformed-json", detail="the body is not a JSON object"))
    return found


async def _bytes(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MOST_BYTES:
        raise ProblemError(_closing(413, f"the body has more than {MOST_BYTES:,} bytes"))
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MOST_BYTES:
            raise ProblemError(_closing(413, f"the body has more than {MOST_BYTES:,} bytes"))
    return bytes(parts)


def _closing(status: int, detail: str) -> Problem:
    """A problem after which the connection, on which more may come, is of no use."""
    problem = of_status(status, detail)
    return Problem(status=status, kind=problem.kind, detail=detail, headers={"connection": "close"})
