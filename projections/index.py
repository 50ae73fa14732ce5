"""An index of a domain's log, kept as a read model: at which offsets an aggregate's events lie, and each event by its id.

`offsets`: the key is `<aggregate id>#<chunk>`, a hundred versions a chunk, so that no row grows with the age of its
aggregate. What has no version (published facts), or one that cannot be (the n-th event of an aggregate lies at offset
n - 1 or later), lies in `<aggregate id>#@<block>`, by blocks of a thousand offsets. `<aggregate id>#` says how far chunks
and blocks go, where a lookup could not know it. `events`: the key is the event's id; the first one counts where a fact
was published twice; an event without `ce_id` is left out.

Such rows belong to the slice of the aggregate's partition, and their keys do not hash to it: `Reader.get` does not find
them, `LogIndex` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eventfold.projections.projection import Projection, Table
from eventfold.schemas.event import Event
from eventfold.schemas.names import Names
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.rows import Row
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId, TornError

CHUNK = 100
BLOCK = 1_000
_OFFSETS, _EVENTS = "offsets", "events"


def index_of(domain: str, types: Sequence[str]) -> Projection:
    """The index of a domain whose events are of these types: `<domain>-index`."""
    index = Projection(
        name=f"{domain}-index",
        version=1,
        topics=(f"{domain}.events",),
        tables=(Table(name=_OFFSETS), Table(name=_EVENTS)),
    )
    index.on(*types, table=_OFFSETS, key=_part)(_listed)
    index.on(*types, table=_OFFSETS, key=_head)(_extended)
    index.on(*types, table=_EVENTS, key=_id)(_first)
    return index


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """What an index knows of a partition: every offset that was asked for and lies before `until`, in order."""

    until: int = 0
    offsets: Sequence[int] = ()


class LogIndex:
    """Looks offsets up in the live generation of a domain's index."""

    def __init__(self, redis: Redis, names: Names, index: Projection) -> None:
        self._store = SliceStore(redis)
        self._generations = Generations(redis, names.prefix)
        self.name = index.name

    def aggregate(self, topic: str, partition: int, topic_id: str, key: str) -> Indexed:
        """Where the events of an aggregate lie; nothing before 0 when this topic's index is not built."""
        return self._known(topic, partition, topic_id, lambda slice_: self._offsets(slice_, key))

    def event(self, topic: str, partition: int, topic_id: str, id_: str) -> Indexed:
        """Where an event lies, by its id."""
        return self._known(
            topic, partition, topic_id, lambda slice_: [row["offset"] for row in self._rows(slice_, _EVENTS, [id_])]
        )

    def _known(self, topic: str, partition: int, topic_id: str, look: Callable[[SliceId], list[int]]) -> Indexed:
        try:
            return self._whole(topic, partition, topic_id, look)
        except TornError:
            return Indexed()

    def _whole(self, topic: str, partition: int, topic_id: str, look: Callable[[SliceId], list[int]]) -> Indexed:
        live = self._generations.live(self.name)
        if live is None or partition >= live.partitions.get(topic, 0):
            return Indexed()
        slice_ = live.slice(topic, partition)
        before = self._store.progress([slice_])[0]
        # A topic that was made anew has another id, and what is known of the old one is not of its records.
        if before.topic_id != topic_id:
            return Indexed()
        offsets = look(slice_)
        after = self._store.progress([slice_])[0]
        # Rows and offset are written at once, but read one after the other: what is newer is left to a scan, and a slice
        # that was dropped or went back meanwhile proves nothing.
        if after.revision < before.revision or after.offset < before.offset:
            return Indexed()
        return Indexed(until=before.offset, offsets=sorted({offset for offset in offsets if offset < before.offset}))

    def _offsets(self, slice_: SliceId, key: str) -> list[int]:
        keys = [f"{key}#0"]
        for head in self._rows(slice_, _OFFSETS, [f"{key}#"]):
            keys += [f"{key}#{chunk}" for chunk in range(1, head.get("chunk", 0) + 1)]
            if "blocks" in head:
                first, last = head["blocks"]
                keys += [f"{key}#@{block}" for block in range(first, last + 1)]
        return [offset for row in self._rows(slice_, _OFFSETS, keys) for offset in row["offsets"]]

    def _rows(self, slice_: SliceId, table: str, keys: list[str]) -> list[dict[str, Any]]:
        return [orjson.loads(row) for row in self._store.rows(slice_, table, keys) if row is not None]


def _part(event: Event) -> str:
    number, offset = _place(event)
    return f"{event.key}#@{offset // BLOCK}" if number is None else f"{event.key}#{(number - 1) // CHUNK}"


def _head(event: Event) -> str | None:
    number = _place(event)[0]
    return f"{event.key}#" if number is None or number > CHUNK else None


def _id(event: Event) -> str | None:
    try:
        return (event.header("ce_id") or b"").decode().lower() or None
    except UnicodeDecodeError:
        return None


def _listed(row: Row | None, event: Event) -> Row:
    row = row or {"offsets": []}
    row["offsets"].append(_place(event)[1])
    return row


def _extended(row: Row | None, event: Event) -> Row:
    row = row or {}
    number, offset = _place(event)
    if number is None:
        block = offset // BLOCK
        row["blocks"] = [row.get("blocks", [block])[0], block]
    else:
        row["chunk"] = max(row.get("chunk", 0), (number - 1) // CHUNK)
    return row


def _first(row: Row | None, event: Event) -> Row:
    return row or {"offset": _place(event)[1]}


def _place(event: Event) -> tuple[int | None, int]:
    """The event's version, if it has one that can be, and its offset."""
    offset = 0 if event.record is None else event.record.offset()
    try:
        number = int(event.header("ce_sequence") or b"")
    except ValueError:
        return None, offset
    return number if 1 <= number <= offset + 1 else None, offset
