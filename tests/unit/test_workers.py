"""Threads for reads of the log: few, behind a short queue, and free again once nobody waits for what they do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from anyio import from_thread
from starlette.requests import ClientDisconnect, Request

from eventfold.web.connected import Waits, while_connected
from eventfold.web.problems import ProblemError
from eventfold.web.workers import Workers

SOON_S = 5.0


def workers(*, threads: int = 1, queue: int = 1, queue_s: float = SOON_S, within_s: float = SOON_S) -> Workers:
    return Workers("reading the log", threads, queue=queue, queue_s=queue_s, within_s=within_s)


def request(gone: asyncio.Event) -> Request:
    """Of a client that hangs up once `gone` is set."""

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)  # type: ignore[arg-type]


class Reading:
    """A read that has no end, which looks between two batches whether anybody waits for it."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        try:
            while True:
                from_thread.check_cancelled()
                threading.Event().wait(0.01)
        finally:
            self.ended.set()

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, SOON_S)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(4 * SOON_S):
            await test()

    asyncio.run(within())


def busy(error: ProblemError, kind: str = "busy") -> None:
    assert (error.problem.status, error.problem.kind) == (503, kind)
    assert error.problem.headers["retry-after"]


def test_what_is_too_much_for_the_queue_is_refused_at_once() -> None:
    async def test() -> None:
        found, free = workers(), threading.Event()
        running = asyncio.create_task(found.run(free.wait, SOON_S))
        waiting = asyncio.create_task(found.run(lambda: "in its turn"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as refused:
            await found.run(lambda: "too much")
        busy(refused.value)
        free.set()
        assert await running
        assert await waiting == "in its turn"

    run(test)


def test_who_waits_for_a_thread_too_long_is_refused() -> None:
    async def test() -> None:
        found, free = workers(queue_s=0.05), threading.Event()
        running = asyncio.create_task(found.run(free.wait, SOON_S))
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as refused:
            await found.run(lambda: None)
        busy(refused.value)
        free.set()
        assert await running

    run(test)


def test_what_takes_too_long_is_given_up_and_its_thread_is_free() -> None:
    async def test() -> None:
        found, reading = workers(within_s=0.05), Reading()
        with pytest.raises(ProblemError) as given_up:
            await found.run(reading)
        busy(given_up.value, "took-too-long")
        assert reading.ended.is_set()
        assert await found.run(lambda: "free") == "free"

    run(test)


def test_a_client_that_hangs_up_ends_its_read() -> None:
    async def test() -> None:
        found, reading, gone = workers(), Reading(), asyncio.Event()
        asked = asyncio.create_task(while_connected(request(gone), found.run, reading))
        await reading.has_begun()
        gone.set()
        with pytest.raises(ClientDisconnect):
            await asked
        assert reading.ended.is_set()
        assert await found.run(lambda: "free") == "free"

    run(test)


def test_a_client_that_hangs_up_leaves_the_queue() -> None:
    async def test() -> None:
        found, free, gone = workers(), threading.Event(), asyncio.Event()
        running = asyncio.create_task(found.run(free.wait, SOON_S))
        await asyncio.sleep(0)
        asked = asyncio.create_task(while_connected(request(gone), found.run, lambda: None))
        await asyncio.sleep(0)
        gone.set()
        with pytest.raises(ClientDisconnect):
            await asked
        waiting = asyncio.create_task(found.run(lambda: "in its place"))
        await asyncio.sleep(0)
        free.set()
        assert await running
        assert await waiting == "in its place"

    run(test)


def test_a_request_that_is_cancelled_ends_its_read() -> None:
    """As all are when the server is told to stop."""

    async def test() -> None:
        found, reading = workers(), Reading()
        asked = asyncio.create_task(found.run(reading))
        await reading.has_begun()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await asyncio.to_thread(reading.ended.wait, SOON_S)

    run(test)


def test_an_error_of_what_was_run_is_raised() -> None:
    def fails() -> None:
        raise LookupError("no such thing")

    async def test() -> None:
        with pytest.raises(LookupError, match="no such thing"):
            await while_connected(request(asyncio.Event()), workers().run, fails)

    run(test)


def test_so_many_wait_and_one_that_hangs_up_makes_room() -> None:
    async def test() -> None:
        waits, gone, never = Waits(1), asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(waits.run(request(gone), never.wait))
        await asyncio.sleep(0)
        assert waits.full
        with pytest.raises(ProblemError) as refused:
            await waits.run(request(asyncio.Event()), never.wait)
        busy(refused.value)
        gone.set()
        with pytest.raises(ClientDisconnect):
            await first
        assert not waits.full

    run(test)
