"""What is asked of Redis on the event loop is answered, whoever asks when."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import redis.asyncio

from eventfold.store.loop_redis import Pipelines


class _Answering:
    """A Redis that answers OK to each command, in the next turn of the event loop."""

    def __init__(self) -> None:
        self._commands = 0

    def pipeline(self, transaction: bool) -> _Answering:
        return _Answering()

    def execute_command(self, *args: Any, **options: Any) -> None:
        self._commands += 1

    async def execute(self, raise_on_error: bool) -> list[str]:
        await asyncio.sleep(0)
        return ["OK"] * self._commands


def test_a_request_made_as_soon_as_the_last_one_is_answered_waits_for_no_other() -> None:
    """The task that sent the one before is over by then, though the event loop has not called its callbacks yet."""

    async def one_after_the_other() -> list[Any]:
        pipelines = Pipelines(cast(redis.asyncio.Redis, _Answering()), connections=1)
        return [await pipelines.ask([(("GET", "key"), {})]) for _ in range(3)]

    assert asyncio.run(asyncio.wait_for(one_after_the_other(), 5)) == [["OK"]] * 3
