"""The fast reader: of every body, whole or damaged, it must say what fastavro says, trimmed to the fields that are wanted."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Collection
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader

from eventfold.schemas.catalog import Catalog, message_of
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.parsed import decimals, parse
from eventfold.schemas.pattern import LIMIT, Patterns, Remembered, integer, text
from tests.support.avro import sample, undecimal
from tests.support.soak import SOAK

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
INSTALLED = Catalog.installed(["flights", "accounts"])
FLAT = [
    {"name": name, "type": of}
    for name, of in {
        "sku": "string",
        "count": "int",
        "nothing": "null",
        "sold_at": {"type": "long", "logicalType": "timestamp-millis"},
        "fresh": "boolean",
        "note": ["null", {"type": "string", "avro.java.string": "String"}],
        "weight": ["long", "null"],
        "size": ["null", "int"],
        "gift": ["boolean", "null"],
        "class": "string",
        "by": {"type": "string", "logicalType": "uuid"},
        "price": DECIMAL,
        "discount": ["null", {**DECIMAL, "precision": 40, "scale": 0}],
        "tax": [DECIMAL, "null"],
    }.items()
]
# What a pattern leaves to fastavro, with a value of each.
OTHERS: dict[str, tuple[Any, Any]] = {
    "array": ({"type": "array", "items": "string"}, ["a", "\u00e9"]),
    "map": ({"type": "map", "values": "int"}, {"a": 1}),
    "enum": ({"type": "enum", "name": "Size", "symbols": ["S", "L"]}, "L"),
    "fixed": ({"type": "fixed", "name": "Id", "size": 3}, b"abc"),
    "record": ({"type": "record", "name": "Box", "fields": [{"name": "x", "type": "int"}]}, {"x": 1}),
    "float": ("float", 0.5),
    "double": ("double", 0.1),
    "bytes": ("bytes", b"\xff"),
    "fixed decimal": ({"type": "fixed", "name": "Sum", "size": 4, "logicalType": "decimal", "precision": 4}, Decimal(12)),
    "decimal or text": (["null", "string", DECIMAL], Decimal(-7)),
    "union": (["null", "string", "long"], 7),
    "no null": (["string", "long"], "a"),
    "one": (["string"], "a"),
}


def catalog(folder: Path, **types: list[dict[str, Any]]) -> Catalog:
    """A catalog of `shop.<Name>`, each with these fields."""
    (folder / "events").mkdir(exist_ok=True)
    for name, fields in types.items():
        schema = {"type": "record", "namespace": "shop", "name": name, "fields": fields}
        (folder / "events" / f"{name}.v1.avsc").write_text(json.dumps(schema))
    return Catalog({"shop": folder})


def untimed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [untimed(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: untimed(of) for name, of in schema.items() if name != "logicalType"}
    return schema


class Plain:
    """What fastavro alone makes of the newest version of a type; None for what is no such body.

    Decimals it reads as the bytes they are, and Python's decimals are made of them.
    """

    def __init__(self, catalog: Catalog, type_: str) -> None:
        self._schema = parse_schema(untimed(dict(catalog.newest(type_).schema)), named_schemas={})
        self.fields = [field["name"] for field in self._schema["fields"]]  # type: ignore[index,call-overload]
        self._scales = {name: of.scale for name, of in decimals(catalog.newest(type_).schema).items()}

    def __call__(self, value: bytes, wanted: Collection[str]) -> Any:
        body = BytesIO(value[10:])
        try:
            data: Any = schemaless_reader(body, self._schema, None)
        except Exception:
            return None
        if body.tell() != len(value) - 10:
            return None
        found = {name: data[name] for name in data if name in wanted}
        return undecimal(found, self._scales)


def outcome(decode: Callable[[bytes], Any], value: bytes) -> Any:
    """What was decoded, or the text of the DecodeError, without the addresses that fastavro puts into it."""
    try:
        return decode(value)
    except DecodeError as error:
        return re.sub(" at 0x[0-9a-f]+", "", str(error))


# -- whole bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", sorted({schema.type for schema in INSTALLED.schemas}))
def test_every_message_of_the_catalog_in_all_its_fields_and_in_some(codec: Codec, type_: str) -> None:
    choice = random.Random(type_)
    schema = INSTALLED.newest(type_).schema
    names = [field["name"] for field in schema["fields"]]
    subsets = [[], names, *([name] for name in names), *(choice.sample(names, choice.randint(0, len(names))) for _ in range(9))]
    for wanted in [None, *subsets]:
        read = codec.reader({type_: wanted})
        for _ in range(30):
            data = sample(schema, choice)
            kept = {name: data[name] for name in names if wanted is None or name in wanted}
            found = read(codec.encode(type_, data))
            assert found == (type_, kept)
            assert list(found[1]) == list(kept)


def test_real_events_need_no_fastavro(codec: Codec, real_events: Any) -> None:
    for projection_reads in (None, ("origin", "tail_number")):
        match = {
            schema.type: pattern.match
            for schema in map(INSTALLED.newest, {schema.type for schema in INSTALLED.schemas})
            if (pattern := Patterns().of(parse(schema), parse(schema), projection_reads)) is not None
        }
        assert match.keys() >= {schema.type for schema in INSTALLED.schemas if schema.domain != "accounts"}
        for event in real_events:
            assert match[event.type](codec.encode(event.type, event.data), 10)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_schema_that_is_not_flat_is_read_by_fastavro(tmp_path: Path, kind: str) -> None:
    of, given = OTHERS[kind]
    fields = [{"name": "sku", "type": "string"}, {"name": "other", "type": of}]
    shop = catalog(tmp_path, Sold=fields)
    parsed = parse(shop.newest("shop.Sold"))
    assert Patterns().of(parsed, parsed, ["sku"]) is None
    codec = Codec(shop)
    value = codec.encode("shop.Sold", {"sku": "a", "other": given})
    whole = codec.decode(value)
    assert codec.reader({"shop.Sold": None})(value) == whole
    assert codec.reader({"shop.Sold": ["sku"]})(value) == ("shop.Sold", {"sku": "a"})
    assert codec.reader({"shop.Sold": ["other"]})(value) == ("shop.Sold", {"other": whole.data["other"]})
    with pytest.raises(DecodeError, match=r"shop\.Sold"):
        codec.reader({"shop.Sold": ["sku"]})(value[:-1])


@pytest.mark.parametrize("name", ["it's", "a b", "x: 1, **y", "\\", "\u00e9", "lambda", "groups", "v0", "texts"])
def test_a_fields_name_is_never_code(name: str) -> None:
    # Of our own schemas no such name is taken; others' may have them.
    fields = [{"name": name, "type": "int"}, {"name": "sku", "type": "string"}]
    parsed = parse(message_of({"type": "record", "name": "shop.Sold", "fields": fields}, "another's schema"))
    for wanted, read in (([name], {name: 3}), (None, {name: 3, "sku": "a"})):
        pattern = Patterns().of(parsed, parsed, wanted)
        assert pattern is not None
        body = pattern.match(b"\x06\x02a", 0)
        assert body is not None and pattern.make(body.groups()) == read


# -- the bytes of one field ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        ("int", b"\xfe\xff\xff\xff\x0f"),  # 2**31 - 1
        ("int", b"\xff\xff\xff\xff\x0f"),  # -(2**31)
        ("int", b"\x80\x80\x80\x80\x10"),  # 2**31, which fastavro lets pass
        ("int", b"\xff" * 8 + b"\x7f"),
        ("int", b"\x80\x80\x00"),  # 0 in more bytes than it needs
        ("long", b"\xfe" + b"\xff" * 8 + b"\x01"),  # 2**63 - 1
        ("long", b"\xff" * 9 + b"\x01"),  # -(2**63)
        ("long", b"\xff" * 9 + b"\x7f"),  # beyond 64 bits
        ("long", b"\xff" * 10 + b"\x01"),
        ("long", b"\xfe" + b"\xff" * 7 + b"\x7f"),
        *(("long", b"\x81" * n + b"\x7f") for n in range(10)),
        ("string", b"\x00"),
        ("string", bytes([2 * 63]) + b"x" * 63),
        ("string", b"\x80\x01" + b"x" * 64),
        ("string", b"\xd0\x0f" + b"x" * 1000),
        ("string", b"\x04\xc3\xa9"),
        ("string", bytes([2 * 62]) + b"\xc3\xa9" * 31),
        ("string", b"\x02\n"),
        ("string", b"\x02\xff"),  # not UTF-8
        ("string", b"\x02\xc3"),
        ("string", b"\x06\xed\xa0\x80"),  # a surrogate
        ("string", b"\x82\x00a"),  # its length in more bytes than it needs
        ("string", b"\x01a"),  # its length is -1
        ("string", b"\x7fa"),
        (DECIMAL, b"\x00"),  # no byte at all
        (DECIMAL, b"\x02\x00"),
        (DECIMAL, b"\x02\xff"),
        (DECIMAL, b"\x04\x00\x80"),
        (DECIMAL, b"\x08\x00\x00\x00\x01"),  # more bytes than it needs
        (DECIMAL, b"\x08\xff\xff\xff\x85"),
        (DECIMAL, b"\x10\x0d\xe0\xb6\xb3\xa7\x63\xff\xff"),  # 10**18 - 1
        (DECIMAL, b"\x18" + b"\x7f" * 12),  # beyond its precision
        (DECIMAL, bytes([2 * 63]) + b"\xff" * 63),
        (DECIMAL, b"\x80\x01" + b"\x00" * 63 + b"\x05"),
        (DECIMAL, b"\x82\x00\x05"),
        (DECIMAL, b"\x03\x05"),
        (["null", DECIMAL], b"\x00"),
        (["null", DECIMAL], b"\x02\x02\x05"),
        ([DECIMAL, "null"], b"\x00\x02\x85"),
        ([DECIMAL, "null"], b"\x02"),
        ("boolean", b"\x00"),
        ("boolean", b"\x01"),
        ("boolean", b"\x02"),
        ("null", b""),
        (["null", "string"], b"\x00"),
        (["null", "string"], b"\x02\x02a"),
        (["null", "string"], b"\x02\x02\xff"),
        (["string", "null"], b"\x00\x02a"),
        (["string", "null"], b"\x02"),
        (["null", "long"], b"\x02\xff\x01"),
        (["null", "boolean"], b"\x02\x01"),
        (["null", "int"], b"\x01\x06"),  # the last branch, counted from behind
        (["null", "int"], b"\x04\x06"),  # no such branch
        (["null", "int"], b"\x82\x00\x06"),
    ],
)
def test_a_value_kept_or_skipped_is_as_fastavro_reads_it(tmp_path: Path, kind: Any, encoded: bytes) -> None:
    names = ["before", "it", "after"]
    installed = catalog(tmp_path, Sold=[{"name": n, "type": kind if n == "it" else "int"} for n in names])
    codec, plain = Codec(installed), Plain(installed, "shop.Sold")
    whole = sample(installed.newest("shop.Sold").schema, random.Random(1))
    header = codec.encode("shop.Sold", whole)[:10]
    for tail in (b"", b"\x06", b"\x06\x00"):
        value = header + b"\x02" + encoded + tail
        for wanted in ([], ["it"], ["before"], ["before", "after"], names):
            found, expected = outcome(codec.reader({"shop.Sold": wanted}), value), plain(value, wanted)
            assert found == (outcome(codec.decode, value) if expected is None else ("shop.Sold", expected))


# -- damaged bodies ------------------------------------------------------------------------------------------------------


def test_damaged_bodies_are_what_fastavro_says_they_are(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    choice = random.Random(seed)
    shop = catalog(tmp_path, Sold=FLAT)
    # Unlike the other types it has a field of every kind, so it gets half of the damage.
    codecs = [(shop, Codec(shop)), (INSTALLED, Codec(INSTALLED))]
    types = [(*codecs[0], "shop.Sold")] * len(INSTALLED.schemas)
    types += [(*codecs[1], schema.type) for schema in INSTALLED.schemas]
    # Of every type, the fields of so many readers, and as many values for all.
    readers, values = (50, 100_000) if SOAK else (5, 4_000)
    read, refused = 0, 0
    for installed, codec, type_ in types:
        plain, schema = Plain(installed, type_), installed.newest(type_).schema
        whole = [codec.encode(type_, sample(schema, choice)) for _ in range(100)]
        for _ in range(readers):
            wanted = choice.sample(plain.fields, choice.randint(0, len(plain.fields)))
            reader = codec.reader({type_: wanted})
            for _ in range(values // (readers * len(types))):
                value = damaged(choice.choice(whole), choice)
                found, expected = outcome(reader, value), plain(value, wanted)
                which = f"seed={seed}: {type_} {wanted} {value!r}"
                if expected is None:
                    assert found == outcome(codec.decode, value), which
                    refused += 1
                else:
                    assert found == (type_, expected), which
                    assert repr(found[1]) == repr(expected), which
                    read += 1
    assert read > 200 and refused > 200


def damaged(value: bytes, choice: random.Random) -> bytes:
    """A body changed in one to three places; the header stays."""
    body = bytearray(value)
    for _ in range(choice.randint(1, 3)):
        at = choice.randint(10, len(body))
        match choice.randrange(6):
            case 0:
                del body[at:]
            case 1:
                body[at : at + 1] = choice.randbytes(1)
            case 2:
                body[at:at] = choice.choice([b"\x00", b"\x02", b"\x80", b"\xff", b"\xc3\xa9", choice.randbytes(3)])
            case 3:
                del body[at : at + choice.randint(1, 3)]
            case 4:
                body[at : at + 1] = bytes([byte ^ 1 << choice.randrange(8) for byte in body[at : at + 1]])
            case 5:
                body += choice.randbytes(choice.randint(1, 3))
    return bytes(body)


# -- which types, which fields -------------------------------------------------------------------------------------------


def test_what_is_no_message_is_the_same_error(codec: Codec) -> None:
    read = codec.reader({"flights.FlightDeparted": ["origin"]})
    for value in (None, b"", b"\xc3\x01short", b"{}", b"\xc3\x0112345678rest"):
        with pytest.raises(DecodeError) as expected:
            codec.decode(value)
        with pytest.raises(DecodeError) as found:
            read(value)
        assert str(found.value) == str(expected.value)


def test_the_body_of_a_type_that_is_not_wanted_is_not_looked_at(codec: Codec) -> None:
    value = codec.encode("flights.CancelFlight", {"cancelled_at": 64})
    assert codec.reader({})(value[:-1]) is None
    assert codec.reader({"flights.FlightDeparted": ()})(value + b"more") is None
    with pytest.raises(DecodeError, match=r"flights\.CancelFlight"):
        codec.reader({"flights.CancelFlight": ()})(value[:-1])


def test_a_field_that_the_newest_version_does_not_have_is_a_usage_error(codec: Codec) -> None:
    with pytest.raises(UsageError, match=r"flights\.FlightDeparted has no field 'orgin'; it has: carrier, .*origin"):
        codec.reader({"flights.FlightDeparted": ["carrier", "orgin"]})
    assert codec.reader({"weather.Observed": ["wind"]})(codec.encode("flights.CancelFlight", {"cancelled_at": 64})) is None


# -- what is remembered --------------------------------------------------------------------------------------------------


def test_what_is_remembered_is_bounded_and_right(tmp_path: Path) -> None:
    codec = Codec(catalog(tmp_path, Sold=FLAT))
    read, data = codec.reader({"shop.Sold": ["sku", "count"]}), sample({"type": "record", "fields": FLAT}, random.Random(1))
    texts, ints = Remembered(text), Remembered(integer)
    for _ in range(2):
        for number in range(LIMIT + 100):
            sold = codec.encode("shop.Sold", {**data, "sku": str(number), "count": number})
            assert read(sold) == ("shop.Sold", {"sku": str(number), "count": number})
            assert texts[b"\x0a%05d" % number] == f"{number:05d}"
            assert ints[None] is texts[None] is None
            assert len(texts) <= LIMIT
