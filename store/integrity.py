"""Proof that a slice is whole: nothing of it was deleted, evicted, renamed or set back behind its writer's back.

Each write has a stamp of its own, 64 random bits; a count would repeat once a slice was dropped and begun anew. Every part
bears the stamp of the write that changed it last, and its own key: a hash in the field `\\xff`, a sorted set in a member
that begins so; the stream of changes has the id of its last entry. The slice's progress holds the size and the stamp of
each part in a field `part.<name>`, and the number of its own fields in `fields`. A part that is missing, has lost a field
or was restored as it was some writes ago does not fit to the progress, and neither does a progress that was set back: the
slice is torn. A field whose value alone was changed is not found by this (`eventfold verify` finds it).

What is read is read in one transaction of Redis (MULTI, EXEC) with the proof, so that a missing key proves nothing by
itself. The proof is a script; the reads beside it are ordinary commands, since Lua is three times as slow with many rows.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from eventfold.schemas.errors import Transient
from eventfold.store.slices import META, STAMP, SliceId, TornError

# `seen` is what the progress should say of a part, `torn` the first part that is another one. KEYS: the progress, then the
# parts; ARGV: from index `first` on, the names of these.
FUNCTIONS = """
local function seen(key)
  local type = redis.call('TYPE', key).ok
  if type == 'hash' or type == 'zset' then
    local bears
    if type == 'hash' then
      bears = redis.call('HGET', key, '\\255') or ''
    else
      bears = string.sub(redis.call('ZRANGEBYLEX', key, '[\\255', '+', 'LIMIT', 0, 1)[1] or '', 2)
    end
    if string.sub(bears, -#key) ~= key then
      return 'of another key'
    end
    return redis.call(type == 'hash' and 'HLEN' or 'ZCARD', key) .. ' ' .. bears
  elseif type == 'stream' then
    local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    return redis.call('XLEN', key) .. ' ' .. (last and last[1] or '')
  end
  return type == 'none' and '' or type
end
local function torn(first)
  local type = redis.call('TYPE', KEYS[1]).ok
  if type == 'hash' then
    local own = redis.call('HMGET', KEYS[1], 'stamp', 'fields', 'held')
    local fields = redis.call('HLEN', KEYS[1]) - (own[3] and 1 or 0)
    if not own[1] or own[1] == 'torn' or tonumber(own[2] or -1) ~= fields then
      return 'slice'
    end
  elseif type ~= 'none' then
    return 'slice'
  end
  for i = 2, #KEYS do
    local name = ARGV[first + i - 2]
    local said = type == 'hash' and redis.call('HGET', KEYS[1], 'part.' .. name) or ''
    if said ~= seen(KEYS[i]) then
      return name
    end
  end
end
"""
_PROVE = (
    FUNCTIONS
    + """
local part = torn(1)
if part then
  return {'', '0', part}
end
local now = redis.call('HMGET', KEYS[1], 'stamp', 'offset')
return {now[1] or '', now[2] or '0', ''}
"""
)
# Deletes a torn slice whole, so that nobody takes what is left of it for a beginning.
_DROP = (
    FUNCTIONS
    + """
local part = torn(1)
if part then
  redis.call('UNLINK', unpack(KEYS))
end
return part or ''
"""
)


class MovedError(Transient):
    """Another writer changed a slice: what is held of it in memory is out of date."""

    def __init__(self, slice_: SliceId) -> None:
        super().__init__(f"the slice {slice_.key('')!r} changed in Redis")


def new_stamp() -> str:
    """A stamp that no other write has."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of one slice, and the parts that must be whole for it. reads: (command, part, arguments...)."""

    slice: SliceId
    parts: Sequence[str]
    reads: Sequence[tuple[Any, ...]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What was read, as Redis tells it; of an absent slice the stamp is empty and the offset 0. torn: the part that is."""

    slice: SliceId
    stamp: str
    offset: int
    torn: str
    values: Sequence[Any]

    def whole(self) -> Found:
        """Itself; TornError when a part is not as it was last written."""
        if self.torn:
            raise TornError(self.slice, self.torn)
        return self


class ProvedReads:
    """Reads of slices, each slice in one transaction with the proof of the parts that matter; one round trip for all."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._prove = digest_of(_PROVE)
        self._drop = redis.register_script(_DROP)

    def read(self, wanted: Sequence[Wanted]) -> list[Found]:
        """What was wanted of each slice. Errors of Redis are raised."""
        try:
            return [*self._read(wanted)]
        except NoScriptError:
            # This Redis was started anew, or was told SCRIPT FLUSH.
            self._prove = str(self._redis.script_load(_PROVE))
            return [*self._read(wanted)]

    def whole(
        self, slice_: SliceId, parts: Sequence[str], *reads: tuple[Any, ...], stamps: Container[str] | None = None
    ) -> Found:
        """What is read of one slice; TornError when one of the parts is not whole.

        stamps: those that the last write of the slice may have; MovedError when it has another one.
        """
        found = self.read([Wanted(slice_, parts, reads)])[0].whole()
        if stamps is not None and found.stamp not in stamps:
            raise MovedError(slice_)
        return found

    def drop_torn(self, slice_: SliceId, parts: Sequence[str]) -> str:
        """Delete the slice if it is torn, in one step with the proof; the part that was, empty when it is whole."""
        keys = [slice_.key(META), *(slice_.key(part) for part in parts)]
        return str(self._drop(keys=keys, args=list(parts)).decode())

    def _read(self, wanted: Sequence[Wanted]) -> Iterator[Found]:
        pipe: Any = self._redis.pipeline(transaction=False)
        # As bytes, since the client would otherwise take the answer QUEUED for the command's own.
        for of in wanted:
            keys = [of.slice.key(META), *(of.slice.key(part) for part in of.parts)]
            pipe.execute_command(b"MULTI")
            pipe.execute_command(b"EVALSHA_RO", self._prove, len(keys), *keys, *of.parts)
            for command, part, *args in of.reads:
                pipe.execute_command(command.encode(), of.slice.key(part), *args)
            pipe.execute_command(b"EXEC")
        answers = iter(pipe.execute(raise_on_error=False))
        for of in wanted:
            *queued, executed = [next(answers) for _ in range(len(of.reads) + 3)]
            raise_first([*queued, executed])
            proof, *values = executed
            raise_first([proof])
            stamp, offset, torn = (told.decode() for told in proof)
            if not torn:
                # A part of another type, which no command can read, is torn.
                raise_first(values)
            yield Found(of.slice, stamp, int(offset), torn, values)


def digest_of(script: str) -> str:
    """By which name Redis knows a script once it was loaded."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def raise_first(replies: Sequence[Any]) -> None:
    """Raise the first of the errors among the answers to a pipeline."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply


def pairs(found: Mapping[bytes, bytes] | Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields and values of a hash, which Redis tells as one list or as a map, by its protocol; without the stamp."""
    if isinstance(found, Mapping):
        return {field: value for field, value in found.items() if field != STAMP}
    fields = iter(found)
    return {field: value for field, value in zip(fields, fields, strict=True) if field != STAMP}
