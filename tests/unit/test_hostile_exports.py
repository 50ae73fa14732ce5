"""Files that somebody else made: none of them takes the process down, and none is written where a link leads."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from eventfold.schemas import blocks, container, files
from eventfold.schemas.errors import EventfoldError
from eventfold.tools.log.saved import saved

ABOUT = {"topic": "t", "partition": "0", "partitions": "1", "first_offset": "0"}
RECORDS = [container.Record(0, 0, "create", b"k", [], b"v")]
SYNC = bytes(range(16))
ITSELF = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
NOTHINGS = {"type": "array", "items": "null"}


def long(value: int) -> bytes:
    left, found = (value << 1) ^ (value >> 63), bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def text(value: bytes) -> bytes:
    return long(len(value)) + value


def file_of(schema: Any, packed: bytes, *, count: int = 1, codec: bytes = b"deflate", size: int | None = None) -> bytes:
    """A container file of one block, whatever that is."""
    meta = {f"eventfold.{name}".encode(): of.encode() for name, of in ABOUT.items()}
    meta |= {b"avro.codec": codec, b"avro.schema": json.dumps(schema).encode()}
    head = b"Obj\x01" + long(len(meta)) + b"".join(text(name) + text(of) for name, of in meta.items()) + long(0) + SYNC
    return head + long(count) + long(len(packed) if size is None else size) + packed + SYNC


def deflated(data: bytes) -> bytes:
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packing.compress(data) + packing.flush()


def large(size: int) -> bytes:
    """A block of one record with so many zeros as its value."""
    row = BytesIO()
    of = {**RECORDS[0]._asdict(), "headers": [], "value": bytes(size)}
    fastavro.schemaless_writer(row, container.SCHEMA, of)
    return deflated(row.getvalue())


HOSTILE = {
    "a schema that lies in itself": (file_of(ITSELF, deflated(b"\x02" * 1_000_000)), "its schema is not that of an export"),
    "items that take no bytes": (file_of(NOTHINGS, deflated(long(2**40))), "its schema is not that of an export"),
    "a schema nested without end": (
        file_of("SCHEMA", b"").replace(b'"SCHEMA"', b"[" * 8),
        "is no Avro object container file of an export",
    ),
    "a block that becomes large": (
        file_of(container.SCHEMA, large(50_000_000)),
        "a block becomes larger than 16,777,216 bytes",
    ),
    "a block that says it is large": (file_of(container.SCHEMA, b"", size=2**62), "claims to have 4611686018427387904 bytes"),
    "a block of less than nothing": (file_of(container.SCHEMA, b"", size=-5), "claims to have -5 bytes"),
    "records without end": (file_of(container.SCHEMA, large(3), count=2**62), "after 1 records"),
    "fewer records than none": (file_of(container.SCHEMA, large(3), count=-1), "a block of -1 records"),
    "another codec": (file_of(container.SCHEMA, b"", codec=b"snappy"), "are compressed by b'snappy', not by deflate"),
    "metadata without end": (b"Obj\x01" + long(1) + text(b"a") + long(2**62) + b"x", "is no Avro object container file"),
    "a number without end": (b"Obj\x01" + b"\xff" * 100, "is no Avro object container file"),
    "nothing": (b"", "it does not begin as one"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_would_take_the_process_down_is_refused_by_name(tmp_path: Path, what: str) -> None:
    path, (data, says) = tmp_path / "t-0.avro", HOSTILE[what]
    path.write_bytes(data)
    with pytest.raises(EventfoldError) as error:
        [each.check() for each in saved(tmp_path)]
    assert str(path) in str(error.value) and says in str(error.value)


def test_what_is_as_large_as_it_may_be_is_read(tmp_path: Path) -> None:
    (tmp_path / "t-0.avro").write_bytes(file_of(container.SCHEMA, large(blocks.MOST - 100)))
    (found,) = saved(tmp_path)
    assert [len(record.value or b"") for _, record in found.records()] == [blocks.MOST - 100]


def test_a_file_that_another_library_wrote_anew_is_read(tmp_path: Path) -> None:
    """With its names in full, without docs, and not compressed."""
    path, again = tmp_path / "t-0.avro", BytesIO()
    container.save(path, RECORDS, lambda: ABOUT)
    reader: Any = fastavro.reader(BytesIO(path.read_bytes()))
    schema = json.loads(json.dumps(reader.writer_schema).replace('"doc"', '"was"'))
    fastavro.writer(again, schema, list(reader), codec="null", metadata={f"eventfold.{name}": of for name, of in ABOUT.items()})
    path.write_bytes(again.getvalue())
    (found,) = saved(tmp_path)
    assert [record for _, record in found.records()] == RECORDS


def nested(depth: int) -> Any:
    schema: Any = "int"
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return {"type": "record", "name": "t.Deep", "fields": [{"name": "in", "type": schema}]}


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"topic": "__consumer_offsets"}, "is of the topic '__consumer_offsets', which is no name of a topic of one's own"),
        ({"topic": "../up"}, "is of the topic '../up'"),
        ({"topic": ".."}, "is of the topic '..'"),
        ({"topic": "t\n\x1b[2J"}, r"is of the topic 't\n\x1b[2J'"),
        ({"topic": "t" * 250}, "is of the topic 'ttt"),
        ({"partition": "9" * 5_000}, "as partition, which is no number"),
        ({"partitions": "999999999"}, "had 999999999 partitions; 10,000 are the most"),
        ({"partitions": "0"}, "had 0 partitions"),
        ({"schemas": {"c301": ITSELF}}, "the schema of c301 in"),
        ({"schemas": {"0000000001": ITSELF}}, "lies in itself"),
        (
            {"schemas": {"c301": {**ITSELF, "fields": [{"name": "many", "type": NOTHINGS}]}}},
            "the items of an array take no bytes",
        ),
        ({"schemas": {"c301": {**ITSELF, "fields": [{"name": "1", "type": "int"}]}}}, "the schema of c301 in"),
        ({"schemas": {"c301": nested(70)}}, "types lie in each other more than 64 times"),
        ({"schemas": {"c301": nested(480)}}, "the schema of c301 in"),
        ({"schemas": {"0000000001": nested(480)}}, "the schema of 0000000001 in"),
        ({"schemas": {"c301": "int"}}, "is no Avro record"),
    ],
)
def test_what_a_file_says_of_itself_is_checked(tmp_path: Path, about: Mapping[str, Any], says: str) -> None:
    path = tmp_path / "t-0.avro"
    told = {name: of if isinstance(of, str) else json.dumps(of) for name, of in {**ABOUT, **about}.items()}
    container.save(path, RECORDS, lambda: told)
    with pytest.raises(EventfoldError) as error:
        saved(tmp_path)
    assert str(path) in str(error.value) and says in str(error.value) and len(str(error.value)) < 1_000


def test_a_pipe_or_a_device_is_no_file(tmp_path: Path) -> None:
    """Of which one would wait for ever for a writer, and the other never ends."""
    path = tmp_path / "t-0.avro"
    for make in (lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero"), path.mkdir):
        make()
        with pytest.raises(EventfoldError, match=r"t-0\.avro cannot be read: (it is no file|Is a directory)"):
            saved(tmp_path)
        path.rmdir() if path.is_dir() else path.unlink()


def others(path: Path) -> list[tuple[str, Callable[[], Any]]]:
    """What may lie in the way of a new file."""
    elsewhere = path.with_name("elsewhere")
    return [
        ("a file", lambda: path.write_bytes(b"theirs")),
        ("a link", lambda: (elsewhere.write_bytes(b"theirs"), path.symlink_to(elsewhere))),
        ("a link to nothing", lambda: path.symlink_to(path.with_name("nothing"))),
    ]


@pytest.mark.parametrize("place", range(3), ids=[name for name, _ in others(Path("x"))])
@pytest.mark.parametrize("over", [True, False])
def test_a_new_file_is_its_owners_alone_and_takes_no_others_place_unasked(tmp_path: Path, place: int, over: bool) -> None:
    path = tmp_path / "t-0.avro"
    others(path)[place][1]()
    there = {each.name: each.lstat().st_ino for each in tmp_path.iterdir()}
    if not over:
        with pytest.raises(EventfoldError, match=r"t-0\.avro cannot be written: File exists"):
            container.save(path, RECORDS, lambda: ABOUT, over=False)
        assert {each.name: each.lstat().st_ino for each in tmp_path.iterdir()} == there
        return
    container.save(path, RECORDS, lambda: ABOUT, over=True)
    assert not path.is_symlink() and path.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} == there.keys()
    if (tmp_path / "elsewhere").exists():
        assert (tmp_path / "elsewhere").read_bytes() == b"theirs"


def test_a_folder_is_made_for_its_owner_alone_and_is_no_link(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="it is a link"):
        files.make_folder(tmp_path / "link")
    with pytest.raises(EventfoldError, match="cannot be written"):
        container.save(tmp_path / "link" / "t-0.avro", RECORDS, lambda: ABOUT)
    assert not list((tmp_path / "a").glob("*.avro"))
