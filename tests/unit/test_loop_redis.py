"""What is asked of Redis on the event loop is answered, whoever asks when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle, product, repeat
from typing import Any, cast

import redis.asyncio

from eventfold.store.loop_redis import Pipelines


class _Answering:
    """A Redis that answers OK to each command of a pipeline, as many turns of the event loop later as comes next in `takes`."""

    def __init__(self, takes: Iterator[int]) -> None:
        self._takes = takes
        self._commands = 0

    def pipeline(self, transaction: bool) -> _Answering:
        return _Answering(self._takes)

    def execute_command(self, *args: Any, **options: Any) -> None:
        self._commands += 1

    async def execute(self, raise_on_error: bool) -> list[str]:
        await turns(next(self._takes))
        return ["OK"] * self._commands


async def turns(count: int) -> None:
    """Let the event loop take so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_request_made_as_soon_as_the_last_one_is_answered_waits_for_no_other() -> None:
    """The task that sent the one before is over by then, though the event loop has not called its callbacks yet."""

    async def one_after_the_other() -> list[Any]:
        pipelines = Pipelines(cast(redis.asyncio.Redis, _Answering(repeat(1))), connections=1)
        return [await pipelines.ask([(("GET", "key"), {})]) for _ in range(3)]

    assert asyncio.run(asyncio.wait_for(one_after_the_other(), 5)) == [["OK"]] * 3


def test_two_that_ask_at_any_distance_wait_for_nobody_else() -> None:
    """Each asks some times, as soon as it is answered; one of the two begins later, and of two pipelines one takes longer."""
    stuck = []

    async def both(first: int, second: int, later: int, *takes: int) -> None:
        pipelines = Pipelines(cast(redis.asyncio.Redis, _Answering(cycle(takes))))

        async def ask(times: int, start: int) -> None:
            await turns(start)
            for _ in range(times):
                await pipelines.ask([(("GET", "key"), {})])

        asking = [asyncio.ensure_future(ask(first, 0)), asyncio.ensure_future(ask(second, later))]
        await turns(60)
        if not all(task.done() for task in asking):
            stuck.append((first, second, later, *takes))
            for task in asking:
                task.cancel()

    async def every_distance() -> None:
        for drawn in product(range(1, 4), range(1, 4), range(6), range(1, 5), range(1, 5)):
            await both(*drawn)

    asyncio.run(every_distance())
    assert not stuck
