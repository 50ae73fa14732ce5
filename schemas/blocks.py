"""Reads Avro object container files (Avro specification, "Object Container Files") that anybody may have written.

A general reader obeys the schema that the file brings along, and unpacks a block however large it becomes. This one wants a
schema that it knows, and unpacks a block no further than `MOST` bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import fastavro
from fastavro.schema import to_parsing_canonical_form

from eventfold.schemas.json_text import parse_json
from eventfold.schemas.parsed import WRONG

MOST = 16 << 20
"""The most bytes of the head of a file, and of a block, packed or not; a record of a topic has at most 4 MiB."""
_MAGIC = b"Obj\x01"
_HEAD = {
    "type": "record",
    "name": "Head",
    "fields": [
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "Sync", "size": 16}},
    ],
}
_SYNC = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands before the blocks. packed: whether these are compressed, by deflate."""

    metadata: Mapping[str, str]
    packed: bool
    sync: bytes


def canonical(schema: Any) -> str:
    """What schemas that mean the same to a reader have in common; ValueError for what is no Avro schema."""
    try:
        return str(to_parsing_canonical_form(schema))
    except WRONG as error:
        raise ValueError(f"its schema is none: {error}") from None


def head(file: IO[bytes], known: Collection[str]) -> Head:
    """Read the head of a file; ValueError for what is no such file, or one of a schema whose canonical form is not `known`."""
    start = BytesIO(file.read(MOST))
    if start.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as one")
    found: Any = fastavro.schemaless_reader(start, _HEAD)
    meta: dict[str, bytes] = found["meta"]
    if len(found["sync"]) != _SYNC:
        raise ValueError("its head is cut, or very long")
    file.seek(start.tell())
    codec = meta.get("avro.codec", b"null")
    if codec not in (b"null", b"deflate"):
        raise ValueError(f"its blocks are compressed by {codec[:20]!r}, not by deflate")
    if canonical(parse_json(meta.get("avro.schema", b""))) not in known:
        raise ValueError("its schema is not that of an export")
    return Head(
        metadata={name: text.decode() for name, text in meta.items()},
        packed=codec == b"deflate",
        sync=found["sync"],
    )


def rows(file: IO[bytes], head: Head, schema: dict[str, Any]) -> Iterator[Any]:
    """Every row of the blocks behind the head, read by this schema.

    ValueError or EOFError, or what fastavro raises, for a block that is damaged or larger than `MOST`.
    """
    # What fastavro reads is a file of one block, which is unpacked already and bounded.
    first = BytesIO()
    fastavro.writer(first, schema, (), codec="null", sync_marker=head.sync)
    start = first.getvalue()
    while (count := _number(file)) is not None:
        size = _number(file)
        if size is None or not 0 <= size <= MOST or count < 0:
            raise ValueError(f"a block of {count} records claims to have {size} bytes; {MOST:,} are the most")
        data = file.read(size)
        if len(data) < size or file.read(_SYNC) != head.sync:
            raise EOFError("a block is cut")
        block = _unpacked(data) if head.packed else data
        yield from fastavro.reader(BytesIO(b"".join((start, _long(count), _long(len(block)), block, head.sync))))


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(-15)
    found = unpacking.decompress(data, MOST + 1)
    if len(found) > MOST:
        raise ValueError(f"a block becomes larger than {MOST:,} bytes")
    if not unpacking.eof:
        raise EOFError("a block is cut")
    return found


def _number(file: IO[bytes]) -> int | None:
    """A long as Avro writes it; None at the end of the file."""
    value, shift = 0, 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if not byte[0] & 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
    if shift:
        raise EOFError("a number is cut")
    return None


def _long(value: int) -> bytes:
    left, found = value << 1, bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])
