"""One at a time: a claim in Redis on what only one process may do, such as supervising an instance or replaying a read model.

A claim is JSON with `host`, `pid` and a token; it expires unless it is renewed.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading

import orjson
import structlog
from redis import Redis
from redis.exceptions import RedisError

from eventfold.schemas.errors import EventfoldError, Outlook, spoken
from eventfold.store.errors import outlook, told

_KEPT_MS = 15_000
_EVERY_S = 3.0
# Takes the name if nobody holds it, or this claim (ARGV[1]) or the given holder (ARGV[2]); else tells who does.
_SET = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and held ~= ARGV[2] then
  return held
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return false
"""

log = structlog.get_logger("eventfold")


class Claim:
    """One process's claim, which expires unless it is kept."""

    def __init__(self, redis: Redis, prefix: str, what: str, taken: str) -> None:
        """what: may be done by one process alone, such as `replay:flights`.

        taken: what to say of another that does it, with {host} and {pid}.
        """
        self._key = f"{prefix}eventfold:{what}"
        self._words = taken
        self._host = socket.gethostname()
        self._mine = orjson.dumps({"host": self._host, "pid": os.getpid(), "token": secrets.token_hex(8)})
        self._redis = redis
        self._script = redis.register_script(_SET)
        self.lost = ""

    def take(self) -> None:
        """Take it; EventfoldError when another holds it. One that was killed on this host is taken over at once."""
        held = self._set()
        if held is not None and self._is_gone(held):
            held = self._set(over=held)
        if held is not None:
            raise EventfoldError(self._taken(held))

    def keep(self, ended: threading.Event, stop: threading.Event) -> None:
        """Renew the claim until the end, then release it."""
        while not ended.wait(_EVERY_S):
            try:
                held = self._set()
            except RedisError as fault:
                log.warning("the claim cannot be renewed", claim=self._key, fault=spoken(fault))
                if outlook(fault) is Outlook.LASTS:
                    self.lost = f"the claim {self._key} cannot be renewed: {told(fault, self._redis)}"
                    stop.set()
                    return
                continue
            if held is not None:
                self.lost = self._taken(held)
                stop.set()
                return
        try:
            self._set(kept_ms=1)
        except RedisError as fault:
            log.warning("the claim is left to expire", claim=self._key, fault=spoken(fault))

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
