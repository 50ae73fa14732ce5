"""Holds: for a while nobody else writes a slice."""

from __future__ import annotations

from collections.abc import Sequence

from redis import Redis

from eventfold.store.integrity import new_stamp, pairs
from eventfold.store.slices import HELD, META, Progress, SliceId, progress_of, read_progress

HOLD_MS = 5_000
# Whoever has read the slice before is refused from now on, by revision and stamp; whoever reads it now, by `held`.
_HOLD = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'offset', 0, 'revision', 0, 'topic_id', '', 'stamp', '', 'fields', 5)
end
local time = redis.call('TIME')
local now, held = time[1] * 1000 + math.floor(time[2] / 1000), redis.call('HGET', KEYS[1], 'held')
if ARGV[2] == 'free' and held and tonumber(held) > now then
  return false
end
redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('HSET', KEYS[1], 'stamp', ARGV[3], 'held', string.format('%.0f', now + ARGV[1]))
return redis.call('HGETALL', KEYS[1])
"""


class Holds:
    """Begins and ends holds; each one ends by itself in time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._hold = redis.register_script(_HOLD)

    def take(self, slices: Sequence[SliceId], ms: int) -> list[Progress]:
        """Let nobody write these slices for so many milliseconds, and tell where they stand; an absent one begins at offset 0.

        TornError when one is torn, and then none is held. After a redis error some may be held, until `release`.
        """
        # A torn one is an error before anything is held.
        read_progress(self._redis, slices)
        return [
            progress_of(slice_, pairs(self._hold(keys=[slice_.key(META)], args=[ms, "", new_stamp()]))) for slice_ in slices
        ]

    def seize(self, slice_: SliceId, ms: int) -> Progress | None:
        """Hold a slice for a write of one's own, where others write it all the time; None while another one holds it.

        Every other writer is refused from now on until that write (see Commit.holder) is made, or for so long.
        """
        read_progress(self._redis, [slice_])
        stored = self._hold(keys=[slice_.key(META)], args=[ms, "free", new_stamp()])
        return None if stored is None else progress_of(slice_, pairs(stored))

    def release(self, slices: Sequence[SliceId]) -> None:
        """End a hold; who was refused goes on."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hdel(slice_.key(META), HELD)
        pipe.execute()
