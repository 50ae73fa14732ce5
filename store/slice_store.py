"""Reads slices, and writes each in one atomic step."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from eventfold.schemas.errors import EventfoldError
from eventfold.store.commits import SCRIPT, Call, Commit
from eventfold.store.holds import Holds
from eventfold.store.index_members import last_until, parts_and_key
from eventfold.store.integrity import ProvedReads, Wanted, digest_of, pairs, raise_first
from eventfold.store.slices import (
    CHANGES,
    ESCAPED,
    META,
    PARKED,
    PARKED_EVENTS,
    STAMP,
    Progress,
    SliceId,
    key_text,
    progress_of,
    read_progress,
)

_SCANNED = 2_000
_SAMPLES = 50


class SliceStore:
    """Reads and writes the slices of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = digest_of(SCRIPT)
        self.holds = Holds(redis)
        self._reads = ProvedReads(redis)

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
        """The stored progress of each slice, in one round trip; TornError for one that has lost a field of it.

        Whether the parts are whole is not looked at.
        """
        return read_progress(self._redis, slices)

    def proved(self, slices: Sequence[SliceId], parts: Sequence[str]) -> tuple[list[Progress], dict[SliceId, str]]:
        """The stored progress of each slice, and of those that are torn the name of a part that is not whole.

        parts: all that such a slice may have. The progress of a torn slice is that of an absent one.
        """
        every = _every(parts)
        found = self._reads.read([Wanted(slice_, every, [("HGETALL", META)]) for slice_ in slices])
        progress = [Progress(digests={}) if of.torn else progress_of(of.slice, pairs(of.values[0])) for of in found]
        if more := {part for of in progress for part in of.parts}.difference(every):
            # As of a table that is declared no more: each write proves all parts that there are.
            return self.proved(slices, [*parts, *sorted(more)])
        return progress, {of.slice: of.torn for of in found if of.torn}

    def drop_torn(self, slice_: SliceId, parts: Sequence[str]) -> bool:
        """Delete a slice, if it is torn still, in one step with the look; whether it was. parts: also the one that was torn."""
        return bool(self._reads.drop_torn(slice_, [part for part in _every(parts) if part != META]))

    def stamps(self, slices: Sequence[tuple[SliceId, Collection[str]]]) -> list[str | None]:
        """The stamp of the last write of each slice; None where one of the parts is not whole. One round trip."""
        found = self._reads.read([Wanted(slice_, tuple(parts)) for slice_, parts in slices])
        return [None if of.torn else of.stamp for of in found]

    def rows(
        self, slice_: SliceId, table: str, keys: Sequence[str | bytes], stamps: Container[str] | None = None
    ) -> list[bytes | None]:
        """The stored JSON of each row, None where there is none; TornError when the table is not whole.

        stamps: those that the last write of the slice may have; MovedError when it has another one.
        """
        rows: list[bytes | None] = self._reads.whole(slice_, [table], ("HMGET", table, *keys), stamps=stamps).values[0]
        return rows

    def row(self, slices: Sequence[SliceId], table: str, key: str) -> list[bytes]:
        """The stored JSON of the row in each slice that has it.

        One round trip where all have it; where one has not, a second one proves that, or raises TornError. A table that was
        set back is noticed by the slice's daemon within a second, not by this.
        """
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hget(slice_.key(table), key)
        rows: list[bytes | None] = pipe.execute()
        if None not in rows:
            return rows  # type: ignore[return-value]
        found = self._reads.read([Wanted(slice_, [table], [("HGET", table, key)]) for slice_ in slices])
        return [of.values[0] for of in found if of.whole().values[0] is not None]

    def table(self, slice_: SliceId, table: str) -> dict[bytes, bytes]:
        """Every row of a table by key; for tables that are small. TornError when it is not whole."""
        return self.hashes([slice_], table)[0]

    def hashes(self, slices: Sequence[SliceId], part: str) -> list[dict[bytes, bytes]]:
        """Every field of a part of each slice, in one round trip; for parts that are small. TornError as in `rows`."""
        found = self._reads.read([Wanted(slice_, [part], [("HGETALL", part)]) for slice_ in slices])
        return [pairs(of.whole().values[0]) for of in found]

    def fields(
        self, part: str, wanted: Sequence[tuple[SliceId, str | bytes]], counted: Sequence[SliceId] = ()
    ) -> tuple[list[bytes | None], int]:
        """Some fields of a part, and how many it has in all of the `counted` slices; one round trip.

        Whether the part is whole is not looked at.
        """
        pipe = self._redis.pipeline(transaction=False)
        for slice_, field in wanted:
            pipe.hget(slice_.key(part), field)
        for slice_ in counted:
            pipe.hlen(slice_.key(part))
        found = pipe.execute()
        return found[: len(wanted)], sum(map(_unstamped, found[len(wanted) :]))

    def sizes(self, part: str, slices: Sequence[SliceId]) -> list[int]:
        """How many fields a part has in each slice; one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hlen(slice_.key(part))
        return [*map(_unstamped, pipe.execute())]

    def commit(self, commits: Sequence[Commit]) -> list[bool]:
        """Write each slice atomically: all of its changes and its progress, or nothing.

        False for a slice that is not as `before` says: another writer was there, it is held, or a part of it is not whole.
        Slices are independent of each other. After a redis error nothing is known: read the progress again.
        """
        calls = [Call(commit) for commit in commits]
        answers = self._sent(calls)
        if forgotten := [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]:
            # This Redis was started anew, or was told SCRIPT FLUSH; what it refuses with that did not run.
            self._script = str(self._redis.script_load(SCRIPT))
            for index, answer in zip(forgotten, self._sent([calls[index] for index in forgotten]), strict=True):
                answers[index] = answer
        raise_first(answers)
        return [answer == 1 for answer in answers]

    def _sent(self, calls: Sequence[Call]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for call in calls:
            pipe.evalsha(self._script, len(call.keys), *call.keys, *call.argv)
        return pipe.execute(raise_on_error=False)

    def scan(self, slice_: SliceId, part: str, *, index: bool) -> Iterator[dict[str, bytes]]:
        """A table's rows by key (an index's members, each with an empty row), some at a time and in no order.

        What does not change while it is read is there at least once. Whether the part is whole is not looked at: see `check`.
        """
        cursor = 0
        while True:
            found: Any
            if index:
                cursor, found = self._redis.zscan(slice_.key(part), cursor, count=_SCANNED)
                yield {key_text(member): b"" for member, _ in found if not member.startswith(STAMP)}
            else:
                cursor, found = self._redis.hscan(slice_.key(part), cursor, count=_SCANNED)
                yield {key_text(key): row for key, row in found.items() if key != STAMP}
            if cursor == 0:
                return

    def check(self, slice_: SliceId, parts: Collection[str]) -> None:
        """TornError when one of these parts is not whole."""
        self._reads.whole(slice_, tuple(parts))

    def at(self, slice_: SliceId, part: str, keys: Sequence[str], *, index: bool) -> tuple[int, dict[str, bytes]]:
        """The slice's next offset, and those of the rows (or members) that are there, in one atomic read.

        TornError as in `rows`.
        """
        return self._at(slice_, part, keys, index=index, proved=[part])

    def as_it_is(self, slice_: SliceId, part: str, keys: Sequence[str], *, index: bool) -> tuple[int, dict[str, bytes]]:
        """As `at`, of a part that need not be whole: for those who look for what is wrong with it."""
        return self._at(slice_, part, keys, index=index, proved=[])

    def _at(
        self, slice_: SliceId, part: str, keys: Sequence[str], *, index: bool, proved: Sequence[str]
    ) -> tuple[int, dict[str, bytes]]:
        command = "ZMSCORE" if index else "HMGET"
        wanted = [key.encode(errors=ESCAPED) for key in keys]
        found = self._reads.read([Wanted(slice_, proved, [(command, part, *wanted)])])[0].whole()
        rows = zip(keys, found.values[0], strict=True)
        return found.offset, {key: b"" if index else row for key, row in rows if row is not None}

    def by_index(
        self, slices: Sequence[SliceId], table: str, index: str, prefix: str, *, start: str, limit: int | None
    ) -> list[tuple[str, bytes]]:
        """Key and stored JSON of the rows whose member in the index begins with `prefix`, in the members' order.

        start: only those whose member is not before this text. limit: so many at most, none for all. Members and rows are
        not read at once: a row that is gone by then is passed over, and those behind it are read. TornError as in `rows`.
        """
        high = b"[" + prefix.encode() + b"\xff"
        first = () if limit is None else ("LIMIT", 0, limit)
        left = dict.fromkeys(slices, b"[" + max(prefix.encode(), start.encode()))
        rows: dict[SliceId, dict[str, tuple[bytes, bytes]]] = {slice_: {} for slice_ in slices}
        while left:
            wanted = [Wanted(of, [index], [("ZRANGEBYLEX", index, low, high, *first)]) for of, low in left.items()]
            left = {}
            for of in self._reads.read(wanted):
                members, found = of.whole().values[0], rows[of.slice]
                keys = [parts_and_key(key_text(member))[1] for member in members]
                stored = self.rows(of.slice, table, [key.encode(errors=ESCAPED) for key in keys]) if keys else []
                for member, key, row in zip(members, keys, stored, strict=True):
                    if row is not None:
                        # One that moved on meanwhile is found once more, and counts once.
                        found.setdefault(key, (member, row))
                if limit is not None and len(members) == limit > len(found):
                    left[of.slice] = b"(" + members[-1]
        every = [(member, key, row) for found in rows.values() for key, (member, row) in found.items()]
        return [(key, row) for _, key, row in sorted(every, key=itemgetter(0))[:limit]]

    def until(self, slice_: SliceId, index: str, first: str, limit: int, after: str | None = None) -> list[str]:
        """The first members of an index whose first part is at most `first`, in their order; `after`: only those behind that
        one.

        TornError when the index is not whole.
        """
        low = b"-" if after is None else b"(" + after.encode(errors=ESCAPED)
        high = b"(" + last_until(first).encode()
        found = self._reads.whole(slice_, [index], ("ZRANGEBYLEX", index, low, high, "LIMIT", 0, limit))
        return [key_text(member) for member in found.values[0]]

    def is_index(self, slice_: SliceId, part: str) -> bool:
        """Whether a part is stored as an index, not as a table; of an empty one, no."""
        return self._redis.type(slice_.key(part)) == b"zset"

    def count(self, slice_: SliceId, part: str, *, index: bool = False) -> int:
        """How many rows a table has, or members an index."""
        key = slice_.key(part)
        return _unstamped(int(self._redis.zcard(key) if index else self._redis.hlen(key)))

    def size(self, slice_: SliceId, parts: Iterable[str]) -> int:
        """About how many bytes of Redis' memory the slice takes."""
        pipe = self._redis.pipeline(transaction=False)
        for part in (META, CHANGES, *parts):
            pipe.memory_usage(slice_.key(part), samples=_SAMPLES)
        return sum(size or 0 for size in pipe.execute())

    def drop(self, slice_: SliceId, parts: Iterable[str]) -> None:
        """Remove a slice whole, its offset and what is parked included, in one UNLINK."""
        self._redis.unlink(*(slice_.key(part) for part in (META, *_every(parts))))


def _every(parts: Iterable[str]) -> list[str]:
    """All parts that a slice may have besides its progress."""
    return list(dict.fromkeys((PARKED, PARKED_EVENTS, CHANGES, *parts)))


def _unstamped(size: int) -> int:
    """How many entries a part has besides its stamp."""
    return max(0, size - 1)
