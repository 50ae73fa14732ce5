"""Saves partitions of a topic as Avro object container files, with all that is needed to read them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.records import CREATE_TIME
from eventfold.kafka.topics import TopicInfo
from eventfold.schemas import container
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Headers
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.framing import BRANCH, LONG, MARKER, SHORT
from eventfold.schemas.record import Place, Record
from eventfold.schemas.times import iso


def file_name(place: Place) -> str:
    """What the file of a partition is called."""
    return f"{place[0]}-{place[1]}.avro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A partition that was saved: how many records, from which offset up to which, in how many bytes."""

    path: Path
    records: int
    first_offset: int
    next_offset: int
    size: int


def export(
    log: RangeReader, codec: Codec, topic: TopicInfo, place: Place, span: tuple[int, int], folder: Path, *, over: bool
) -> Exported:
    """Save the committed records of a partition from the first offset of `span` up to its end, as a whole or not at all.

    over: whether the file takes the place of one that is there; else EventfoldError.
    The metadata says which topic it is (its name and id), which partition of how many, which offsets, how many `records`, when
    it was made, and as `schemas` the schema of each message, by the bytes in hex that the message begins with.
    """
    noted = _Noted(codec)
    path = folder / file_name(place)
    records = noted.pass_on(log.scan({place: span}, f"{place[0]}/{place[1]}"))
    container.save(path, records, partial(_about, topic, place, span, noted), over=over)
    return Exported(path=path, records=noted.records, first_offset=span[0], next_offset=span[1], size=path.stat().st_size)


def _about(topic: TopicInfo, place: Place, span: tuple[int, int], noted: _Noted) -> dict[str, str]:
    return {
        "topic": topic.name,
        "topic_id": topic.id,
        "partition": str(place[1]),
        "partitions": str(topic.partitions),
        "first_offset": str(span[0]),
        "next_offset": str(span[1]),
        "records": str(noted.records),
        "exported_at": iso(time.time_ns() // 1_000_000),
        "schemas": container.noted(noted.schemas),
    }


class _Noted:
    """Counts records on their way, and looks up the schema of each that has a new one."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._met: set[bytes] = set()
        self.records = 0
        self.schemas: dict[str, Mapping[str, Any]] = {}

    def pass_on(self, messages: Iterable[Record]) -> Iterator[container.Record]:
        for message in messages:
            value = message.value()
            if value is not None:
                self._note(value)
            self.records += 1
            yield _record(message)

    def _note(self, value: bytes) -> None:
        if not self._met.isdisjoint((value[:LONG], value[:SHORT], value[:BRANCH])):
            return
        # One that cannot be decoded is saved all the same, as the bytes that it is. Another branch of its union may be known.
        header = value[:LONG] if value[:2] == MARKER else value[:BRANCH]
        with suppress(DecodeError):
            header = self._codec.header(value)
            self.schemas[header.hex()] = self._codec.written(value).schema
        self._met.add(header)


def _record(message: Record) -> container.Record:
    offset, key, headers = message.offset(), message.key(), cast(Headers, message.headers() or [])
    kind, timestamp = message.timestamp()
    return container.Record(
        offset=offset,
        timestamp=timestamp,
        timestamp_type="create" if kind == CREATE_TIME else "append",
        key=key.encode() if isinstance(key, str) else key,
        headers=[(name, value.encode() if isinstance(value, str) else value) for name, value in headers],
        value=message.value(),
    )
