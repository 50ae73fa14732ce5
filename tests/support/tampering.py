"""Damages what lies in Redis as an eviction, a careless operator or a partly restored dump would, at random."""

from __future__ import annotations

import random
from collections import deque

from redis import Redis

_REMEMBERED = 6
_OF_A_SLICE = 4


class Tampering:
    """Deletes or renames keys, deletes single fields, and restores keys as they were some writes ago.

    Only keys that match `pattern`, and of these none in whose name `spared` is found. The same seed and the same
    content give the same damage.
    """

    def __init__(self, redis: Redis, chance: random.Random, pattern: str, spared: bytes = b"\n") -> None:
        self._redis = redis
        self._chance = chance
        self._pattern = pattern
        self._spared = spared
        self._earlier: dict[bytes, deque[bytes]] = {}

    def remember(self) -> None:
        """Keep every key as it is now, to restore it later."""
        for key in self._keys():
            dumped = self._redis.dump(key)
            if dumped is not None:
                kept = self._earlier.setdefault(key, deque(maxlen=_REMEMBERED))
                if not kept or kept[-1] != dumped:
                    kept.append(dumped)

    def damage(self) -> str:
        """Do one thing at random, and say what; empty where there was nothing to damage."""
        acts = {"delete": self._delete, "rename": self._rename, "field": self._field, "restore": self._restore}
        name = self._chance.choice(sorted(acts))
        key = self._key(restoring=name == "restore")
        return "" if key is None or not acts[name](key) else f"{name} {key.decode(errors='backslashreplace')}"

    def _keys(self) -> list[bytes]:
        return sorted(key for key in self._redis.scan_iter(self._pattern, count=1_000) if self._spared not in key)

    def _key(self, *, restoring: bool) -> bytes | None:
        keys = sorted(self._earlier) if restoring else self._keys()
        return self._chance.choice(keys) if keys else None

    def _delete(self, key: bytes) -> bool:
        return bool(self._redis.unlink(key))

    def _rename(self, key: bytes) -> bool:
        """Of a slice, to another of its keys, or to one that nobody knows; not of a registry."""
        tag = key[: key.rindex(b":") + 1]
        if tag.count(b":") < _OF_A_SLICE:
            return False
        to = self._chance.choice([*(other for other in self._keys() if other.startswith(tag)), tag + b"nowhere"])
        return self._redis.exists(key) == 1 and bool(self._redis.rename(key, to))

    def _field(self, key: bytes) -> bool:
        kind = self._redis.type(key)
        if kind == b"hash":
            fields = sorted(self._redis.hkeys(key))
            return bool(fields) and bool(self._redis.hdel(key, self._chance.choice(fields)))
        if kind == b"zset":
            members = self._redis.zrange(key, 0, -1)
            return bool(members) and bool(self._redis.zrem(key, self._chance.choice(members)))
        if kind == b"stream":
            entries = self._redis.xrange(key)
            return bool(entries) and bool(self._redis.xdel(key, self._chance.choice(entries)[0]))
        return False

    def _restore(self, key: bytes) -> bool:
        dumped = self._chance.choice(self._earlier[key])
        if self._redis.dump(key) == dumped:
            return False
        self._redis.restore(key, 0, dumped, replace=True)
        return True
