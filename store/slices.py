"""Slices in Redis: what a fold made of ONE partition, its rows and its next offset, in one hash slot.

Keys: `{<owner>:<generation>:<topic>:<partition>}:<part>`; the part `slice` is a hash with `offset` (the next one to
fold), `revision` (counts the writes), `topic_id`, `last_offset` / `last_id` (the last event folded), `digest.<table>`
(see projections.digest), and, while a switch of generations holds the slice, `held` (until when, in milliseconds). The
parts `parked` and `parked-events` say what is put aside (see eventfold.store.parked). Every other part is a table (a hash of
JSON rows) or an index (a sorted set, all scores 0, read in the order of the members). Where a projection asks for it, the
part `changes` is a stream of what was written last (see projections.feed), and `changed` in `slice` is its last entry's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from eventfold.schemas.errors import EventfoldError
from eventfold.store.digests import Digests

META = "slice"
PARKED, PARKED_EVENTS = "parked", "parked-events"
CHANGES = "changes"
_DIGEST = "digest."
_HELD = "held"
HOLD_MS = 5_000
_ESCAPED = "surrogateescape"
_SCANNED = 2_000
_SAMPLES = 50
# Redis undoes nothing of a script that fails midway (a part that is no hash, a command that an ACL forbids), so the
# slice counts as torn from the first write to the last. Lua's stack bounds the arguments of one call; an even number
# keeps field and value together. A stream whose last entry is beyond this one is of what Redis forgot: it begins anew.
_COMMIT = """
local now = redis.call('HMGET', KEYS[1], 'offset', 'revision', 'held')
if (now[1] or '') ~= ARGV[1] or (now[2] or '') ~= ARGV[2] then
  return 0
end
if now[3] then
  local time = redis.call('TIME')
  if ARGV[3] ~= 'holder' and tonumber(now[3]) > time[1] * 1000 + time[2] / 1000 then
    return 0
  end
  redis.call('HDEL', KEYS[1], 'held')
end
redis.call('HSET', KEYS[1], 'revision', 'torn')
local i = 4
while i <= #ARGV do
  local key, last = KEYS[tonumber(ARGV[i + 1])], i + 2 + tonumber(ARGV[i + 2])
  if last == i + 2 then
    redis.call(ARGV[i], key)
  elseif ARGV[i] == 'XADD' then
    if type(redis.pcall('XADD', key, unpack(ARGV, i + 3, last))) ~= 'string' then
      redis.call('UNLINK', key)
      redis.call('XADD', key, unpack(ARGV, i + 3, last))
    end
  else
    for from = i + 3, last, 4000 do
      redis.call(ARGV[i], key, unpack(ARGV, from, math.min(from + 3999, last)))
    end
  end
  i = last + 1
end
return 1
"""
# Whoever has read the slice before is refused from now on, by the revision; whoever reads it now, by `held`.
_HOLD = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'offset', 0, 'revision', 0, 'topic_id', '')
end
local time = redis.call('TIME')
local now, held = time[1] * 1000 + math.floor(time[2] / 1000), redis.call('HGET', KEYS[1], 'held')
if ARGV[2] == 'free' and held and tonumber(held) > now then
  return false
end
redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('HSET', KEYS[1], 'held', string.format('%.0f', now + ARGV[1]))
return redis.call('HGETALL', KEYS[1])
"""
_READ = """
return {redis.call('HGET', KEYS[1], 'offset'), redis.call(ARGV[1], KEYS[2], unpack(ARGV, 2))}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceId:
    """Which slice: of whom (a projection, a handler), of which build, of which partition of which topic."""

    owner: str
    generation: str
    topic: str
    partition: int

    def key(self, part: str) -> str:
        return f"{{{self.owner}:{self.generation}:{self.topic}:{self.partition}}}:{part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a slice has come, as stored.

    offset: the next offset to fold. revision: the number of writes. topic_id: of the topic it was folded from.
    last_offset, last_id: the last event folded, by which a log that was cut short or made again is recognised.
    digests: of its tables; None when they are not known (a row was written past the fold). held_until: when a switch of
    generations ends to hold it, in milliseconds of Redis' clock; 0 when none does. changed: the id of the last entry in its
    stream of changes, empty when there is none. An absent slice has offset 0 and revision 0.
    """

    offset: int = 0
    revision: int = 0
    topic_id: str = ""
    last_offset: int | None = None
    last_id: str = ""
    digests: Digests | None = None
    held_until: int = 0
    changed: str = ""

    @property
    def held(self) -> bool:
        """Whether a switch of generations holds it, so that nobody may write it; a hold that ran out may still say so."""
        return self.held_until > 0


