"""Another framing beside single-object encoding: short headers, schemas that are learned, and what may pass."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventfold.schemas.catalog import Catalog, MessageSchema, is_record, message_of
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, TimedOutError
from eventfold.schemas.framing import SingleObject
from eventfold.schemas.parsed import parse
from eventfold.schemas.registry.framing import Confluent
from eventfold.schemas.registry.standing_alone import standing_alone
from eventfold.schemas.upcasting import Upcaster
from eventfold.schemas.writing import Writer, written
from tests.support.avro import catalog_of

SKU, COUNT = {"name": "sku", "type": "string"}, {"name": "count", "type": "int", "default": 1}
FILES: dict[str, list[Any]] = {"Sold.v1": [SKU], "Sold.v2": [SKU, COUNT]}


class Numbered:
    """Numbers schemas, as a registry does: `00` and four bytes; knows none at start, and may be away."""

    def __init__(self, catalog: Catalog) -> None:
        self.own = SingleObject(catalog)
        self.numbers: dict[int, MessageSchema] = {}
        self.asked: list[int] = []
        self.away = False

    def header(self, message: MessageSchema) -> bytes:
        number = len(self.numbers) + 1
        self.numbers[number] = message
        return b"\x00" + number.to_bytes(4, "big")

    def known(self) -> Mapping[bytes, MessageSchema]:
        return self.own.known()

    def unknown(self, value: bytes) -> tuple[bytes, MessageSchema]:
        if value[:1] != b"\x00":
            self.own.unknown(value)
        if self.away:
            raise TimedOutError("the registry is away")
        number = int.from_bytes(value[1:5], "big")
        self.asked.append(number)
        if number not in self.numbers:
            raise DecodeError(f"no schema has the number {number}")
        return value[:5], self.numbers[number]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, FILES)


def test_both_framings_are_read_and_a_header_is_asked_for_once(catalog: Catalog) -> None:
    framing = Numbered(catalog)
    codec = Codec(catalog, framing)
    short, long = (
        codec.encode("shop.Sold", {"sku": "a", "count": 2}),
        Codec(catalog).encode("shop.Sold", {"sku": "a", "count": 2}),
    )
    assert short[:5] == b"\x00\x00\x00\x00\x01" and short[5:] == long[10:]
    assert codec.encode("shop.Sold", {"sku": "a"})[:5] == short[:5] and len(framing.numbers) == 1
    old = written(catalog, "shop.Sold", 1, {"sku": "a"})
    for decode in (codec.decode, codec.reader({"shop.Sold": None})):
        for _ in range(3):
            assert decode(short) == decode(long) == ("shop.Sold", {"sku": "a", "count": 2})
            assert decode(old) == ("shop.Sold", {"sku": "a", "count": 1})
    assert framing.asked == [1]
    assert codec.written(short) is codec.written(long) is catalog.newest("shop.Sold")
    assert codec.reader({"shop.Sold": ["count"]})(short) == ("shop.Sold", {"count": 2})
    assert codec.reader({})(short) is None


@pytest.mark.parametrize(
    "value", [b"\x00", b"\x00\x00\x00\x00", b"\x00\x00\x00\x00\x07", b"\x00\x00\x00\x00\x07rest", b"{}", b""]
)
def test_what_no_framing_knows_is_a_decode_error(catalog: Catalog, value: bytes) -> None:
    codec = Codec(catalog, Numbered(catalog))
    for decode in (codec.decode, codec.reader({"shop.Sold": None}), codec.written):
        with pytest.raises(DecodeError):
            decode(value)


def test_what_may_pass_is_no_decode_error_and_is_asked_again(catalog: Catalog) -> None:
    framing = Numbered(catalog)
    codec = Codec(catalog, framing)
    value = codec.encode("shop.Sold", {"sku": "a"})
    framing.away = True
    read = codec.reader({"shop.Sold": ["sku"]})
    for decode in (codec.decode, read, codec.written):
        with pytest.raises(TimedOutError):
            decode(value)
    framing.away = False
    assert read(value) == ("shop.Sold", {"sku": "a"})
    framing.away = True
    assert codec.decode(value).data == {"sku": "a", "count": 1}


def test_a_schema_that_is_not_of_the_catalog_is_resolved_by_avros_rules_alone(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, FILES, [Upcaster("shop.Sold", 1, lambda data: pytest.fail("it was called"))])
    framing = Numbered(catalog)
    codec = Codec(catalog, framing)
    fields = [{"name": "till", "type": "int"}, SKU, {**COUNT, "type": "int"}]
    foreign = replace(catalog.newest("shop.Sold"), version=7, schema={**catalog.newest("shop.Sold").schema, "fields": fields})
    value = Writer(parse(foreign)).write(framing.header(foreign), {"till": 3, "sku": "a", "count": 5})
    assert codec.decode(value).data == {"sku": "a", "count": 5}
    assert codec.written(value).version == 7


def test_a_schema_of_another_name_is_resolved_where_it_is_declared(catalog: Catalog) -> None:
    framing = Numbered(catalog)
    newest = catalog.newest("shop.Sold")
    theirs = {**newest.schema, "namespace": "com.acme", "name": "Order", "fields": [{"name": "till", "type": "int"}, SKU]}
    foreign = replace(newest, type="com.acme.Order", version=0, schema=theirs)
    value = Writer(parse(foreign)).write(framing.header(foreign), {"till": 3, "sku": "a"})
    codec = Codec(catalog, framing)
    assert codec.calling({"com.acme.Order": "shop.Sold"}).decode(value) == ("shop.Sold", {"sku": "a", "count": 1})
    with pytest.raises(DecodeError, match=r"no schema in the catalog is called 'com\.acme\.Order'"):
        codec.decode(value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "shop.Lost"}, r"no schema in the catalog is called 'shop\.Lost'"),
        ({"schema": {"type": "record", "name": "Sold", "fields": [{"name": "a", "type": "strng"}]}}, "not an Avro schema"),
        (
            {"schema": json.loads('{"type":"record","name":"Sold","fields":[{"name":"a","type":["null","Sold"]}]}')},
            "lies in itself",
        ),
    ],
)
def test_a_foreign_schema_that_cannot_be_read_by_is_the_records_fault(catalog: Catalog, change: Any, says: str) -> None:
    framing = Numbered(catalog)
    header = framing.header(replace(catalog.newest("shop.Sold"), **change))
    with pytest.raises(DecodeError, match=says):
        Codec(catalog, framing).decode(header + b"\x00")


# -- what a registry has under an id -------------------------------------------------------------------------------------


class Unions:
    """A registry, every id of which is a union."""

    def __init__(self, *branches: Any) -> None:
        self._branches = [message_of(of, "a branch") if is_record(of) else None for of in branches]

    def id_of(self, message: MessageSchema) -> int:
        raise AssertionError("nothing is written")

    def schema(self, id_: int) -> Sequence[MessageSchema | None]:
        return self._branches


def test_a_union_at_the_top_is_read_by_the_branch_that_the_body_begins_with(catalog: Catalog, tmp_path: Path) -> None:
    first, newest = (version.schema for version in catalog.versions("shop.Sold"))
    seen = {"type": "record", "name": "shop.Seen", "fields": [{"name": "id", "type": "int"}]}
    framing = Confluent(catalog, Unions("null", first, seen, {**newest, "namespace": "com.acme"}))
    codec = Codec(catalog, framing).calling({"com.acme.Sold": "shop.Sold"})
    old, new, id_ = b"\0\0\0\0\x07\x02\x02a", b"\0\0\0\0\x07\x06\x02a\x04", b"\0\0\0\0\x07"
    reader = codec.reader({"shop.Sold": ["sku", "count"]})
    for _ in range(2):
        assert codec.decode(old) == reader(old) == ("shop.Sold", {"sku": "a", "count": 1})
        assert codec.decode(new) == reader(new) == ("shop.Sold", {"sku": "a", "count": 2})
    assert (codec.written(old).version, codec.header(old), codec.header(new)) == (1, old[:6], new[:6])
    for value, says in (
        (id_ + b"\x00", "it is of the branch 0 of the union that the schema 7 is, which is no record"),
        (id_ + b"\x04\x02", r"no schema in the catalog is called 'shop\.Seen'"),
        (id_ + b"\x08", "the body begins with no branch of the union that the schema 7 is: there are 4"),
        (id_ + b"\x01", "the body begins with no branch"),
        (id_ + b"\x80\x01", "the body begins with no branch"),
        (id_, "the body begins with no branch"),
    ):
        with pytest.raises(DecodeError, match=says):
            codec.decode(value)


def test_what_a_schema_refers_to_becomes_part_of_it_once() -> None:
    kind = {"type": "enum", "name": "acme.Kind", "symbols": ["ONE"]}
    box = {"type": "record", "name": "Box", "namespace": "acme", "fields": [{"name": "kind", "type": "Kind"}]}
    fields = [{"name": name, "type": ["null", "acme.Box"]} for name in "ab"] + [{"name": "kind", "type": "acme.Kind"}]
    alone = standing_alone({"type": "record", "name": "shop.Sold", "fields": fields}, [kind, box], "a schema")
    assert alone["fields"][0]["type"][1]["fields"] == [{"name": "kind", "type": kind}]
    assert [field["type"] for field in alone["fields"][1:]] == [["null", "acme.Box"], "acme.Kind"]
    parse(message_of(alone, "a schema"))
    union = standing_alone(["acme.Box", "acme.Kind", "null"], [kind, box], "a schema")
    assert [part if isinstance(part, str) else part["name"] for part in union] == ["acme.Box", "acme.Kind", "null"]
    assert union[0]["fields"] == [{"name": "kind", "type": kind}] and union[1] == kind
    with pytest.raises(DecodeError, match=r"a schema is no Avro schema: acme\.Box"):
        standing_alone(["acme.Box"], [kind], "a schema")
