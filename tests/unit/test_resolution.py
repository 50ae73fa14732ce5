"""Older versions by Avro's rules: fast, slow and fastavro's own resolution say the same of any two versions that fit."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from eventfold.schemas.catalog import Catalog, message_of
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, EventfoldError
from eventfold.schemas.parsed import fingerprint, parse
from eventfold.schemas.pattern import Patterns
from eventfold.schemas.writing import written
from tests.support.avro import catalog_of, sample, undecimal
from tests.support.soak import SOAK

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
TIME = {"type": "long", "logicalType": "timestamp-millis"}
FLAT: list[Any] = ["null", "boolean", "int", "long", "string", DECIMAL, TIME]
DEFAULTS = {"null": None, "boolean": True, "int": -7, "long": 2**40, "string": "\u00e9"}


def null_or(kind: Any) -> st.SearchStrategy[Any]:
    """The type itself, or a union of it and null, in either order."""
    return st.just(kind) if kind == "null" else st.sampled_from([kind, ["null", kind], [kind, "null"]])


def wider(kind: Any) -> st.SearchStrategy[Any]:
    """Types as which Avro's rules read such a value, of those that a pattern has."""
    if isinstance(kind, list):
        (inner,) = [branch for branch in kind if branch != "null"]
        return st.sampled_from(["int", "long"] if inner == "int" else [inner]).flatmap(
            lambda to: st.sampled_from([["null", to], [to, "null"]])
        )
    if kind == "null":
        return st.sampled_from(["null", ["null", "string"], ["long", "null"]])
    return st.sampled_from(["int", "long"] if kind == "int" else [kind]).flatmap(null_or)


@st.composite
def versions(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """The fields of two versions, of which the first can be read as the second."""
    older: list[Any] = []
    newer: list[Any] = []
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(FLAT).flatmap(null_or))
        older.append({"name": f"f{number}", "type": kind})
        fate = draw(st.sampled_from(["kept", "renamed", "dropped"]))
        if fate != "dropped":
            field = {"name": f"f{number}", "type": draw(wider(kind))}
            newer.append(field if fate == "kept" else {**field, "name": f"g{number}", "aliases": ["x", f"f{number}"]})
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(sorted(DEFAULTS)))
        of = draw(null_or(kind))
        default = None if isinstance(of, list) and of[0] == "null" else DEFAULTS[kind]
        newer.append({"name": f"new{number}", "type": of, "default": default})
    return older, draw(st.permutations(newer))


def resolved(catalog: Catalog, value: bytes) -> dict[str, Any]:
    """What fastavro's own resolution makes of a body of version 1; decimals it reads as bytes here."""

    def plain(of: Any) -> Any:
        if isinstance(of, dict):
            return {name: plain(inner) for name, inner in of.items() if name != "logicalType"}
        return [plain(inner) for inner in of] if isinstance(of, list) else of

    writer, reader = (fastavro.parse_schema(plain(v.schema), named_schemas={}) for v in catalog.versions("shop.Sold"))
    found: Any = fastavro.schemaless_reader(BytesIO(value[10:]), writer, reader)
    return undecimal(found, dict.fromkeys(found, DECIMAL["scale"]))


