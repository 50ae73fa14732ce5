"""Records of one partition as an Avro object container file (Avro specification, "Object Container Files"), which any Avro
tool reads. What the file says of itself stands in its metadata, under names that begin with `eventfold.`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

import fastavro

from eventfold.schemas import blocks, files
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.json_text import parse_json
from eventfold.schemas.own import NAME, NAMES, unprefixed

SHOWN = 100
"""How much of what a file says is shown at most."""
_OWN = f"{NAME}."
_BLOCK = 64 * 1024
_BYTES = ["null", "bytes"]


def _field(name: str, type_: Any, doc: str) -> dict[str, Any]:
    return {"name": name, "type": type_, "doc": doc}


SCHEMA: dict[str, Any] = {
    "type": "record",
    "namespace": NAME,
    "name": "Record",
    "doc": "A record of a Kafka topic, as it lay there.",
    "fields": [
        _field("offset", "long", "Its offset in the partition that it was read from."),
        _field("timestamp", {"type": "long", "logicalType": "timestamp-millis"}, "The record's timestamp, UTC."),
        _field("timestamp_type", "string", "What that is: create (the producer's) or append (the broker's)."),
        _field("key", _BYTES, "The key's bytes."),
        _field(
            "headers",
            {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Header",
                    "doc": "One header; a name may stand several times.",
                    "fields": [_field("name", "string", "Its name."), _field("value", _BYTES, "Its bytes.")],
                },
            },
            "The headers in their order.",
        ),
        _field("value", _BYTES, "The value's bytes: the message, with the header that says its schema."),
    ],
}
# Under the former name too: a namespace is part of a name.
_KNOWN = frozenset(blocks.canonical({**SCHEMA, "namespace": name}) for name in NAMES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLI = timedelta(milliseconds=1)
# What fastavro raises on a file that is cut, damaged or none.
_BAD = (
    EOFError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    StopIteration,
    AttributeError,
    zlib.error,
)


class Record(NamedTuple):
    """One record. timestamp: ms since 1970 UTC. timestamp_type: `create` or `append`."""

    offset: int
    timestamp: int
    timestamp_type: str
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


def save(path: Path, records: Iterable[Record], metadata: Callable[[], Mapping[str, str]], *, over: bool = True) -> None:
    """Write a file, for its owner alone: as a whole, or not at all. Links are not followed.

    over: whether it takes the place of a file that is there; else EventfoldError. metadata: asked for once all records have
    been read, without the `eventfold.` before its names. The same records under the same name, with the same metadata, give the
    same bytes. EventfoldError when the file cannot be written.
    """
    marker = hashlib.md5(path.name.encode(), usedforsecurity=False).digest()
    rows = ({**record._asdict(), "headers": [{"name": n, "value": v} for n, v in record.headers]} for record in records)
    try:
        with tempfile.TemporaryFile(dir=path.parent) as scratch, files.written(path, over=over) as file:
            _write(scratch, {}, rows, marker)
            # The metadata stands before the records, and some of it is known after them only.
            _write(file, {f"{_OWN}{name}": text for name, text in metadata().items()}, (), marker)
            scratch.seek(_head(marker))
            shutil.copyfileobj(scratch, file, 1 << 20)
    except OSError as error:
        raise EventfoldError(f"{path} cannot be written: {error.strerror}") from error


def _write(file: IO[bytes], metadata: Mapping[str, str], rows: Iterable[Mapping[str, Any]], marker: bytes) -> None:
    fastavro.writer(file, SCHEMA, rows, codec="deflate", metadata=dict(metadata), sync_marker=marker, sync_interval=_BLOCK)


def _head(marker: bytes) -> int:
    """How many bytes a file without metadata and records has."""
    empty = BytesIO()
    _write(empty, {}, (), marker)
    return len(empty.getvalue())


def noted(schemas: Mapping[str, Any]) -> str:
    """What the metadata says as `schemas`: what messages were written with, by what they begin with, in hex."""
    return json.dumps(schemas, ensure_ascii=False, sort_keys=True)


def schemas_of(path: Path, about: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `noted`, of the metadata of a file; nothing where it says nothing. EventfoldError names the file."""
    try:
        found = parse_json(about.get("schemas", "{}"))
        if not isinstance(found, dict):
            raise TypeError(f"a JSON object is wanted, not {type(found).__name__}")
        for header in found:
            bytes.fromhex(header)
    except (ValueError, TypeError) as error:
        raise EventfoldError(f"{path}: its metadata has schemas that cannot be read: {error}") from error
    return found


def number(path: Path, about: Mapping[str, str], name: str) -> int:
    """A number in the metadata of a file; EventfoldError names the file where it is none."""
    text = about.get(name, "")
    # No offset has more digits, and Python takes long over a number of very many.
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise EventfoldError(f"{path}: its metadata has {text[:SHOWN]!r} as {name}, which is no number")
    return int(text)


@contextmanager
def opened(path: Path) -> Iterator[tuple[dict[str, str], Iterator[Record]]]:
    """The metadata of a file, without the `eventfold.`, and its records, which are read as they are asked for.

    EventfoldError names the file that is none of ours, as one of another schema, or with a block of more than
    `eventfold.schemas.blocks.MOST` bytes, and how many records come before the place where one is cut or damaged:
    also where whole blocks are missing, if the metadata says how many `records` there are.
    """
    try:
        file = files.to_read(path)
    except OSError as error:
        raise EventfoldError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        try:
            head = blocks.head(file, _KNOWN)
        except _BAD as error:
            raise EventfoldError(f"{path} is no Avro object container file of an export: {error}") from error
        own = {found: text for name, text in head.metadata.items() if (found := unprefixed(name, "."))}
        if "topic" not in own or "partition" not in own:
            raise EventfoldError(f"{path} is no export of a topic: its metadata has no {_OWN}topic and {_OWN}partition")
        yield own, _records(path, blocks.rows(file, head, SCHEMA), own.get("records"))


def _records(path: Path, reader: Iterable[dict[str, Any]], wanted: str | None) -> Iterator[Record]:
    read = 0
    try:
        for row in reader:
            record = _record(row)
            yield record
            read += 1
    except _BAD as error:
        raise EventfoldError(f"{path} is cut or damaged after {read} records: {type(error).__name__} {error}") from error
    if wanted is not None and wanted != str(read):
        raise EventfoldError(f"{path} is cut or damaged: it has {read} records, and says that there are {wanted}")


def _record(row: dict[str, Any]) -> Record:
    headers = [(header["name"], header["value"]) for header in row["headers"]]
    timestamp = (row["timestamp"] - _EPOCH) // _MILLI
    return Record(row["offset"], timestamp, row["timestamp_type"], row["key"], headers, row["value"])
