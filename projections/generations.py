"""Generations: complete builds of a projection, of which exactly one is live.

Key: `{<prefix><projection>}:live`, JSON with `generation`, `version` and `partitions` (the number of partitions of
each topic, with the prefix), so that a query needs no Kafka.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from redis import Redis

from projections.slices import SliceId
from schemas.errors import LogfoldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One build: its id, the projection's version that makes it, the partitions of the topics it folds."""

    projection: str
    id: str
    version: int
    partitions: Mapping[str, int]

    def slice(self, topic: str, partition: int) -> SliceId:
        return SliceId(owner=self.projection, generation=self.id, topic=topic, partition=partition)

    def slices(self) -> list[SliceId]:
        """Every slice of the build, whether it was written yet or not."""
        return [self.slice(topic, p) for topic, count in self.partitions.items() for p in range(count)]


class Generations:
    """Which generation of each projection is live."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    def live(self, projection: str) -> Generation | None:
        """The live generation, or None when the projection was never built (or Redis lost it)."""
        stored = self._redis.get(self._key(projection))
        return None if stored is None else _parse(projection, stored)  # type: ignore[arg-type]

    def ensure(self, projection: str, version: int, partitions: Mapping[str, int]) -> Generation:
        """The live generation; the first daemon to ask makes one.

        LogfoldError when the live one was made by another version, or for another number of partitions.
        """
        found = self.live(projection)
        if found is None:
            body = {"generation": _new_id(), "version": version, "partitions": dict(partitions)}
            self._redis.set(self._key(projection), orjson.dumps(body), nx=True)
            found = self.live(projection)
            if found is None:
                raise LogfoldError(f"the live generation of {projection!r} vanished from Redis as it was made")
        if found.version != version:
            raise LogfoldError(
                f"the live generation of {projection!r} was made by version {found.version} of the projection, this is "
                f"version {version}: nothing is written"
            )
        if dict(found.partitions) != dict(partitions):
            raise LogfoldError(
                f"the live generation of {projection!r} was folded from {dict(found.partitions)} partitions, now there are "
                f"{dict(partitions)}: the partitions of a log never change in place"
            )
        return found

    def _key(self, projection: str) -> str:
        return f"{{{self._prefix}{projection}}}:live"


def _parse(projection: str, stored: bytes) -> Generation:
    body = orjson.loads(stored)
    return Generation(projection=projection, id=body["generation"], version=body["version"], partitions=body["partitions"])


def _new_id() -> str:
    # Never the same twice, even where Redis forgot the last one: a late writer must not meet a namesake.
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