@settings(max_examples=3_000 if SOAK else 100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(versions(), st.data())
def test_fast_slow_and_fastavro_say_the_same(tmp_path: Path, fields: tuple[list[Any], list[Any]], data: st.DataObject) -> None:
    older, newer = fields
    catalog = catalog_of(tmp_path, {"Sold.v1": older, "Sold.v2": newer})
    assume(len({fingerprint(version) for version in catalog.versions("shop.Sold")}) == 2)
    codec = Codec(catalog)
    first, second = (parse(version) for version in catalog.versions("shop.Sold"))
    pattern = Patterns().of(first, second, None)
    assert pattern is not None
    wanted = data.draw(st.lists(st.sampled_from([field["name"] for field in newer]), unique=True)) if newer else []
    read = codec.reader({"shop.Sold": wanted})
    choice = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(5):
        value = written(catalog, "shop.Sold", 1, sample({"type": "record", "fields": older}, choice))
        whole = codec.decode(value).data
        slow = codec._find(value).read(value, 10)
        assert repr(whole) == repr(slow)
        assert whole == resolved(catalog, value)
        assert list(whole) == [field["name"] for field in newer]
        assert read(value) == ("shop.Sold", {name: of for name, of in whole.items() if name in wanted})
        if pattern.match(value, 10) is not None:
            assert pattern.make(pattern.match(value, 10).groups()) == whole  # type: ignore[union-attr]
        for bad in (value[:-1], value + b"\x00"):
            for decode in (codec.decode, read):
                with pytest.raises(DecodeError):
                    decode(bad)


# -- what a pattern leaves to fastavro -----------------------------------------------------------------------------------

NESTED = {"type": "record", "name": "Box", "fields": [{"name": "x", "type": "int"}]}
GROWN = {"type": "record", "name": "Box", "fields": [*NESTED["fields"], {"name": "y", "type": "bytes", "default": "\u00ff"}]}
SIZES = {"type": "enum", "name": "Size", "symbols": ["S", "M", "L"]}
FEWER = {"type": "enum", "name": "Size", "symbols": ["S", "L"], "default": "S"}
UUID = "5b3c8c3a-8f0e-4d7c-9a53-0d1f6ad4bb11"


@pytest.mark.parametrize(
    ("older", "newer", "value", "becomes"),
    [
        ("int", "double", 3, 3.0),
        ("long", ["null", "double"], 3, 3.0),
        ("string", "bytes", "\u00e9", b"\xc3\xa9"),
        ("bytes", "string", b"\xc3\xa9", "\u00e9"),
        (["null", "int"], ["string", "null", "long"], 5, 5),
        (["int", "string"], "long", 5, 5),
        (SIZES, FEWER, "M", "S"),
        (SIZES, ["null", FEWER], "L", "L"),
        (NESTED, GROWN, {"x": 1}, {"x": 1, "y": b"\xff"}),
        ({"type": "array", "items": NESTED}, {"type": "array", "items": GROWN}, [{"x": 1}], [{"x": 1, "y": b"\xff"}]),
        ({"type": "map", "values": "int"}, {"type": "map", "values": ["null", "long"]}, {"a": 1}, {"a": 1}),
        ({"type": "string", "logicalType": "uuid"}, "string", UUID, UUID),
    ],
    ids=str,
)
def test_what_lies_inside_is_resolved_too(tmp_path: Path, older: Any, newer: Any, value: Any, becomes: Any) -> None:
    names = {"Sold.v1": [{"name": "it", "type": older}], "Sold.v2": [{"name": "it", "type": newer}, COUNT]}
    catalog = catalog_of(tmp_path, names)
    encoded = written(catalog, "shop.Sold", 1, {"it": value})
    for _ in range(2):
        found = Codec(catalog).decode(encoded).data
        assert found == {"it": becomes, "count": 1}
        assert repr(found["it"]) == repr(becomes)
        assert Codec(catalog).reader({"shop.Sold": ["it"]})(encoded) == ("shop.Sold", {"it": becomes})


COUNT = {"name": "count", "type": "int", "default": 1}


def test_a_text_that_becomes_a_uuid_stays_the_text_that_it_was(tmp_path: Path) -> None:
    uuid = {"type": "string", "logicalType": "uuid"}
    catalog = catalog_of(
        tmp_path, {"Sold.v1": [{"name": "by", "type": "string"}], "Sold.v2": [{"name": "by", "type": uuid}, COUNT]}
    )
    codec = Codec(catalog)
    old, new = written(catalog, "shop.Sold", 1, {"by": UUID}), codec.encode("shop.Sold", {"by": UUID})
    assert codec.decode(old) == codec.decode(new)
    assert codec.decode(written(catalog, "shop.Sold", 1, {"by": "nobody"})).data == {"by": "nobody", "count": 1}


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ({"type": "array", "items": "int"}, [1], [1]),
        ({"type": "map", "values": "bytes"}, {"a": "\u00ff"}, {"a": b"\xff"}),
        (GROWN, {"x": 5}, {"x": 5, "y": b"\xff"}),
        (["null", GROWN], {"x": 5}, {"x": 5, "y": b"\xff"}),
        ("bytes", "\u00ff", b"\xff"),
        ({"type": "fixed", "name": "Two", "size": 2}, "\u00ff\u0000", b"\xff\x00"),
        ("double", 1, 1.0),
        (DECIMAL, "\u0001\u0000", Decimal("0.0256")),
        (["null", DECIMAL], None, None),
        ([DECIMAL, "null"], "\u00ff", Decimal("-0.0001")),
    ],
    ids=str,
)
def test_a_default_is_a_value_of_the_messages_own(tmp_path: Path, kind: Any, default: Any, value: Any) -> None:
    it = {"name": "it", "type": kind, "default": default}
    catalog = catalog_of(tmp_path, {"Sold.v1": [COUNT], "Sold.v2": [COUNT, it]})
    codec, encoded = Codec(catalog), written(catalog, "shop.Sold", 1, {"count": 2})
    for decode in (codec.decode, codec.reader({"shop.Sold": None}), codec.reader({"shop.Sold": None})):
        for _ in range(2):
            message = decode(encoded)
            assert message is not None
            found = message[1]["it"]
            assert found == value and type(found) is type(value)
            if isinstance(found, list):
                found.append(9)
            elif isinstance(found, dict):
                found["z"] = 9
    assert codec.decode(codec.encode("shop.Sold", {"count": 2})).data == {"count": 2, "it": value}


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("int", 2**31),
        ("long", True),
        (["null", "int"], "x"),
        ("bytes", "\u4e2d"),
        (SIZES, "XL"),
        ({"type": "fixed", "name": "Two", "size": 2}, "x"),
        ({"type": "array", "items": "int"}, ["x"]),
        ({"type": "map", "values": "int"}, {"a": None}),
        (GROWN, {}),
        (GROWN, {"x": 1, "y": 2}),
    ],
    ids=str,
)
def test_a_default_that_is_none_of_its_type_is_refused_at_start(tmp_path: Path, kind: Any, default: Any) -> None:
    field = {"name": "it", "type": kind, "default": default}
    with pytest.raises(EventfoldError, match=r"Sold\.v1\.avsc: the field 'it': its default is none of its type"):
        catalog_of(tmp_path, {"Sold.v1": [COUNT, field]})
    # Another's, by which a registry says that a message was written.
    theirs = message_of({"type": "record", "name": "shop.Sold", "fields": [field]}, "another's schema")
    with pytest.raises(EventfoldError, match=r"another's schema: .*[Dd]efault.* type"):
        parse(theirs)


