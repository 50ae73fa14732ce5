"""What the Avro specification forbids is refused where a file is read, with its place; what it allows is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.compatibility.contract import Contract
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.json_schema import json_schema


def record(*fields: Any, name: str = "Sold", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def f(name: str, type_: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


def decimal(precision: Any, scale: Any = 0, **more: Any) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale, **more}


def enum(*symbols: Any, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Size", "symbols": list(symbols), **more}


def fixed(size: Any, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "Id", "size": size, **more}


def write(folder: Path, schema: Any) -> Path:
    path = folder / "events" / "Sold.v1.avsc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(schema if isinstance(schema, str) else json.dumps({"namespace": "shop", **schema}))
    return path


INSIDE = [f("box", {"type": "array", "items": record(f("x", {"type": "map", "values": "TYPE"}), name="Box")})]


@pytest.mark.parametrize(
    ("type_", "says"),
    [
        (decimal(0), "the precision of a decimal must be a whole number from 1 on, not 0"),
        (decimal(None), "the precision of a decimal must be a whole number from 1 on, not null"),
        (decimal(True), "the precision of a decimal must be a whole number from 1 on, not true"),
        (decimal("4"), "the precision of a decimal must be a whole number from 1 on, not '4'"),
        (decimal(2, 3), "the scale of a decimal must lie between 0 and its precision, 2: it is 3"),
        (decimal(2, -1), "the scale of a decimal must lie between 0 and its precision, 2: it is -1"),
        (fixed(2, logicalType="decimal", precision=9), "2 bytes do not hold every number of 9 digits"),
        ({"type": "string", "logicalType": "decimal", "precision": 4}, "decimal is made of bytes or fixed, not of string"),
        ({"type": "long", "logicalType": "date"}, "date is made of int, not of long"),
        (fixed(4, logicalType="uuid"), "a fixed that is a uuid has 16 bytes, not 4"),
        (enum(), "the enum 'Size' has no list of symbols"),
        (enum("S", "M", "S"), "the symbol 'S' stands twice"),
        (enum("S-M"), "the symbol 'S-M' is none in Avro"),
        (enum(1), "the symbol 1 is none in Avro"),
        (enum(symbols="SM"), "the enum 'Size' has no list of symbols"),
        (enum("S", default="M"), "the default of the enum 'Size' is none of its symbols: 'M'"),
        ([], "the union is empty"),
        (["null", ["int", "string"]], "a union stands in a union"),
        (["int", "null", "int"], "two branches called 'int'"),
        (["long", {"type": "long", "logicalType": "timestamp-millis"}], "two branches called 'long'"),
        ([{"type": "array", "items": "int"}, {"type": "array", "items": "string"}], "two branches called 'array'"),
        ([enum("S"), fixed(1, name="acme.Size")], "two branches called 'Size'"),
        ([enum("S"), "Size"], "two branches called 'Size'"),
        ({"type": ["null", "int"]}, "a type is a name, a list or an object whose `type` is a name, not an object"),
        (None, "a type is a name, a list or an object whose `type` is a name, not null"),
        ("Nothing", "the type 'shop.Nothing' is not defined before this place"),
        ({"type": "Nothing"}, "'Nothing' is no type that an object may have"),
        ({"type": "array"}, "the array has no `items`"),
        ({"type": "map"}, "the map has no `values`"),
        (fixed(-1), "the size of the fixed 'shop.Id' must be a whole number, not -1"),
        (fixed(True), "the size of the fixed 'shop.Id' must be a whole number, not true"),
        (fixed(None), "the size of the fixed 'shop.Id' must be a whole number, not null"),
        (record(f("a", "int"), f("a", "int"), name="In"), "stands twice in the record 'shop.In'"),
        (record(f("1a", "int"), name="In"), "its name is none in Avro"),
        (record(f("a", "int", order="up"), name="In"), "its order is none of ascending, descending, ignore: 'up'"),
        (record({"name": "a"}, name="In"), "it has no type"),
        ({"type": "record", "name": "In"}, "the record 'shop.In' has no list of fields"),
        (record(name="In-x"), "the record 'shop.In-x' has a name that is none in Avro"),
        (record(name="In", namespace="a..b"), "the record 'a..b.In' has a name that is none in Avro"),
        (record(name="int"), "the record 'shop.int' is called like a primitive type"),
        (record(name="shop.Sold"), "the type 'shop.Sold' is defined a second time"),
        ({"type": "record", "fields": []}, "has a name or a namespace that is no text"),
        (record(name="In", aliases=["1x"]), "the record 'shop.In' has an alias that is no name in Avro: '1x'"),
    ],
    ids=str,
)
def test_what_is_illegal_is_refused_with_its_file_and_place(tmp_path: Path, type_: Any, says: str) -> None:
    inside = json.dumps(INSIDE).replace('"TYPE"', json.dumps(type_))
    for fields, place in (([f("it", type_)], "it"), (json.loads(inside), "box[].x{}")):
        path = write(tmp_path, record(*fields))
        # At load, and by the check, which says all that is wrong, a line each.
        with pytest.raises(EventfoldError) as raised:
            Catalog({"shop": tmp_path})
        assert str(raised.value).startswith(f"{path}: the field {place!r}") or f": the field '{place}." in str(raised.value)
        assert says in str(raised.value)
        [problem] = Contract.read({"shop": tmp_path}, ()).problems
        assert (problem.path, f"{path}: {problem.says}") == (path, str(raised.value))


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        ("int", "x"),
        ("int", 1.5),
        ("long", True),
        ("bytes", "\u0100"),
        (["null", "int"], "x"),
        (fixed(2), "abc"),
        (enum("S"), "M"),
        ({"type": "array", "items": "int"}, [1, "x"]),
        (record(f("x", "int"), name="In"), {}),
        ("float", 1e300),
        ({"type": "array", "items": "float"}, [3.5e38]),
        ({"type": "string", "logicalType": "uuid"}, "no uuid"),
        ({"type": "string", "logicalType": "uuid"}, "1b4e28ba2fa111d2883f0016d3cca427"),
        ({"type": "map", "values": {"type": "string", "logicalType": "uuid"}}, {"a": "x"}),
        (decimal(1), "\x00\x0a"),
        ({"type": "array", "items": decimal(1)}, ["\x00\x0a"]),
        ({"type": "int", "logicalType": "date"}, 2**31 - 1),
        ([{"type": "int", "logicalType": "date"}, "null"], 2**31 - 1),
        ({"type": "int", "logicalType": "time-millis"}, -1),
    ],
    ids=str,
)
def test_a_default_must_be_of_its_fields_type(tmp_path: Path, type_: Any, default: Any) -> None:
    path = write(tmp_path, record(f("a", record(f("it", type_, default=default), name="Outer"))))
    with pytest.raises(EventfoldError, match=f"{path}: the field 'a.it': its default is none of its type: "):
        Catalog({"shop": tmp_path})


def test_all_faults_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, record(f("a", decimal(0)), f("b", enum()), f("c", "int", default="x")))
    problems = Contract.read({"shop": tmp_path}, ()).problems
    assert [problem.says.partition(":")[0] for problem in problems] == ["the field 'a'", "the field 'b'", "the field 'c'"]
    assert {problem.path for problem in problems} == {path}


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, '{"type": "record", "name": "shop.Sold", "fields": [], "fields": []}')
    with pytest.raises(EventfoldError, match=f"{path}: not JSON: the key 'fields' stands twice in one object"):
        Catalog({"shop": tmp_path})


def docs(schema: Any) -> Any:
    """With a doc wherever the gate wants one."""
    if isinstance(schema, list):
        return [docs(each) for each in schema]
    return {"doc": "It is.", **{name: docs(of) for name, of in schema.items()}} if isinstance(schema, dict) else schema


LEGAL: Sequence[dict[str, Any]] = [
    f("part", record(f("kind", enum("A", "B")), f("other", "Size"), name="acme.parts.Part")),
    f("again", ["null", "acme.parts.Part"], default=None),
    f("size", "acme.parts.Size"),
    # Of the same name in the namespace of the record around it, and of none; a namespace beside a full name says nothing.
    f("own", record(f("x", "int"), name="Part", namespace="shop")),
    f("own_again", {"type": "map", "values": "Part"}),
    f("bare", record(f("x", "int"), name="Bare", namespace="")),
    f("full", fixed(2, name="acme.Id", namespace="nothing")),
    f("either", ["Part", "acme.parts.Size"]),
    f("id", {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, default="\x00" * 16),
    f("price", decimal(4, 2), default="\x00"),
    f("any", ["int", "null"], default=None),
]


def test_names_with_dots_and_inherited_namespaces_are_read_in_every_form(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(docs({"type": "record", "name": "shop.Sold", "fields": LEGAL})))
    first = Codec(Catalog({"shop": tmp_path}))
    value = first.encode("shop.Sold", first.from_json("shop.Sold", DATA))
    new = f("new", "int", default=1)
    path.with_name("Sold.v2.avsc").write_text(json.dumps(docs(record(*LEGAL, new, namespace="shop"))))
    catalog = Catalog({"shop": tmp_path})
    codec = Codec(catalog)
    assert (codec.written(value).version, codec.written(codec.encode("shop.Sold", codec.decode(value).data)).version) == (1, 2)
    shown = {**DATA, "again": None, "id": "\x00" * 16, "price": "0.00", "any": None, "new": 1}
    assert codec.shown(value).data == shown
    assert codec.from_json("shop.Sold", shown) == codec.decode(value).data
    Draft202012Validator(json_schema(catalog.newest("shop.Sold"))).validate(shown)
    assert Contract.read({"shop": tmp_path}, ()).check(["shop"]) == []


DATA = {
    "part": {"kind": "A", "other": "B"},
    "size": "A",
    "own": {"x": 1},
    "own_again": {"a": {"x": 2}},
    "bare": {"x": 3},
    "full": "ab",
    "either": {"x": 4},
}


def test_a_file_that_is_none_or_has_no_end_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, " " * (1 << 20) + " ")
    for says in (r"cannot be read: it has more than 1,048,576 bytes", "cannot be read: it is no file"):
        with pytest.raises(EventfoldError, match=rf"Sold\.v1\.avsc {says}"):
            Catalog({"shop": tmp_path})
        path.unlink()
        path.symlink_to("/dev/zero")
    path.unlink()
    schema: Any = "int"
    for _ in range(300):
        schema = {"type": "array", "items": schema}
    write(tmp_path, record(f("deep", schema)))
    with pytest.raises(EventfoldError, match="types lie in each other more than 64 times"):
        Catalog({"shop": tmp_path})
