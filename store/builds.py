"""Generations: complete builds of a projection, of which exactly one is live; and the JSON in which they lie in Redis.

The pointer to the live one has `generation`, `version`, `members` (absent: 1) and `partitions` (the number of partitions of
each topic, with the prefix); an entry of the registry has the fields of a `Build`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from eventfold.schemas.errors import NotFoundError
from eventfold.schemas.record import Place
from eventfold.store.index_members import ESCAPED_MEMBERS
from eventfold.store.slices import SliceId

BUILDING, LIVE, KEPT, SCRATCH = "building", "live", "kept", "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One build: its id, the projection's version that makes it, the partitions of the topics it folds.

    members: the form of its indexes' members, see eventfold.store.index_members.
    """

    projection: str
    id: str
    version: int
    partitions: Mapping[str, int]
    members: int = ESCAPED_MEMBERS

    def slice(self, topic: str, partition: int) -> SliceId:
        return SliceId(owner=self.projection, generation=self.id, topic=topic, partition=partition)

    def slices(self) -> list[SliceId]:
        """Every slice of the build, whether it was written yet or not."""
        return [self.slice(topic, p) for topic, count in self.partitions.items() for p in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A generation as the registry knows it.

    parts: of its slices, so that it can be dropped by who does not know the projection as it was. state: `building`;
    `live`; `kept`, fed for a rollback; `scratch`, made for a comparison. made, switched, expires: times in milliseconds:
    when it was begun, went live or ceased to be, and may be dropped. first, last: offsets by `topic/partition` where it
    does not begin at zero, or ends before the log does: then it is not the whole history.
    """

    generation: Generation
    parts: tuple[str, ...]
    state: str
    made: int
    switched: int | None = None
    expires: int | None = None
    first: Mapping[str, int] = field(default_factory=dict)
    last: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def whole(self) -> bool:
        """Whether it is of the whole history."""
        return not self.first and not self.last

    def first_of(self) -> dict[Place, int]:
        """Where its slices begin, of those that do not begin at offset zero."""
        places = [(slice_.topic, slice_.partition) for slice_ in self.generation.slices()]
        return {place: of for place in places if (of := self.first.get(f"{place[0]}/{place[1]}", 0))}

    def to_json(self) -> bytes:
        body = {name: getattr(self, name) for name in _FIELDS}
        return orjson.dumps({**body, **_stored(self.generation), "parts": list(self.parts)})


_FIELDS = ("state", "made", "switched", "expires", "first", "last")


def new_build(
    projection: str, version: int, partitions: Mapping[str, int], parts: Sequence[str], state: str, **more: Any
) -> Build:
    """A generation that is not entered yet, under an id of its own."""
    made = datetime.now(UTC)
    # Never the same id twice, even where Redis forgot the last one: a late writer must not meet a namesake.
    id_ = f"{made:%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
    generation = Generation(projection=projection, id=id_, version=version, partitions=dict(partitions))
    return Build(generation=generation, parts=tuple(parts), state=state, made=int(made.timestamp() * 1000), **more)


def chosen(builds: Sequence[Build], id_: str) -> Build:
    """The build whose id begins so; NotFoundError when that is none, or more than one."""
    found = [build for build in builds if build.id.startswith(id_)]
    if len(found) != 1:
        there = ", ".join(build.id for build in builds) or "none"
        raise NotFoundError(f"{len(found) or 'no'} generations have an id that begins with {id_!r}; there are: {there}")
    return found[0]


def pointer(generation: Generation) -> bytes:
    return orjson.dumps({"generation": generation.id, **_stored(generation)})


def parse_pointer(projection: str, stored: bytes) -> Generation:
    body = orjson.loads(stored)
    return _parsed(projection, body["generation"], body)


def parse_entry(projection: str, id_: str, body: dict[str, Any]) -> Build:
    generation = _parsed(projection, id_, body)
    return Build(generation=generation, parts=tuple(body["parts"]), **{name: body[name] for name in _FIELDS})


def _stored(generation: Generation) -> dict[str, Any]:
    # A pointer of before is compared byte by byte when another generation goes live, so it is written as it was.
    members = {} if generation.members == 1 else {"members": generation.members}
    return {"version": generation.version, **members, "partitions": dict(generation.partitions)}


def _parsed(projection: str, id_: str, body: Mapping[str, Any]) -> Generation:
    version, partitions, members = body["version"], body["partitions"], body.get("members", 1)
    return Generation(projection=projection, id=id_, version=version, partitions=partitions, members=members)