def test_a_default_of_a_type_that_stands_before_it(tmp_path: Path) -> None:
    fields = [{"name": "one", "type": GROWN, "default": {"x": 1}}, {"name": "two", "type": "Box", "default": {"x": 2}}]
    catalog = catalog_of(tmp_path, {"Sold.v1": [COUNT], "Sold.v2": [COUNT, *fields]})
    read = Codec(catalog).decode(written(catalog, "shop.Sold", 1, {"count": 3})).data
    assert read == {"count": 3, "one": {"x": 1, "y": b"\xff"}, "two": {"x": 2, "y": b"\xff"}}


@pytest.mark.parametrize(
    ("older", "newer", "value"),
    [
        ([COUNT], [COUNT, {"name": "sku", "type": "string"}], {"count": 1}),
        ([{"name": "it", "type": ["null", "int"]}], [{"name": "it", "type": "int"}, COUNT], {"it": None}),
        ([{"name": "it", "type": "string"}], [{"name": "it", "type": "int"}], {"it": "a"}),
        ([{"name": "it", "type": "long"}], [{"name": "it", "type": "int"}], {"it": 1}),
        ([{"name": "it", "type": SIZES}], [{"name": "it", "type": {**FEWER, "default": None}}], {"it": "M"}),
    ],
    ids=str,
)
def test_what_does_not_fit_is_a_decode_error(tmp_path: Path, older: Any, newer: Any, value: Any) -> None:
    newer = json.loads(json.dumps(newer).replace(', "default": null', ""))
    catalog = catalog_of(tmp_path, {"Sold.v1": older, "Sold.v2": newer})
    encoded = written(catalog, "shop.Sold", 1, value)
    for decode in (Codec(catalog).decode, Codec(catalog).reader({"shop.Sold": ()})):
        with pytest.raises(DecodeError, match=r"^shop\.Sold version 1 does not resolve to version 2: "):
            decode(encoded)


