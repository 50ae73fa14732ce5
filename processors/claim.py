"""One at a time: a claim in Redis on what only one process may do, such as supervising an instance or replaying a read model.

A claim is JSON with `host`, `pid` and a token; it expires unless it is renewed.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import structlog
from redis import Redis
from redis.exceptions import RedisError

from processors.patience import patiently
from schemas.errors import LogfoldError

_KEPT_MS = 15_000
_EVERY_S = 3.0
_RELEASE_S = 3.0
# Takes the name if nobody holds it, or this claim (ARGV[1]) or the given holder (ARGV[2]); else tells who does.
_SET = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and held ~= ARGV[2] then
  return held
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return false
"""

log = structlog.get_logger("logfold")


@contextmanager
def claimed(redis: Redis, key: str, taken: str, stop: threading.Event) -> Iterator[None]:
    """Hold the claim `key` for the block; when another took it meanwhile, `stop` is set and the block ends in an error.

    LogfoldError when another holds it, in the words of `taken`, with `{host}` and `{pid}` filled in. One that was killed on
    this host is taken over at once, one on another host when its claim expires (15 s). A Redis that is away, or that was
    emptied, ends nothing.
    """
    claim = _Claim(redis, key, taken)
    patiently(claim.take, stop)
    ended = threading.Event()
    keeper = threading.Thread(target=claim.keep, args=(ended, stop), daemon=True)
    keeper.start()
    try:
        yield
    except LogfoldError as error:
        if claim.lost:
            raise LogfoldError(claim.lost) from error
        raise
    finally:
        ended.set()
        # A Redis that hangs must not hold up the end: what is not released expires.
        keeper.join(_RELEASE_S)
    if claim.lost:
        raise LogfoldError(claim.lost)


class _Claim:
    def __init__(self, redis: Redis, key: str, taken: str) -> None:
        self._key = key
        self._words = taken
        self._host = socket.gethostname()
        self._mine = orjson.dumps({"host": self._host, "pid": os.getpid(), "token": secrets.token_hex(8)})
        self._script = redis.register_script(_SET)
        self.lost = ""

    def take(self) -> None:
        held = self._set()
        if held is not None and self._is_gone(held):
            held = self._set(over=held)
        if held is not None:
            raise LogfoldError(self._taken(held))

    def keep(self, ended: threading.Event, stop: threading.Event) -> None:
        """Renew the claim until the end, then release it."""
        while not ended.wait(_EVERY_S):
            try:
                held = self._set()
            except RedisError as fault:
                log.warning("the claim cannot be renewed", claim=self._key, fault=repr(fault))
                continue
            if held is not None:
                self.lost = self._taken(held)
                stop.set()
                return
        try:
            self._set(kept_ms=1)
        except RedisError as fault:
            log.warning("the claim is left to expire", claim=self._key, fault=repr(fault))

    def _set(self, over: bytes = b"", kept_ms: int = _KEPT_MS) -> bytes | None:
        held: bytes | None = self._script(keys=[self._key], args=[self._mine, over, kept_ms])
        return held

    def _is_gone(self, held: bytes) -> bool:
        holder = orjson.loads(held)
        if holder["host"] != self._host:
            return False
        # A container started again has the same host and often the same pid: then it is not another that lives.
        return holder["pid"] == os.getpid() or not _lives(holder["pid"])

    def _taken(self, held: bytes) -> str:
        holder = orjson.loads(held)
        return self._words.replace("{host}", holder["host"]).replace("{pid}", str(holder["pid"]))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
