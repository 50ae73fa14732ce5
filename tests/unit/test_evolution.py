"""Whether a version reads another, said by field; and what changed between two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given, settings
from hypothesis import strategies as st

from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.compatibility.difference import differences
from eventfold.schemas.compatibility.evolution import apache, unreadable

MILLIS, MICROS = ({"type": "long", "logicalType": f"timestamp-{unit}"} for unit in ("millis", "micros"))
DATE = {"type": "int", "logicalType": "date"}


def version(number: int, *fields: dict[str, Any]) -> MessageSchema:
    schema = {"type": "record", "namespace": "shop", "name": "Sold", "fields": list(fields)}
    path = Path(f"Sold.v{number}.avsc")
    return MessageSchema(type="shop.Sold", version=number, kind="events", domain="shop", path=path, schema=schema)


def it(type_: Any, **more: Any) -> dict[str, Any]:
    return {"name": "it", "type": type_, **more}


def size(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Size", "symbols": list(symbols), **more}


def box(type_: Any, name: str = "Box", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": "x", "type": type_}], **more}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("int", "long"),
        ("int", ["null", "double"]),
        (MILLIS, ["null", MILLIS]),
        (size("S", "M"), size("S", default="S")),
        (box("int"), box("long")),
        (box("int"), box("int", "Case", aliases=["shop.Box"])),
        (decimal(6, 2), decimal(9, 2)),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "long"}),
        (["null", DATE], ["string", DATE, "null"]),
    ],
    ids=str,
)
def test_what_can_be_read(older: Any, newer: Any) -> None:
    assert unreadable(version(2, it(newer)), version(1, it(older))) == []


@pytest.mark.parametrize(
    ("older", "newer", "says"),
    [
        ("string", "int", "the field 'it' is int, but string in Sold.v1.avsc, which cannot be read as that"),
        ("long", "int", "the field 'it' is int, but long in Sold.v1.avsc, which"),
        (["null", "int"], "int", "the field 'it' is int, but null or int in Sold.v1.avsc, which"),
        (["null", "int"], ["null", "string"], "the field 'it' is null or string, but null or int in Sold.v1.avsc, which"),
        (size("S", "M", "L"), size("S"), "the field 'it' has lost M, L, which Sold.v1.avsc has: keep it, or give the enum a"),
        (["null", size("S", "M")], ["null", size("S")], "the field 'it' has lost M, which Sold.v1.avsc has"),
        (box("int"), box("string"), "the field 'it.x' is string, but int in Sold.v1.avsc"),
        (["null", box("int")], ["null", box("string")], "the field 'it.x' is string, but int in Sold.v1.avsc"),
        (box("int"), box("int", "Case"), "the field 'it' is Case, but Box in Sold.v1.avsc"),
        ({"type": "array", "items": box("int")}, {"type": "array", "items": box(["null"])}, "the field 'it[].x' is null, but"),
        ({"type": "map", "values": "long"}, {"type": "map", "values": "int"}, "the field 'it{}' is int, but long in"),
        (
            {"type": "fixed", "name": "Id", "size": 8},
            {"type": "fixed", "name": "Id", "size": 16},
            "the field 'it' has 16 bytes, but 8 in Sold.v1.avsc",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_said_by_field(older: Any, newer: Any, says: str) -> None:
    found = unreadable(version(2, it(newer)), version(1, it(older)))
    assert len(found) == 1 and found[0].startswith(says), found


@pytest.mark.parametrize(
    ("older", "newer", "was", "is_"),
    [
        (MILLIS, MICROS, "timestamp-millis", "timestamp-micros"),
        (DATE, "int", "date", "int"),
        ("int", DATE, "int", "date"),
        (DATE, "long", "date", "long"),
        (decimal(6, 2), decimal(6, 3), "decimal(6, 2)", "decimal(6, 3)"),
        (decimal(6, 2), decimal(5, 2), "decimal(6, 2)", "decimal(5, 2)"),
        (["null", decimal(6, 2)], ["null", decimal(6, 0)], "decimal(6, 2)", "decimal(6, 0)"),
        ({"type": "long", "logicalType": "timestamp-nanos"}, MILLIS, "timestamp-nanos", "timestamp-millis"),
        ({"type": "string", "logicalType": "uuid"}, "string", "uuid", "string"),
    ],
    ids=str,
)
def test_what_the_library_looks_through_has_another_meaning(older: Any, newer: Any, was: str, is_: str) -> None:
    old, new = version(1, it(older)), version(2, it(newer))
    checker = ReaderWriterCompatibilityChecker()
    assert checker.get_compatibility(apache(new), apache(old)).compatibility is SchemaCompatibilityType.compatible
    [says] = unreadable(new, old)
    assert says.startswith(f"the field 'it' is {is_}, but {was} in Sold.v1.avsc, and would be read as if it was the same")


def test_every_field_is_told() -> None:
    new = version(2, it("int"), {"name": "more", "type": "int"}, {"name": "was", "type": "int", "aliases": ["old"]})
    old = version(1, it("string"), {"name": "old", "type": "boolean"}, {"name": "gone", "type": "int"})
    assert [says.partition(" is ")[0].partition(" has ")[0] for says in unreadable(new, old)] == [
        "the field 'it'",
        "the field 'more'",
        "the field 'was'",
    ]


SIMPLE = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "string", "bytes"])
NAMED = st.one_of(
    st.builds(
        lambda symbols, name: {**size(*sorted(symbols)), "name": name},
        st.sets(st.sampled_from("ABC"), min_size=1),
        st.just("E"),
    ),
    st.builds(lambda bytes_: {"type": "fixed", "name": "F", "size": bytes_}, st.integers(1, 2)),
    st.builds(box, SIMPLE, st.sampled_from(["Box", "Case"])),
)
PLAIN = st.one_of(
    SIMPLE,
    NAMED,
    st.builds(lambda of: {"type": "array", "items": of}, st.one_of(SIMPLE, NAMED)),
    st.builds(lambda of: {"type": "map", "values": of}, st.one_of(SIMPLE, NAMED)),
)
UNION = st.builds(lambda first, of: [first, of], SIMPLE, PLAIN).filter(lambda of: of[0] != of[1])
FIELDS = st.lists(
    st.builds(
        lambda name, of, default: {"name": name, "type": of, **({"default": None} if default else {})},
        st.sampled_from("abc"),
        # A named type may be declared but once.
        st.one_of(SIMPLE, st.lists(SIMPLE, min_size=2, max_size=3, unique=True)),
        st.booleans(),
    ),
    unique_by=lambda field: field["name"],
)
ONE = st.one_of(PLAIN, UNION).map(lambda of: [it(of)])


@settings(max_examples=200, deadline=None)
@given(st.one_of(FIELDS, ONE), st.one_of(FIELDS, ONE))
def test_it_says_something_exactly_where_the_library_says_no(older: list[Any], newer: list[Any]) -> None:
    old, new = version(1, *older), version(2, *newer)
    judged = ReaderWriterCompatibilityChecker().get_compatibility(apache(new), apache(old)).compatibility
    found = unreadable(new, old)
    assert bool(found) == (judged is not SchemaCompatibilityType.compatible), found
    assert not any("it cannot read" in says for says in found), "without the field"


# -- what changed --------------------------------------------------------------------------------------------------------


def test_differences_are_sentences() -> None:
    old = version(
        1,
        it("int", doc="One."),
        {"name": "old", "type": "int"},
        {"name": "box", "type": box("int")},
        it("int") | {"name": "d", "default": 1},
    )
    new = version(
        2,
        it(["null", "int"], doc="Another."),
        {"name": "renamed", "type": "int", "aliases": ["old"]},
        {"name": "box", "type": box("long")},
        {"name": "added", "type": {"type": "array", "items": decimal(6, 2)}, "default": []},
        {"name": "needed", "type": DATE},
    )
    assert differences(old, new) == [
        "the field 'it' is null or int, was int",
        "the field 'renamed' was called 'old'",
        "the field 'box.x' is long, was int",
        "the field 'added' is new: array of decimal, with the default []",
        "the field 'needed' is new: date, without a default",
        "the field 'd' is gone",
    ]
    assert differences(old, old) == []


def test_what_has_the_same_name_and_another_content_is_shown_as_it_stands() -> None:
    [says] = differences(version(1, it(size("S"))), version(2, it(size("S", "M"))))
    assert says.startswith('the field \'it\' is {"type": "enum", "name": "Size", "symbols": ["S", "M"]}, was {')
    assert differences(version(1, it("int", default=1)), version(2, it("int"))) == [
        "the field 'it' has no default, had the default 1"
    ]
