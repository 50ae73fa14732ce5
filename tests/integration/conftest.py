"""Servers that only some of these tests need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.deadline import eventually


@pytest.fixture
def evicting_redis(tmp_path: Path, sandbox: object) -> Iterator[str]:
    """The URL of a Redis that may evict keys."""
    socket = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--maxmemory-policy", "allkeys-lru"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    redis = Redis.from_url(url)
    try:

        def answers() -> bool:
            try:
                return bool(redis.ping())
            except RedisConnectionError:
                return False

        eventually(answers, "the evicting Redis answers")
        yield url
    finally:
        redis.close()
        server.kill()
        server.wait()
