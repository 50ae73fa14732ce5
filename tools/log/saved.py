"""A folder of files that a topic was exported to, checked as a whole before anything is made of it."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventfold.schemas import container
from eventfold.schemas.catalog import message_of
from eventfold.schemas.codec import Codec
from eventfold.schemas.container import SHOWN, Record
from eventfold.schemas.errors import DecodeError, EventfoldError, NotFoundError, UsageError
from eventfold.schemas.framing import SHORT
from eventfold.schemas.legal import check_legal
from eventfold.schemas.parsed import fingerprint, parse
from eventfold.schemas.registry.framing import MAGIC

MOST_PARTITIONS = 10_000
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The files of one topic.

    topic: as it was called. partitions: how many it had. files: by partition. schemas: what its messages were written with,
    by what they begin with. begins: the first offset of each partition that was there to be saved.
    """

    topic: str
    partitions: int
    files: Mapping[int, Path]
    schemas: Mapping[bytes, Any]
    begins: Mapping[int, int]

    def refuse_cut(self) -> None:
        """EventfoldError when a partition had lost its first records before it was saved: a log would seem to be whole."""
        for partition, begin in self.begins.items():
            if begin:
                raise EventfoldError(
                    f"{self.files[partition]} begins at offset {begin} of {self.topic}: what was before it is not there; "
                    "restore an older one (--partial goes on without)"
                )

    def refuse_other_ids(self, codec: Codec) -> None:
        """EventfoldError when an id of a schema registry, in these messages, is not known as the schema that it was."""
        for header, schema in self.schemas.items():
            if header[:1] != MAGIC:
                continue
            id_ = int.from_bytes(header[1:SHORT], "big")
            was = message_of(schema, f"the schema {id_} of {self.topic}")
            try:
                now = codec.written(header)
                found = "" if fingerprint(now) == fingerprint(was) else f"is {now.type} version {now.version or 'of others'}"
            except DecodeError as error:
                found = f"cannot be read: {error}"
            if found:
                raise EventfoldError(
                    f"{self.topic} was written by the ids of a schema registry, and {id_}, then {was.type}, now {found}: set "
                    "SCHEMA_REGISTRY_URL to the registry that gave them (--any-ids restores it all the same)"
                )

    def check(self) -> dict[int, int]:
        """Read every record; how many there are, by partition. EventfoldError names the file that is cut or damaged."""
        found = {}
        for partition, path in self.files.items():
            with container.opened(path) as (_, records):
                found[partition] = sum(1 for _ in records)
        return found

    def records(self) -> Iterator[tuple[int, Record]]:
        """Every record with its partition: each partition in its order, one with another in the order of their timestamps."""
        with ExitStack() as stack:
            of = []
            for partition, path in self.files.items():
                _, records = stack.enter_context(container.opened(path))
                of.append(_with(partition, records))
            yield from heapq.merge(*of, key=lambda pair: pair[1].timestamp)


def _with(partition: int, records: Iterator[Record]) -> Iterator[tuple[int, Record]]:
    return ((partition, record) for record in records)


def saved(folder: Path, *, partial: bool = False) -> list[Saved]:
    """The topics of which there are files in a folder.

    NotFoundError when there is none. EventfoldError for a file that is none of ours, files of one partition twice or of
    different exports, and, unless `partial`, for partitions that are missing.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    topics: dict[str, list[tuple[Path, dict[str, str]]]] = {}
    for path in sorted(folder.glob("*.avro")):
        with container.opened(path) as (about, _):
            topics.setdefault(about["topic"], []).append((path, about))
    if not topics:
        raise NotFoundError(f"{folder} has no file that `eventfold export` wrote (*.avro)")
    return [_whole(topic, files, partial) for topic, files in topics.items()]


def _whole(topic: str, files: Sequence[tuple[Path, dict[str, str]]], partial: bool) -> Saved:
    first, one = files[0]
    found: dict[int, Path] = {}
    begins: dict[int, int] = {}
    schemas: dict[bytes, Any] = {}
    _check_topic(first, topic)
    for path, about in files:
        schemas |= _schemas(path, about)
        for name in ("topic_id", "partitions"):
            if about.get(name) != one.get(name):
                raise EventfoldError(
                    f"{path} and {first} are of different exports: {name} is {about.get(name)}, and {one.get(name)}"
                )
        partition = container.number(path, about, "partition")
        if partition in found:
            raise EventfoldError(f"{path} and {found[partition]} hold the same partition")
        found[partition], begins[partition] = path, container.number(path, about, "first_offset")
    partitions = _partitions(first, one)
    if missing := sorted({*range(partitions)} - found.keys()):
        what = f"{topic} had {partitions} partitions, and there is no file of {', '.join(map(str, missing))}"
        if not partial:
            raise EventfoldError(f"{first.parent}: {what} (--partial goes on without)")
    if beyond := [path for partition, path in found.items() if partition >= partitions]:
        raise EventfoldError(f"{beyond[0]} says that it is of a partition which it says the topic did not have")
    return Saved(topic=topic, partitions=partitions, files=dict(sorted(found.items())), schemas=schemas, begins=begins)


def _check_topic(path: Path, topic: str) -> None:
    if _TOPIC.fullmatch(topic) is None or topic in (".", "..") or topic.startswith("__"):
        raise EventfoldError(f"{path} says that it is of the topic {topic[:SHOWN]!r}, which is no name of a topic of one's own")


def _partitions(path: Path, about: Mapping[str, str]) -> int:
    partitions = container.number(path, about, "partitions")
    if not 0 < partitions <= MOST_PARTITIONS:
        raise EventfoldError(f"{path} says that its topic had {partitions} partitions; {MOST_PARTITIONS:,} are the most")
    return partitions


def _schemas(path: Path, about: Mapping[str, str]) -> dict[bytes, Any]:
    """The schemas in a file; EventfoldError for one that the catalog would not take either.

    Of a schema that has an id of a registry others may have been less strict, so that it need only be one that cannot take this
    process down.
    """
    found = {bytes.fromhex(header): schema for header, schema in container.schemas_of(path, about).items()}
    for header, schema in found.items():
        try:
            message = message_of(schema, f"the schema of {header.hex()[:SHOWN]} in {path}")
        except DecodeError as error:
            raise EventfoldError(error.reason) from None
        parse(message)
        if header[:1] != MAGIC:
            check_legal(message.schema, message.path)
    return found