class Changes:
    """What one commit writes: rows by table, members of indexes, parts to drop first, what is parked (by part and field, see
    eventfold.store.parked); and what it adds to the digests.
    """

    __slots__ = ("digests", "drops", "members", "parked", "rows")

    def __init__(self) -> None:
        self.digests: dict[str, int] = {}
        self.rows: dict[str, dict[str, bytes | None]] = {}
        self.members: dict[str, dict[str, bool]] = {}
        self.drops: list[str] = []
        self.parked: dict[str, dict[Any, bytes | None]] = {}

    def put(self, table: str, key: str, row: bytes | None) -> None:
        """Write a row, or delete it (None)."""
        self.rows.setdefault(table, {})[key] = row

    def move(self, index: str, old: str | None, new: str | None) -> None:
        """Take a member out of an index and put another in."""
        members = self.members.setdefault(index, {})
        if old is not None:
            members[old] = False
        if new is not None:
            members[new] = True

    def drop(self, part: str) -> None:
        """Empty a part before the new rows are written."""
        self.drops.append(part)

    def then(self, later: Changes) -> None:
        """Add what was folded after this: rows, members and digests."""
        for table, rows in later.rows.items():
            self.rows.setdefault(table, {}).update(rows)
        for index, members in later.members.items():
            self.members.setdefault(index, {}).update(members)
        for table, digest in later.digests.items():
            self.digests[table] = self.digests.get(table, 0) + digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One slice's write: the changes and the progress after it, made only if `before` is still what is stored.

    holder: whether `before` is what `SliceStore.seize` told; the write then ends that hold. Any other hold refuses it.
    entry: what the stream of changes gets, under the id `after.changed`; kept: about how many entries it keeps.
    """

    slice: SliceId
    before: Progress
    after: Progress
    changes: Changes
    holder: bool = False
    entry: bytes | None = None
    kept: int = 0


class SliceStore:
    """Reads and writes slices; the only place that knows how they lie in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = ""
        self._hold = redis.register_script(_HOLD)
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
        """The stored progress of each slice."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hgetall(slice_.key(META))
        return [_progress(slice_, stored) for slice_, stored in zip(slices, pipe.execute(), strict=True)]

    def rows(self, slice_: SliceId, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """The stored JSON of each row, None where there is none."""
        return self._redis.hmget(slice_.key(table), keys)  # type: ignore[return-value]

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

    def changes(self, slices: Sequence[SliceId], since: Sequence[str], most: int) -> list[list[tuple[str, str, bytes]]]:
        """The next entries of each slice's stream of changes behind an id (empty: from the first on), at most so many.

        An entry: its id, the id of the one before it, what changed. One round trip.
        """
        pipe = self._redis.pipeline(transaction=False)
        for slice_, after in zip(slices, since, strict=True):
            pipe.xrange(slice_.key(CHANGES), f"({after}" if after else "-", "+", most)
        return [[(id_.decode(), entry[b"prev"].decode(), entry[b"rows"]) for id_, entry in found] for found in pipe.execute()]

    def changed(self, slices: Sequence[SliceId]) -> list[str]:
        """The id of the last entry in each slice's stream of changes, empty where there is none."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hget(slice_.key(META), "changed")
        return [(id_ or b"").decode() for id_ in pipe.execute()]

    def commit(self, commits: Sequence[Commit]) -> list[bool]:
        """Write each slice atomically: all of its changes and its progress, or nothing.

        False for a slice whose stored offset or revision is not `before`: another writer was there. Slices are
        independent of each other. After a redis error nothing is known: read the progress again.
        """
        if not self._script:
            self._script = str(self._redis.script_load(_COMMIT))
        pipe = self._redis.pipeline(transaction=False)
        for commit in commits:
            call = _Call(commit)
            pipe.evalsha(self._script, len(call.keys), *call.keys, *call.argv)
        try:
            return [bool(done) for done in pipe.execute()]
        except NoScriptError:
            # This Redis was started anew. Some slices may be written, others not: the caller reads them again.
            self._script = ""
            raise

    def hold(self, slices: Sequence[SliceId], ms: int) -> list[Progress]:
        """Let nobody write these slices for so long, and tell where they stand; one that is absent begins at offset 0.

        Nothing is torn when it fails: what was held is released by `release`, or by itself in time.
        """
        # A torn one is an error before anything is held.
        self.progress(slices)
        return [_progress(slice_, _pairs(self._hold(keys=[slice_.key(META)], args=[ms, ""]))) for slice_ in slices]

    def seize(self, slice_: SliceId, ms: int) -> Progress | None:
        """Hold a slice for a write of one's own, where others write it all the time; None while another one holds it.

        Every other writer is refused from now on until that write (see Commit.holder) is made, or for so long.
        """
        self.progress([slice_])
        stored = self._hold(keys=[slice_.key(META)], args=[ms, "free"])
        return None if stored is None else _progress(slice_, _pairs(stored))

    def release(self, slices: Sequence[SliceId]) -> None:
        """End a hold; who was refused goes on."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hdel(slice_.key(META), _HELD)
        pipe.execute()

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
        wanted = [key.encode(errors=_ESCAPED) for key in keys]
        offset, rows = self._read(keys=[slice_.key(META), slice_.key(part)], args=[command, *wanted])
        there = {key: b"" if index else row for key, row in zip(keys, rows, strict=True) if row is not None}
        return int(offset or 0), there

    def until(self, slice_: SliceId, index: str, text: str, limit: int, after: str | None = None) -> list[str]:
        """The first members of an index whose text is at most `text`, in their order; `after`: only those behind that one."""
        low = b"-" if after is None else b"(" + after.encode(errors=_ESCAPED)
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


def key_text(key: bytes) -> str:
    """A key as it is stored; bytes that are no UTF-8, which only someone else can have written, are escaped."""
    return key.decode(errors=_ESCAPED)


def member(text: str, key: str) -> str:
    """What an index holds of a row: the text it is ordered by, a tab, the row's key."""
    return f"{text}\t{key}"


