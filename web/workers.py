"""Threads for what waits in its own way, such as reads of the log: few of them, behind a short queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, Semaphore, fail_after, move_on_after, to_thread

from eventfold.web.problems import ProblemError, unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Runs functions in so many threads at once; `what` is what they do, as a problem says it.

    A function that calls anyio's from_thread.check_cancelled now and then is ended by it once nobody waits for its result. Its
    thread is free only when it has ended.
    """

    def __init__(self, what: str, threads: int, *, queue: int, queue_s: float, within_s: float) -> None:
        """queue: how many may wait for a thread. queue_s: for how long. within_s: how long a function may take."""
        self._what = what
        self._threads = threads
        self._queue = queue
        self._queue_s = queue_s
        self._within_s = within_s
        self._used = False
        self._turns = Semaphore(threads)
        self._limiter = CapacityLimiter(threads)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, or raises; a ProblemError (503) when no thread is free in time, or it takes too long."""
        async with self._turn():
            self._used = True
            with move_on_after(self._within_s) as scope:
                try:
                    return await to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._limiter)
                except asyncio.CancelledError:
                    # The thread looks at the scope, and hears of a task that is cancelled without one by this alone.
                    scope.cancel()
                    raise
        detail = f"{self._what} took more than {self._within_s:g} s and was given up"
        raise ProblemError(unavailable("took-too-long", detail))

    def rested(self) -> bool:
        """Whether all threads are free, for the first time since one was used."""
        rested = self._used and not self._limiter.statistics().borrowed_tokens
        self._used = self._used and not rested
        return rested

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._turns.statistics().tasks_waiting >= self._queue:
            detail = f"{self._what}: {self._queue} requests wait for it already"
            raise ProblemError(unavailable("busy", f"{detail}: ask again later"))
        try:
            with fail_after(self._queue_s):
                await self._turns.acquire()
        except TimeoutError:
            detail = f"{self._what}: {self._threads} requests do it already, and none ended within {self._queue_s:g} s"
            raise ProblemError(unavailable("busy", f"{detail}: ask again later")) from None
        try:
            yield
        finally:
            self._turns.release()
