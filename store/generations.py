"""The registry of generations: which there are of each projection, and which one is live.

Keys: `{<prefix><projection>}:live`, the pointer, so that a query needs no Kafka; `{<prefix><projection>}:generations`, a hash
with what is known of each by its id; and `{<prefix><projection>}:dropped`, the same of those whose slices are being deleted.
All lie in one hash slot, so that a switch is one atomic step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson
from redis import Redis

from eventfold.schemas.errors import EventfoldError, NotFoundError
from eventfold.store.builds import KEPT, LIVE, Build, Generation, chosen, new_build, parse_entry, parse_pointer, pointer
from eventfold.store.slice_store import SliceStore

# Writes the pointer and some entries, if the pointer is still the one that was seen, the entry that must be there is, and
# it is not too late by Redis' own clock.
_POINT = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 'other'
end
if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then
  return 'gone'
end
if ARGV[4] ~= '' then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[4]) then
    return 'late'
  end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
return 'done'
"""
# Moves an entry to those whose slices are being deleted, unless it is live.
_RETIRE = """
local live = redis.call('GET', KEYS[1])
if live and cjson.decode(live)['generation'] == ARGV[1] then
  return 0
end
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if entry then
  redis.call('HSET', KEYS[3], ARGV[1], entry)
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return 1
"""


class OtherVersionError(EventfoldError):
    """The live generation was made by another version of the projection; nothing may be written to it."""


class TooLateError(EventfoldError):
    """The time in which a switch had to be made is over."""


class Generations:
    """Which generations of each projection there are, and which is live."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._point = redis.register_script(_POINT)
        self._retire = redis.register_script(_RETIRE)

    def live(self, projection: str) -> Generation | None:
        """The live generation, or None when the projection was never built (or Redis lost it)."""
        stored = self._redis.get(self._key(projection))
        return None if stored is None else parse_pointer(projection, stored)  # type: ignore[arg-type]

    def all(self, projection: str) -> list[Build]:
        """Every generation, oldest first."""
        return self._entries(projection, self._registry(projection))

    def ensure(self, projection: str, version: int, partitions: Mapping[str, int], parts: Sequence[str]) -> Generation:
        """The live generation; the first daemon to ask makes one. OtherVersionError when another version made the live one."""
        found = self.live(projection)
        if found is None:
            build = new_build(projection, version, partitions, parts, LIVE)
            self._set(projection, b"", build.generation, [build])
            found = self.live(projection)
            if found is None:
                raise EventfoldError(f"the live generation of {projection!r} vanished from Redis as it was made")
        if found.version != version:
            raise OtherVersionError(
                f"the live generation of {projection!r} was made by version {found.version} of the projection, this is "
                f"version {version}: nothing is written until `eventfold replay {projection}` has built the new one"
            )
        return found

    def widen(self, live: Generation, partitions: Mapping[str, int]) -> None:
        """Let a generation have slices of partitions that were added to its topics, if it still is live, and as it is given.

        NotFoundError when it is not among the generations.
        """
        build = chosen(self.all(live.projection), live.id)
        wider = replace(build, generation=replace(live, partitions=dict(partitions)))
        self._set(live.projection, pointer(live), wider.generation, [wider], there=live.id)

    def begin(self, build: Build) -> None:
        """Enter a build that is not live."""
        self._redis.hset(self._registry(build.generation.projection), build.id, build.to_json())

    def switch(self, live: Build | None, to: Build, *, now: int, keep_ms: int, until: int | None = None) -> bool:
        """Make `to` the live generation, if `live` still is; that one is kept for so long, whatever was kept before expires.

        until: not after this time, in milliseconds of Redis' clock. False when another is live by now; TooLateError;
        NotFoundError when `to` was dropped meanwhile.
        """
        projection = to.generation.projection
        before = b"" if live is None else pointer(live.generation)
        entries = [replace(to, state=LIVE, switched=now, expires=None)]
        entries += [replace(old, expires=now) for old in self.all(projection) if old.state == KEPT and old.id != to.id]
        if live is not None:
            entries.append(replace(live, state=KEPT, switched=now, expires=now + keep_ms))
        came = self._set(projection, before, to.generation, entries, there=to.id, until=until)
        if came == b"late":
            raise TooLateError(f"there was no time left to make {to.id} of {projection!r} live")
        if came == b"gone":
            raise NotFoundError(f"the generation {to.id} of {projection!r} was dropped meanwhile")
        return came == b"done"

    def drop(self, build: Build, store: SliceStore) -> bool:
        """Remove a build: nobody takes it up from now on, and each slice goes in one UNLINK. False when it is live.

        Who dies in the midst of it leaves the rest to the next `sweep`.
        """
        projection = build.generation.projection
        keys = [self._key(projection), self._registry(projection), self._dropped(projection)]
        if not self._retire(keys=keys, args=[build.id]):
            return False
        self._delete(build, store)
        return True

    def forget(self, projection: str, store: SliceStore) -> list[Build]:
        """Remove every build, the live one too; whoever feeds it begins a new one. Those that were removed."""
        builds = self.all(projection)
        self._redis.delete(self._key(projection))
        return [build for build in builds if self.drop(build, store)]

    def sweep(self, projection: str, store: SliceStore, now: int) -> list[Build]:
        """Drop what has expired, and what another began to drop."""
        for build in self._entries(projection, self._dropped(projection)):
            self._delete(build, store)
        due = [build for build in self.all(projection) if build.expires is not None and build.expires <= now]
        return [build for build in due if self.drop(build, store)]

    def _delete(self, build: Build, store: SliceStore) -> None:
        for slice_ in build.generation.slices():
            store.drop(slice_, build.parts)
        self._redis.hdel(self._dropped(build.generation.projection), build.id)

    def _entries(self, projection: str, key: str) -> list[Build]:
        stored: dict[bytes, bytes] = self._redis.hgetall(key)  # type: ignore[assignment]
        found = [parse_entry(projection, id_.decode(), orjson.loads(body)) for id_, body in stored.items()]
        return sorted(found, key=lambda build: (build.made, build.id))

    def _set(
        self,
        projection: str,
        before: bytes,
        live: Generation,
        entries: Sequence[Build],
        there: str = "",
        until: int | None = None,
    ) -> bytes:
        fields = [part for entry in entries for part in (entry.id, entry.to_json())]
        keys = [self._key(projection), self._registry(projection)]
        args = [before, pointer(live), there, "" if until is None else until, *fields]
        came: bytes = self._point(keys=keys, args=args)
        return came

    def _key(self, projection: str) -> str:
        return f"{{{self._prefix}{projection}}}:live"

    def _registry(self, projection: str) -> str:
        return f"{{{self._prefix}{projection}}}:generations"

    def _dropped(self, projection: str) -> str:
        return f"{{{self._prefix}{projection}}}:dropped"
