"""Where Redis is, and its client: other rooms take both from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import redis.asyncio
from redis import Redis
from redis.exceptions import RedisError

from eventfold.schemas.errors import UsageError

__all__ = ["Redis", "RedisError", "RedisSettings"]
_TIMEOUT_S = 30
_LOOP_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """`REDIS_URL`, by default redis://127.0.0.1:6379/0."""

    url: str = "redis://127.0.0.1:6379/0"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RedisSettings:
        return cls(url=environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0")

    def connect(self) -> Redis:
        """A client; it connects with the first command."""
        try:
            return Redis.from_url(self.url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=5)
        except ValueError as error:
            raise UsageError(f"REDIS_URL: {error}") from error

    def connect_on_loop(self) -> redis.asyncio.Redis:
        """A client for an event loop, which gives up sooner: somebody waits."""
        try:
            return redis.asyncio.Redis.from_url(self.url, socket_timeout=_LOOP_TIMEOUT_S, socket_connect_timeout=5)
        except ValueError as error:
            raise UsageError(f"REDIS_URL: {error}") from error