def test_a_name_that_two_fields_claim_is_fastavros_to_decide(tmp_path: Path) -> None:
    older = [{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]
    for newer in ([{"name": "b", "type": "int", "aliases": ["a"]}], [{"name": "c", "type": "int", "aliases": ["a", "b"]}]):
        catalog = catalog_of(tmp_path, {"Sold.v1": older, "Sold.v2": newer})
        encoded, codec = written(catalog, "shop.Sold", 1, {"a": 1, "b": 2}), Codec(catalog)
        outcomes = []
        for decode in (codec.reader({"shop.Sold": None}), codec.decode):
            try:
                outcomes.append(decode(encoded))
            except DecodeError as error:
                outcomes.append(str(error))
        try:
            by_fastavro = ("shop.Sold", resolved(catalog, encoded))
        except KeyError:
            assert all("the body is not a shop.Sold" in str(outcome) for outcome in outcomes)
        else:
            assert outcomes == [by_fastavro, by_fastavro]


# -- schemas that are refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ({"type": "array", "items": "null"}, "items of an array take no bytes"),
        ({"type": "map", "values": {"type": "array", "items": {"type": "record", "name": "E", "fields": []}}}, "take no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "items of an array take no bytes"),
        (["null", "shop.Sold"], r"the record 'shop\.Sold' lies in itself"),
        (
            {"type": "record", "name": "Node", "fields": [{"name": "n", "type": {"type": "array", "items": "Node"}}]},
            r"the record 'shop\.Node' lies in itself",
        ),
    ],
    ids=str,
)
def test_a_schema_that_few_bytes_could_abuse_is_refused(tmp_path: Path, of: Any, says: str) -> None:
    with pytest.raises(EventfoldError, match=f"Sold.v1.avsc: .*{says}"):
        Codec(catalog_of(tmp_path, {"Sold.v1": [{"name": "it", "type": of}]}))


def test_named_types_that_are_used_twice_are_fine(tmp_path: Path) -> None:
    fields = [{"name": "a", "type": NESTED}, {"name": "b", "type": {"type": "array", "items": "Box"}}]
    codec = Codec(catalog_of(tmp_path, {"Sold.v1": fields}))
    data = {"a": {"x": 1}, "b": [{"x": 2}]}
    assert codec.decode(codec.encode("shop.Sold", data)).data == data


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (["bytes", "string"], "ab"),
        (["string", "bytes"], b"\xff"),
        (["null", "double", "long"], 2**53 + 1),
        (["float", "int"], 5),
        ({"type": "array", "items": ["double", "long"]}, [2**53 + 1, 0.5]),
        ([DECIMAL, {"type": "fixed", "name": "Four", "size": 4}], ("shop.Four", b"\0\0\0\5")),
        ([{"type": "int", "logicalType": "date"}, TIME], ("long", 5)),
    ],
    ids=str,
)
def test_a_value_of_a_union_stays_of_its_branch(tmp_path: Path, kind: Any, value: Any) -> None:
    """Though Avro's rules would take the first branch that it can become."""
    field, added = {"name": "it", "type": kind}, {"name": "n", "type": "int", "default": 0}
    catalog = catalog_of(tmp_path, {"Sold.v1": [field], "Sold.v2": [field, added]})
    codec = Codec(catalog)
    found = codec.decode(written(catalog, "shop.Sold", 1, {"it": value})).data
    assert found == {"it": value[1] if isinstance(value, tuple) else value, "n": 0}
    assert codec.encode("shop.Sold", found) == codec.encode("shop.Sold", {"it": value})
