"""What is parked in a slice: keys whose events wait, in their order, until a person retries or discards them.

Two parts of the slice, under its compare-and-set: `parked`, a hash of `=` and the key -> JSON of a `Mark`, and
`parked-events`, a hash of offset -> key. Keys are the bytes of the records (after the `=`, so that none is the field of the
stamp); one that has no key counts as one whose key is empty. They are no
tables: no digest counts them, and a comparison of rows leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from eventfold.schemas.position import Position
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import PARKED, PARKED_EVENTS, SliceId

Marks = Mapping[bytes, "Mark"]
_LONGEST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is parked of one key in one slice.

    origin: the offset of the event that failed, from which on all of the key are parked. recorded: when the log took it,
    milliseconds since 1970 UTC. error: why it failed. count: how many events are parked.
    """

    origin: int
    recorded: int
    error: str
    count: int

    def __post_init__(self) -> None:
        # An exception may say anything, at any length.
        object.__setattr__(self, "error", self.error[:_LONGEST].encode(errors="replace").decode())

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def parse(cls, stored: bytes) -> Mark:
        return cls(**orjson.loads(stored))


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What a read model says of what is parked in it.

    keys: how many are, where no one aggregate was asked for. since, mark: of the one that was, from which event on, and why;
    else None.
    """

    keys: int = 0
    since: Position | None = None
    mark: Mark | None = None

    def to_json(self) -> dict[str, Any] | None:
        """As an answer shows it; None when nothing of the aggregate is parked."""
        if self.mark is None:
            return None
        return {"since": str(self.since), "error": self.mark.error, "events": self.mark.count}


def look(store: SliceStore, slices: Sequence[SliceId], homes: Sequence[SliceId], key: str) -> Aside:
    """What is parked in these slices, and of an aggregate in those that are its home; one round trip."""
    found, keys = store.fields(PARKED, [(home, _field(key.encode())) for home in homes], slices)
    for home, stored in zip(homes, found, strict=True):
        if stored is not None:
            mark = Mark.parse(stored)
            return Aside(keys=keys, since=Position(home.topic, home.partition, mark.origin), mark=mark)
    return Aside(keys=keys)


def first_of(store: SliceStore, events: Sequence[tuple[SliceId, int]]) -> tuple[SliceId, int, bytes, Mark] | None:
    """The first of these events (slice and offset) that is parked, with its key and what is parked of that; else None.

    TornError where what is parked is not whole.
    """
    for slice_, offset in events:
        (key,) = store.rows(slice_, PARKED_EVENTS, [str(offset)])
        if key is not None:
            (stored,) = store.rows(slice_, PARKED, [_field(key)])
            if stored is not None:
                return slice_, offset, key, Mark.parse(stored)
    return None


def marks(store: SliceStore, slices: Sequence[SliceId]) -> list[dict[bytes, Mark]]:
    """What is parked in each slice, by key."""
    return [{field[1:]: Mark.parse(of) for field, of in found.items()} for found in store.hashes(slices, PARKED)]


def counts(store: SliceStore, slices: Sequence[SliceId]) -> list[int]:
    """How many keys are parked in each slice."""
    return store.sizes(PARKED, slices)


def offsets(store: SliceStore, slice_: SliceId, key: bytes) -> list[int]:
    """Where the parked events of a key lie, in their order."""
    parts = store.scan(slice_, PARKED_EVENTS, index=False)
    return sorted({int(offset) for found in parts for offset, of in found.items() if of == key})


def shown(key: bytes) -> str:
    """A key as text that can be printed, whatever bytes it is."""
    return key.decode(errors="backslashreplace")


def unlike(left: Marks, right: Marks, before: int) -> list[bytes]:
    """The keys that are parked on one side alone, or not from the same event on; of what lies before an offset."""

    def origins(of: Marks) -> Iterable[tuple[bytes, int]]:
        return ((key, mark.origin) for key, mark in of.items() if mark.origin < before)

    return sorted({key for key, _ in {*origins(left)} ^ {*origins(right)}})


def written(before: Marks, after: Marks, come: Mapping[int, bytes], gone: Iterable[int]) -> dict[str, dict[Any, bytes | None]]:
    """The fields of both parts to write (None: to delete) so that what was parked `before` is what is parked `after`.

    come, gone: the offsets that are parked from now on, with their keys, and those that no longer are.
    """
    changed: dict[Any, bytes | None] = {_field(key): of.to_json() for key, of in after.items() if before.get(key) != of}
    changed |= {_field(key): None for key in before if key not in after}
    return {PARKED: changed, PARKED_EVENTS: {**come, **dict.fromkeys(gone)}}


def _field(key: bytes) -> bytes:
    """The field of the hash under which a key is parked."""
    return b"=" + key
