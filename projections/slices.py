"""Slices in Redis: what a fold made of ONE partition, its rows and its next offset, in one hash slot.

Keys: `{<owner>:<generation>:<topic>:<partition>}:<part>`; the part `slice` is a hash with `offset` (the next one to
fold), `revision` (counts the writes), `topic_id`, and `last_offset` / `last_id` (the last event folded). Every other
part is a table (a hash of JSON rows) or an index (a sorted set, all scores 0, read in the order of the members).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from schemas.errors import LogfoldError

META = "slice"
# Redis undoes nothing of a script that fails midway (a part that is no hash, a command that an ACL forbids), so the
# slice counts as torn from the first write to the last. Lua's stack bounds the arguments of one call; an even number
# keeps field and value together.
_COMMIT = """
local now = redis.call('HMGET', KEYS[1], 'offset', 'revision')
if (now[1] or '') ~= ARGV[1] or (now[2] or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'revision', 'torn')
local i = 3
while i <= #ARGV do
  local key, last = KEYS[tonumber(ARGV[i + 1])], i + 2 + tonumber(ARGV[i + 2])
  if last == i + 2 then
    redis.call(ARGV[i], key)
  else
    for from = i + 3, last, 4000 do
      redis.call(ARGV[i], key, unpack(ARGV, from, math.min(from + 3999, last)))
    end
  end
  i = last + 1
end
return 1
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
    An absent slice has offset 0 and revision 0.
    """

    offset: int = 0
    revision: int = 0
    topic_id: str = ""
    last_offset: int | None = None
    last_id: str = ""


class Changes:
    """What one commit writes: rows by table, members of indexes, parts to drop first."""

    __slots__ = ("drops", "members", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, bytes | None]] = {}
        self.members: dict[str, dict[str, bool]] = {}
        self.drops: list[str] = []

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One slice's write: the changes and the progress after it, made only if `before` is still what is stored."""

    slice: SliceId
    before: Progress
    after: Progress
    changes: Changes


class SliceStore:
    """Reads and writes slices; the only place that knows how they lie in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = ""

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

    def drop(self, slice_: SliceId, parts: Iterable[str]) -> None:
        """Remove a slice whole, its offset included, in one UNLINK."""
        self._redis.unlink(slice_.key(META), *(slice_.key(part) for part in parts))


def member(text: str, key: str) -> str:
    """What an index holds of a row: the text it is ordered by, a tab, the row's key."""
    return f"{text}\t{key}"


def _progress(slice_: SliceId, stored: dict[bytes, bytes]) -> Progress:
    if not stored:
        return Progress()
    try:
        last = stored.get(b"last_offset")
        return Progress(
            offset=int(stored[b"offset"]),
            revision=int(stored[b"revision"]),
            topic_id=stored[b"topic_id"].decode(),
            last_offset=None if last is None else int(last),
            last_id=stored.get(b"last_id", b"").decode(),
        )
    except (KeyError, ValueError) as error:
        raise LogfoldError(
            f"the slice {slice_.key(META)!r} is torn, or not what logfold wrote ({stored!r}): delete the keys with its tag, "
            "and it is folded anew"
        ) from error


class _Call:
    """The keys and arguments of one call of the commit script; the progress is written last."""

    def __init__(self, commit: Commit) -> None:
        before, after = commit.before, commit.after
        self._slice = commit.slice
        self.keys = [commit.slice.key(META)]
        self.argv: list[Any] = ["", ""] if before.revision == 0 else [before.offset, before.revision]
        for part in commit.changes.drops:
            self._part(part, "UNLINK", [])
        for table, rows in commit.changes.rows.items():
            self._table(table, rows)
        for index, members in commit.changes.members.items():
            self._index(index, members)
        meta = ["offset", after.offset, "revision", before.revision + 1, "topic_id", after.topic_id]
        if after.last_offset is not None:
            meta += ["last_offset", after.last_offset, "last_id", after.last_id]
        self._call("HSET", 1, meta)

    def _part(self, part: str, command: str, args: list[Any]) -> None:
        self.keys.append(self._slice.key(part))
        self._call(command, len(self.keys), args)

    def _call(self, command: str, key: int, args: list[Any]) -> None:
        self.argv += (command, key, len(args))
        self.argv += args

    def _table(self, table: str, rows: dict[str, bytes | None]) -> None:
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