def _pairs(stored: Any) -> dict[bytes, bytes]:
    """What HGETALL returns to a script, which has a list of fields and values."""
    fields = iter(stored)
    return dict(zip(fields, fields, strict=True))


def _progress(slice_: SliceId, stored: dict[bytes, bytes]) -> Progress:
    if not stored:
        return Progress(digests={})
    try:
        last = stored.get(b"last_offset")
        return Progress(
            offset=int(stored[b"offset"]),
            revision=int(stored[b"revision"]),
            topic_id=stored[b"topic_id"].decode(),
            last_offset=None if last is None else int(last),
            last_id=stored.get(b"last_id", b"").decode(),
            digests=_digests(stored),
            held_until=int(stored.get(_HELD.encode(), 0)),
            changed=stored.get(b"changed", b"").decode(),
        )
    except (KeyError, ValueError) as error:
        raise EventfoldError(
            f"the slice {slice_.key(META)!r} is torn, or not what eventfold wrote ({stored!r}): delete the keys with its tag, "
            "and it is folded anew"
        ) from error


def _digests(stored: dict[bytes, bytes]) -> Digests | None:
    """None where there are none though events were folded; that of an empty table may be absent."""
    prefix = _DIGEST.encode()
    found = {name.removeprefix(prefix).decode(): int(of, 16) for name, of in stored.items() if name.startswith(prefix)}
    return found if found or b"last_offset" not in stored else None


class _Call:
    """The keys and arguments of one call of the commit script; the progress is written last."""

    def __init__(self, commit: Commit) -> None:
        before, after = commit.before, commit.after
        self._slice = commit.slice
        self.keys = [commit.slice.key(META)]
        self.argv: list[Any] = ["", ""] if before.revision == 0 else [before.offset, before.revision]
        self.argv.append("holder" if commit.holder else "")
        for part in commit.changes.drops:
            self._part(part, "UNLINK", [])
        for table, rows in commit.changes.rows.items():
            self._table(table, rows)
        for index, members in commit.changes.members.items():
            self._index(index, members)
        for part, fields in commit.changes.parked.items():
            self._table(part, fields)
        if commit.entry is not None:
            self._entry(commit, commit.entry)
        self._progress(before, after)

    def _progress(self, before: Progress, after: Progress) -> None:
        meta: list[Any] = ["offset", after.offset, "revision", before.revision + 1, "topic_id", after.topic_id]
        if after.last_offset is not None:
            meta += ["last_offset", after.last_offset, "last_id", after.last_id]
        if after.changed != before.changed:
            meta += ["changed", after.changed]
        for table, digest in (after.digests or {}).items():
            meta += [_DIGEST + table, b"%032x" % digest]
        if after.digests is None and before.digests:
            self._call("HDEL", 1, [_DIGEST + table for table in before.digests])
        self._call("HSET", 1, meta)

    def _entry(self, commit: Commit, rows: bytes) -> None:
        if commit.before.revision == 0:
            # What is left of a slice that is gone would refuse an id that is not beyond its last one.
            self._part(CHANGES, "UNLINK", [])
        entry = [commit.after.changed, "prev", commit.before.changed, "rows", rows]
        self._part(CHANGES, "XADD", ["MAXLEN", "~", commit.kept, *entry])

    def _part(self, part: str, command: str, args: list[Any]) -> None:
        self.keys.append(self._slice.key(part))
        self._call(command, len(self.keys), args)

    def _call(self, command: str, key: int, args: list[Any]) -> None:
        self.argv += (command, key, len(args))
        self.argv += args

    def _table(self, table: str, rows: Mapping[Any, bytes | None]) -> None:
        written: list[Any] = []
        for key, row in rows.items():
            if row is not None:
                written += (key, row)
        if written:
            self._part(table, "HSET", written)
        if len(written) < 2 * len(rows):
            self._part(table, "HDEL", [key for key, row in rows.items() if row is None])

    def _index(self, index: str, members: dict[str, bool]) -> None:
        gone = [member for member, there in members.items() if not there]
        come: list[Any] = [x for member, there in members.items() if there for x in (0, member)]
        if gone:
            self._part(index, "ZREM", gone)
        if come:
            self._part(index, "ZADD", come)
