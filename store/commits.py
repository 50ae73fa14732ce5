"""One atomic write of a slice: the changes, and the progress after them, made only if the slice is as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventfold.store.slices import CHANGES, DIGEST, META, Progress, SliceId

# Redis undoes nothing of a script that fails midway (a part that is no hash, a command that an ACL forbids), so the
# slice counts as torn from the first write to the last. Lua's stack bounds the arguments of one call; an even number
# keeps field and value together. A stream whose last entry is beyond this one is of what Redis forgot: it begins anew.
SCRIPT = """
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

    holder: whether `before` is what `Holds.seize` told; the write then ends that hold. Any other hold refuses it.
    entry: what the stream of changes gets, under the id `after.changed`; kept: about how many entries it keeps.
    """

    slice: SliceId
    before: Progress
    after: Progress
    changes: Changes
    holder: bool = False
    entry: bytes | None = None
    kept: int = 0


class Call:
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
            meta += [DIGEST + table, b"%032x" % digest]
        if after.digests is None and before.digests:
            self._call("HDEL", 1, [DIGEST + table for table in before.digests])
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
