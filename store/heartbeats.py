"""Signs of life: each daemon writes what it does into one Redis hash, `<prefix>eventfold:daemons`, once a second."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

EVERY_S = 1.0
SILENT_S = 5.0
# A try of what a daemon waits for may take so long.
_SILENT_IN_TROUBLE_S = 60.0
_FORGOTTEN_S = 24 * 3600
# A Redis that is full takes the sign of life of who waits for that to pass.
_WRITE_WHEN_FULL = """#!lua flags=allow-oom
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""
_OF_THE_LIVING = ("stalled", "retrying", "waits", "trouble", "too_large")


class Pulse(Protocol):
    """When a daemon looks around, and what it does then with what it has done."""

    def due(self) -> bool: ...
    def beat(self, events: int, status: Callable[[], dict[str, Any]]) -> None: ...


class Quiet:
    """The pulse of who gives no sign of life of its own."""

    def __init__(self) -> None:
        self._last = 0.0

    def due(self) -> bool:
        """Whether a second has passed since the last `beat` that counted."""
        return time.monotonic() - self._last >= EVERY_S

    def beat(self, events: int, status: Callable[[], dict[str, Any]]) -> None:
        """Count it, at most once a second."""
        if self.due():
            self._last = time.monotonic()


class Heartbeat:
    """One daemon's sign of life, with its rate since the last one."""

    def __init__(self, redis: Redis, prefix: str, name: str, role: str) -> None:
        self._redis = redis
        self._key = _key(prefix)
        self._name = name
        self._role = role
        self._started = time.time()
        self._last = 0.0
        self._events = 0
        self._total = 0

    def due(self) -> bool:
        """Whether the next `beat` writes."""
        return time.monotonic() - self._last >= EVERY_S

    def beat(self, events: int, status: Callable[[], dict[str, Any]]) -> None:
        """Count events; write at most once a second. A Redis that is away is the daemon's business, not ours."""
        self._events += events
        self._total += events
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        rate = self._events / (now - self._last) if self._last else 0.0
        self._last, self._events = now, 0
        body = {
            "role": self._role,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self._started,
            "beat": time.time(),
            "events": self._total,
            "events_per_s": round(rate, 1),
            **status(),
        }
        try:
            _write(self._redis, self._key, self._name, body)
        except RedisError:
            self._last = 0.0

    def end(self) -> None:
        """Say that the daemon ended as it should."""
        try:
            self._redis.hdel(self._key, self._name)
        except RedisError:
            return


def ended(redis: Redis, prefix: str, name: str, role: str, about: Mapping[str, str], why: str) -> None:
    """Leave behind that a daemon of this process ended by a fault, and why, beside what it said last.

    about: which `domain`, `projection` or `process_manager` it worked for. Where another process lives under its name, that
    one's sign of life stays. RedisError when it cannot be written.
    """
    stored: bytes | None = redis.hget(_key(prefix), name)  # type: ignore[assignment]
    last: dict[str, Any] = {} if stored is None else orjson.loads(stored)
    me = {"pid": os.getpid(), "host": socket.gethostname()}
    if not last.items() >= me.items():
        if last and _lives(last, time.time()):
            return
        last = {"started": time.time(), "events": 0}
    now = {"role": role, **about, **me, "beat": time.time(), "events_per_s": 0.0, "partitions": {}, "ended": why}
    _write(redis, _key(prefix), name, {key: of for key, of in last.items() if key not in _OF_THE_LIVING} | now)


def daemons(redis: Redis, prefix: str) -> dict[str, dict[str, Any]]:
    """The last sign of life of each daemon by name, with `alive` and its `age_s`; day-old ones are forgotten."""
    found = {}
    now = time.time()
    for name, stored in sorted(_stored(redis, prefix).items()):
        body = orjson.loads(stored)
        age = now - body["beat"]
        if age > _FORGOTTEN_S:
            redis.hdel(_key(prefix), name)
            continue
        found[name.decode()] = {**body, "age_s": round(age, 1), "alive": _lives(body, now)}
    return found


def feeding(found: Mapping[str, Mapping[str, Any]], projection: str) -> list[Mapping[str, Any]]:
    """What the living projectors of a projection say, of what `daemons` found."""
    alive = (body for body in found.values() if body["alive"] and body["role"] == "projector")
    return [body for body in alive if body.get("projection") == projection]


def state(body: Mapping[str, Any]) -> str:
    """What a daemon does by its last sign of life, in a few words."""
    if not body["alive"]:
        return "ended by itself" if "ended" in body else "silent"
    parked = sum(body.get("parked", {}).values())
    what = [
        *(f"stands still: {place}" for place in body.get("stalled", {})),
        *(f"tries again: {place}" for place in body.get("retrying", {})),
    ]
    if body.get("trouble"):
        what.append("waits for what passes")
    if not what:
        what.append("waits: the live generation is of another version" if body.get("waits") else "runs")
    if body.get("first"):
        what.append("not of the whole history")
    if large := len(body.get("too_large", {})):
        what.append(f"{large} states too large" if large > 1 else "1 state too large")
    if parked:
        what.append(f"{parked} keys parked" if parked > 1 else "1 key parked")
    return ", ".join(what)


def why(body: Mapping[str, Any]) -> str | None:
    """Why a daemon ended, or is silent, or what it waits for, in a sentence; None of one that works."""
    where = f"pid {body['pid']} on {body['host']}"
    if "ended" in body:
        return f"ended by itself {body['age_s']:g} s ago ({where}): {body['ended']}"
    if not body["alive"]:
        return f"silent for {body['age_s']:g} s: {where} was killed, or it hangs"
    return f"waits: {body['trouble']}" if body.get("trouble") else None


def _lives(body: Mapping[str, Any], now: float) -> bool:
    """Whether a sign of life is recent, and not the last one."""
    limit = _SILENT_IN_TROUBLE_S if body.get("trouble") else SILENT_S
    return "ended" not in body and now - body["beat"] < limit


def _write(redis: Redis, key: str, name: str, body: Mapping[str, Any]) -> None:
    written = orjson.dumps(body)
    try:
        redis.hset(key, name, written)
    except OutOfMemoryError:
        redis.eval(_WRITE_WHEN_FULL, 1, key, name, written)


def _stored(redis: Redis, prefix: str) -> dict[bytes, bytes]:
    return redis.hgetall(_key(prefix))  # type: ignore[return-value]


def _key(prefix: str) -> str:
    return f"{prefix}eventfold:daemons"
