"""One supervisor a name: two of them would start again, for ever, the handlers that fence each other.

Key: `<prefix>logfold:supervisor:<instance>`, JSON with `host`, `pid` and a token; it expires unless it is renewed.
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

log = structlog.get_logger("supervisor")


@contextmanager
def claimed(redis: Redis, prefix: str, instance: str, stop: threading.Event) -> Iterator[None]:
    """Hold the name for the block. LogfoldError when another holds it; when another took it meanwhile, `stop` is set first.

    One that was killed on this host is taken over at once, one on another host when its claim expires (15 s). A Redis that
    is away, or that was emptied, ends nothing.
    """
    claim = _Claim(redis, prefix, instance)
    patiently(claim.take, stop)
    ended = threading.Event()
    keeper = threading.Thread(target=claim.keep, args=(ended, stop), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        # A Redis that hangs must not hold up the end: what is not released expires.
        keeper.join(_RELEASE_S)
    if claim.lost:
        raise LogfoldError(claim.lost)


class _Claim:
    def __init__(self, redis: Redis, prefix: str, instance: str) -> None:
        self._instance = instance
        self._key = f"{prefix}logfold:supervisor:{instance}"
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
                log.warning("the claim cannot be renewed", instance=self._instance, fault=repr(fault))
                continue
            if held is not None:
                self.lost = self._taken(held)
                stop.set()
                return
        try:
            self._set(kept_ms=1)
        except RedisError as fault:
            log.warning("the claim is left to expire", instance=self._instance, fault=repr(fault))

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
        return (
            f"`logfold run all` of the instance {self._instance!r} runs already, on {holder['host']} with pid {holder['pid']}: "
            "stop it first, or give each its own --instance"
        )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
