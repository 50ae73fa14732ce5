"""Reads slices, and writes each in one atomic step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from eventfold.schemas.errors import EventfoldError
from eventfold.store.commits import SCRIPT, Call, Commit
from eventfold.store.holds import Holds
from eventfold.store.slices import (
    CHANGES,
    ESCAPED,
    META,
    PARKED,
    PARKED_EVENTS,
    Progress,
    SliceId,
    key_text,
    read_progress,
    text_and_key,
)

_SCANNED = 2_000
_SAMPLES = 50
_READ = """
return {redis.call('HGET', KEYS[1], 'offset'), redis.call(ARGV[1], KEYS[2], unpack(ARGV, 2))}
"""


class SliceStore:
    """Reads and writes the slices of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = ""
        self.holds = Holds(redis)
        self._read = redis.register_script(_READ)

    def refuse_eviction(self) -> None:
        """EventfoldError when this Redis may evict keys now: half a slice would be gone without its offset.

        Where CONFIG is not allowed (some managed ones), INFO says it too.
        """
        try:
            policy = self._redis.config_get("maxmemory-policy").get("maxmemory-policy")
        except ResponseError:
            policy = self._redis.info("memory").get("maxmemory_policy")
        if policy not in (None, "noeviction"):
            raise EventfoldError(f"Redis may evict keys (maxmemory-policy {policy}): set it to noeviction")

    def progress(self, slices: Sequence[SliceId]) -> list[Progress]:
        """The stored progress of each slice, in one round trip; EventfoldError for one that is torn."""
        return read_progress(self._redis, slices)

    def rows(self, slice_: SliceId, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """The stored JSON of each row, None where there is none."""
        return self._redis.hmget(slice_.key(table), keys)  # type: ignore[return-value]

    def row(self, slices: Sequence[SliceId], table: str, key: str) -> list[bytes]:
        """The stored JSON of the row in each slice that has it, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hget(slice_.key(table), key)
        return [row for row in pipe.execute() if row is not None]

    def table(self, slice_: SliceId, table: str) -> dict[bytes, bytes]:
        """Every row of a table by key; for tables that are small."""
        return self._redis.hgetall(slice_.key(table))  # type: ignore[return-value]

    def hashes(self, slices: Sequence[SliceId], part: str) -> list[dict[bytes, bytes]]:
        """Every field of a part of each slice, in one round trip; for parts that are small."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hgetall(slice_.key(part))
        return pipe.execute()

    def fields(
        self, part: str, wanted: Sequence[tuple[SliceId, str | bytes]], counted: Sequence[SliceId] = ()
    ) -> tuple[list[bytes | None], int]:
        """Some fields of a part, and how many it has in all of the `counted` slices; one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_, field in wanted:
            pipe.hget(slice_.key(part), field)
        for slice_ in counted:
            pipe.hlen(slice_.key(part))
        found = pipe.execute()
        return found[: len(wanted)], sum(found[len(wanted) :])

    def sizes(self, part: str, slices: Sequence[SliceId]) -> list[int]:
        """How many fields a part has in each slice; one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hlen(slice_.key(part))
        return pipe.execute()

    def commit(self, commits: Sequence[Commit]) -> list[bool]:
        """Write each slice atomically: all of its changes and its progress, or nothing.

        False for a slice whose stored offset or revision is not `before`: another writer was there. Slices are
        independent of each other. After a redis error nothing is known: read the progress again.
        """
        if not self._script:
            self._script = str(self._redis.script_load(SCRIPT))
        pipe = self._redis.pipeline(transaction=False)
        for commit in commits:
            call = Call(commit)
            pipe.evalsha(self._script, len(call.keys), *call.keys, *call.argv)
        try:
            return [bool(done) for done in pipe.execute()]
        except NoScriptError:
            # This Redis was started anew. Some slices may be written, others not: the caller reads them again.
            self._script = ""
            raise

    def scan(self, slice_: SliceId, part: str, *, index: bool) -> Iterator[dict[str, bytes]]:
        """A table's rows by key (an index's members, each with an empty row), some at a time and in no order.

        What does not change while it is read is there at least once.
        """
        cursor = 0
        while True:
            found: Any
            if index:
                cursor, found = self._redis.zscan(slice_.key(part), cursor, count=_SCANNED)
                yield {key_text(member): b"" for member, _ in found}
            else:
                cursor, found = self._redis.hscan(slice_.key(part), cursor, count=_SCANNED)
                yield {key_text(key): row for key, row in found.items()}
            if cursor == 0:
                return

    def at(self, slice_: SliceId, part: str, keys: Sequence[str], *, index: bool) -> tuple[int, dict[str, bytes]]:
        """The slice's next offset, and those of the rows (or members) that are there, in one atomic read."""
        command = "ZMSCORE" if index else "HMGET"
        wanted = [key.encode(errors=ESCAPED) for key in keys]
        offset, rows = self._read(keys=[slice_.key(META), slice_.key(part)], args=[command, *wanted])
        there = {key: b"" if index else row for key, row in zip(keys, rows, strict=True) if row is not None}
        return int(offset or 0), there

    def by_index(
        self, slices: Sequence[SliceId], table: str, index: str, prefix: str, *, start: str, limit: int | None
    ) -> list[tuple[str, bytes]]:
        """Key and stored JSON of the rows whose member in the index begins with `prefix`, in the members' order.

        start: only those whose member is not before this text. limit: so many at most, none for all. Members and rows are
        not read at once: a row that is gone by then is left out.
        """
        low, high = b"[" + max(prefix.encode(), start.encode()), b"[" + prefix.encode() + b"\xff"
        first = {} if limit is None else {"start": 0, "num": limit}
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.zrangebylex(slice_.key(index), low, high, **first)
        rows: list[tuple[bytes, str, bytes]] = []
        for slice_, members in zip(slices, pipe.execute(), strict=True):
            keys = [text_and_key(key_text(member))[1] for member in members]
            stored = self.rows(slice_, table, keys) if keys else []
            rows += [(m, key, row) for m, key, row in zip(members, keys, stored, strict=True) if row is not None]
        return [(key, row) for _, key, row in sorted(rows, key=itemgetter(0))[:limit]]

    def until(self, slice_: SliceId, index: str, text: str, limit: int, after: str | None = None) -> list[str]:
        """The first members of an index whose text is at most `text`, in their order; `after`: only those behind that one."""
        low = b"-" if after is None else b"(" + after.encode(errors=ESCAPED)
        high = b"(" + text.encode() + b"\n"  # a member's text ends with a tab, which a line feed follows
        found: list[bytes] = self._redis.zrangebylex(slice_.key(index), low, high, 0, limit)  # type: ignore[assignment]
        return [key_text(member) for member in found]

    def is_index(self, slice_: SliceId, part: str) -> bool:
        """Whether a part is stored as an index, not as a table; of an empty one, no."""
        return self._redis.type(slice_.key(part)) == b"zset"

    def count(self, slice_: SliceId, part: str, *, index: bool = False) -> int:
        """How many rows a table has, or members an index."""
        key = slice_.key(part)
        return int(self._redis.zcard(key) if index else self._redis.hlen(key))

    def size(self, slice_: SliceId, parts: Iterable[str]) -> int:
        """About how many bytes of Redis' memory the slice takes."""
        pipe = self._redis.pipeline(transaction=False)
        for part in (META, CHANGES, *parts):
            pipe.memory_usage(slice_.key(part), samples=_SAMPLES)
        return sum(size or 0 for size in pipe.execute())

    def drop(self, slice_: SliceId, parts: Iterable[str]) -> None:
        """Remove a slice whole, its offset and what is parked included, in one UNLINK."""
        self._redis.unlink(*(slice_.key(part) for part in dict.fromkeys((META, PARKED, PARKED_EVENTS, CHANGES, *parts))))
