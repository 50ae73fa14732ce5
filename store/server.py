"""What a Redis says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """version: `7.0.15`. appends: whether it keeps an append-only file. used: its memory, as a person reads it (`1.53M`)."""

    version: str
    appends: bool
    used: str

    @classmethod
    def asked(cls, redis: Redis) -> Server:
        info: Any = redis.info()
        return cls(version=str(info["redis_version"]), appends=bool(info["aof_enabled"]), used=info["used_memory_human"])
