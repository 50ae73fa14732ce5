"""Redis for code on an event loop: what is asked for at the same time goes in one pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis.asyncio
from redis import Redis
from redis.client import Pipeline

Wait = Callable[[Awaitable[list[Any]]], list[Any]]
Commands = Sequence[tuple[tuple[Any, ...], dict[str, Any]]]


class Pipelines:
    """Sends the commands of whoever asks in pipelines over a few connections: each takes what came while others were away."""

    def __init__(self, client: redis.asyncio.Redis, connections: int = 2) -> None:
        self._client = client
        self._connections = connections
        self._asked: list[tuple[Commands, asyncio.Future[list[Any]]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, commands: Commands) -> asyncio.Future[list[Any]]:
        """The reply to each command in order, an error of Redis among them as it is; a fault of the connection is raised."""
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._asked.append((commands, answer))
        if len(self._running) < self._connections:
            self._running.add(asyncio.get_running_loop().create_task(self._run()))
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _run(self) -> None:
        # It leaves the list in the very step in which it finds nothing left to send. A done-callback would run only after
        # whoever was answered last: what that one asks next would be queued behind a task that is over.
        try:
            while self._asked:
                await self._send()
        finally:
            self._running.discard(asyncio.current_task())

    async def _send(self) -> None:
        """One pipeline with all that was asked for until now."""
        asked, self._asked = self._asked, []
        try:
            pipe = self._client.pipeline(transaction=False)
            for commands, _ in asked:
                for args, options in commands:
                    pipe.execute_command(*args, **options)
            replies = await pipe.execute(raise_on_error=False)
        except Exception as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        start = 0
        for commands, answer in asked:
            if not answer.done():
                answer.set_result(replies[start : start + len(commands)])
            start += len(commands)


class LoopRedis(Redis):
    """A Redis client for code that waits in its own way for what an event loop brings."""

    through: Pipelines
    waiting: Wait

    @classmethod
    def over(cls, pipelines: Pipelines, wait: Wait) -> LoopRedis:
        """A client that connects to nothing itself."""
        client = cls()
        client.through = pipelines
        client.waiting = wait
        return client

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """As Redis has it."""
        (reply,) = self.waiting(self.through.ask([(args, options)]))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        """As Redis has it; without a transaction alone."""
        if transaction:
            raise NotImplementedError("what is sent in one pipeline with others is no transaction of its own")
        pipe = _LoopPipeline(self.connection_pool, self.response_callbacks, False, shard_hint)
        pipe.through = self.through
        pipe.waiting = self.waiting
        return pipe


class _LoopPipeline(Pipeline):
    through: Pipelines
    waiting: Wait

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands = [(args, options) for args, options in self.command_stack]
        self.command_stack = []
        replies: list[Any] = self.waiting(self.through.ask(commands)) if commands else []
        for reply in replies if raise_on_error else ():
            if isinstance(reply, Exception):
                raise reply
        return replies
