"""Work that somebody waits for: it is cancelled once its client has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from anyio import CancelScope
from starlette.requests import ClientDisconnect, Request

from eventfold.web.problems import ProblemError, unavailable

P = ParamSpec("P")
T = TypeVar("T")


async def while_connected(request: Request, work: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work(*args)` returns; ClientDisconnect, after the work was cancelled, when its client hangs up before.

    The request's body must have been read, or is read and thrown away meanwhile.
    """
    with CancelScope() as scope:
        watching = asyncio.create_task(_cancel_when_gone(request, scope))
        try:
            return await work(*args, **kwargs)
        finally:
            watching.cancel()
    raise ClientDisconnect


async def _cancel_when_gone(request: Request, scope: CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class Waits:
    """Requests that wait for something to happen: so many at once, and each for as long as its client does."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    @property
    def full(self) -> bool:
        """Whether no further request may wait."""
        return self._now >= self._most

    async def run(self, request: Request, work: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As while_connected; a ProblemError (503) when too many wait already."""
        if self.full:
            raise ProblemError(unavailable("busy", f"{self._most:,} requests wait here already: ask again later"))
        self._now += 1
        try:
            return await while_connected(request, work, *args, **kwargs)
        finally:
            self._now -= 1
