"""One atomic write of a slice: the changes, and the progress after them, made only if the slice is as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from eventfold.store.integrity import FUNCTIONS, new_stamp
from eventfold.store.slices import CHANGES, DIGEST, META, Progress, SliceId

# Redis undoes nothing of a script that fails midway (a command that an ACL forbids), so the slice counts as torn from the
# first write to the last. Lua's stack bounds the arguments of one call; an even number keeps field and value together.
# KEYS: the progress, then every part. ARGV: offset, revision and stamp that must be stored (all empty: no slice), `holder`
# or empty, the stamp of this write, the names of the parts, then the writes (command, index of the key, how many arguments,
# these). A set-back part must not be made whole by writing to it, so all are proved first. Returns 1 (written), 0 (another
# writer was there, or it is held), or 2 (torn).
SCRIPT = (
    FUNCTIONS
    + """
if torn(6) then
  return 2
end
local now = redis.call('HMGET', KEYS[1], 'offset', 'revision', 'stamp', 'held')
for i = 1, 3 do
  if (now[i] or '') ~= ARGV[i] then
    return 0
  end
end
if now[4] then
  local time = redis.call('TIME')
  if ARGV[4] ~= 'holder' and tonumber(now[4]) > time[1] * 1000 + time[2] / 1000 then
    return 0
  end
  redis.call('HDEL', KEYS[1], 'held')
end
redis.call('HSET', KEYS[1], 'stamp', 'torn')
local i, kinds = 5 + #KEYS, {}
while i <= #ARGV do
  local index, last = tonumber(ARGV[i + 1]), i + 2 + tonumber(ARGV[i + 2])
  if last == i + 2 then
    redis.call(ARGV[i], KEYS[index])
  end
  for from = i + 3, last, 4000 do
    redis.call(ARGV[i], KEYS[index], unpack(ARGV, from, math.min(from + 3999, last)))
  end
  if ARGV[i] ~= 'UNLINK' or not kinds[index] then
    kinds[index] = ARGV[i]
  end
  i = last + 1
end
local stamp = ARGV[5]
for index, kind in pairs(kinds) do
  if index > 1 then
    local name = ARGV[index + 4]
    local bears = stamp .. ' ' .. KEYS[index]
    if string.sub(kind, 1, 1) == 'H' then
      redis.call('HSET', KEYS[index], '\\255', bears)
    elseif string.sub(kind, 1, 1) == 'Z' then
      redis.call('ZREMRANGEBYLEX', KEYS[index], '[\\255', '+')
      redis.call('ZADD', KEYS[index], 0, '\\255' .. bears)
    end
    redis.call('HSET', KEYS[1], 'part.' .. name, seen(KEYS[index]))
  end
end
redis.call('HSET', KEYS[1], 'fields', 0)
redis.call('HSET', KEYS[1], 'fields', redis.call('HLEN', KEYS[1]), 'stamp', stamp)
return 1
"""
)


class Changes:
    """What one commit writes: rows by table, members of indexes, parts to drop first, what is parked (by part and field, see
    eventfold.store.parked); and what it adds to the digests.
    """

    __slots__ = ("digests", "drops", "members", "parked", "rows")

    def __init__(self) -> None:
        self.digests: dict[str, int] = {}
        self.rows: dict[str, dict[Any, bytes | None]] = {}
        self.members: dict[str, dict[str, bool]] = {}
        self.drops: list[str] = []
        self.parked: dict[str, dict[Any, bytes | None]] = {}

    def put(self, table: str, key: str | bytes, row: bytes | None) -> None:
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
    entry: what the stream of changes gets, under the id `after.changed`; kept: about how many entries it keeps. stamp: that of
    this write.
    """

    slice: SliceId
    before: Progress
    after: Progress
    changes: Changes
    holder: bool = False
    entry: bytes | None = None
    kept: int = 0
    stamp: str = field(default_factory=new_stamp)

    @property
    def done(self) -> Progress:
        """The progress as it is stored once this is written."""
        before, changes = self.before, self.changes
        parts = before.parts.union(
            changes.rows, changes.members, changes.parked, changes.drops, () if self.entry is None else [CHANGES]
        )
        return replace(self.after, revision=before.revision + 1, stamp=self.stamp, parts=parts, held_until=0)


class Call:
    """The keys and arguments of one call of the commit script; the progress is written last."""

    def __init__(self, commit: Commit) -> None:
        before, after = commit.before, commit.after
        parts = sorted(commit.done.parts)
        self._key = {part: index for index, part in enumerate(parts, 2)}
        self.keys = [commit.slice.key(META), *map(commit.slice.key, parts)]
        is_new = before.revision == 0
        self.argv: list[Any] = ["", "", ""] if is_new else [before.offset, before.revision, before.stamp]
        self.argv += ("holder" if commit.holder else "", commit.stamp, *parts)
        for part in commit.changes.drops:
            self._call("UNLINK", part, [])
        for table, rows in commit.changes.rows.items():
            self._table(table, rows)
        for index, members in commit.changes.members.items():
            self._index(index, members)
        for part, fields in commit.changes.parked.items():
            self._table(part, fields)
        if commit.entry is not None:
            entry = [after.changed, "prev", before.changed, "rows", commit.entry]
            self._call("XADD", CHANGES, ["MAXLEN", "~", commit.kept, *entry])
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
            self._call("HDEL", META, [DIGEST + table for table in before.digests])
        self._call("HSET", META, meta)

    def _call(self, command: str, part: str, args: list[Any]) -> None:
        self.argv += (command, self._key.get(part, 1), len(args))
        self.argv += args

    def _table(self, table: str, rows: Mapping[Any, bytes | None]) -> None:
        written: list[Any] = []
        for key, row in rows.items():
            if row is not None:
                written += (key, row)
        if written:
            self._call("HSET", table, written)
        if len(written) < 2 * len(rows):
            self._call("HDEL", table, [key for key, row in rows.items() if row is None])

    def _index(self, index: str, members: dict[str, bool]) -> None:
        gone = [member for member, there in members.items() if not there]
        come: list[Any] = [x for member, there in members.items() if there for x in (0, member)]
        if gone:
            self._call("ZREM", index, gone)
        if come:
            self._call("ZADD", index, come)
