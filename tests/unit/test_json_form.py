"""The JSON form of messages: its JSON Schema takes what from_json takes and encode writes, and nothing else; and what is said
of all that is wrong.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
import regress
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import MOST, WrongDataError
from eventfold.schemas.json_schema import json_schema
from eventfold.schemas.longest import LONGEST
from tests.support.avro import catalog_of
from tests.support.json_forms import fitting, near, records
from tests.support.soak import SOAK

CATALOG = Catalog.installed(["flights", "accounts"])
CODEC = Codec(CATALOG)
TYPES = sorted({schema.type for schema in CATALOG.schemas})
FORMATS = FormatChecker(["date", "uuid"])
EXAMPLES = 20_000 if SOAK else 150
DEPARTED = "2013-01-01T10:17:00Z"


@FORMATS.checks("date-time", ValueError)
def is_time(text: object) -> bool:
    """The days of the month, which no pattern knows. UTC's first and last day may have another one elsewhere."""
    return not isinstance(text, str) or datetime.fromisoformat(text).toordinal() > 0


def pattern(validator: Any, wanted: str, value: Any, schema: Any) -> Any:
    """In the dialect that JSON Schema has them in, ECMA 262: Python's `$` also fits before a last line break."""
    if isinstance(value, str) and regress.Regex(wanted).find(value) is None:
        yield ValidationError(f"{value!r} does not match {wanted}")


def validator(schema: Any) -> Validator:
    Draft202012Validator.check_schema(schema)
    return extend(Draft202012Validator, {"pattern": pattern})(schema, format_checker=FORMATS)


def one(folder: Path, *fields: Any) -> Codec:
    return Codec(catalog_of(folder, {"Sold.v1": fields}))


def read_or_faults(codec: Codec, type_: str, data: Any) -> tuple[dict[str, Any], list[str]]:
    """What was read, or what is wrong; the faults can always be sent."""
    try:
        return codec.from_json(type_, data), []
    except WrongDataError as error:
        found = [f"{fault.field} {fault.reason}" for fault in error.faults]
        orjson.dumps(found)
        return {}, found


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_schema_takes_what_can_be_read_and_written_and_nothing_else(data: st.DataObject) -> None:
    schema = data.draw(records())
    with TemporaryDirectory() as folder:
        codec = one(Path(folder), *schema["fields"])
    checked = validator(json_schema(codec.catalog.newest("shop.Sold")))
    given = data.draw(fitting(schema))
    fits = data.draw(st.booleans())
    if not fits:
        given = data.draw(near(given))
    taken = checked.is_valid(given)
    assert taken or not fits
    event(f"taken={taken}")
    read, wrong = read_or_faults(codec, "shop.Sold", given)
    assert taken == (not wrong), wrong or read
    if wrong:
        return
    written = codec.encode("shop.Sold", read)
    shown = codec.shown(written).data
    assert checked.is_valid(shown)
    assert set(shown) == {field["name"] for field in schema["fields"]}
    again = codec.encode("shop.Sold", codec.from_json("shop.Sold", json.loads(json.dumps(shown))))
    # Of branches that JSON does not tell apart, what is shown may be another one's.
    assert again == written or "The first of these" in str(checked.schema)


@pytest.mark.parametrize("type_", TYPES)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_so_it_is_with_every_message_of_the_catalog(type_: str, data: st.DataObject) -> None:
    codec, message = CODEC, CATALOG.newest(type_)
    checked = validator(json_schema(message))
    given = data.draw(fitting(message.schema))
    assert checked.is_valid(given)
    codec.encode(type_, codec.from_json(type_, given))
    given = data.draw(near(given))
    read, wrong = read_or_faults(codec, type_, given)
    assert checked.is_valid(given) == (not wrong), wrong or read
    if not wrong:
        codec.encode(type_, read)


def test_the_schema_of_a_command() -> None:
    found = json_schema(CATALOG.newest("flights.DepartFlight"))
    assert (found["type"], found["additionalProperties"], found["required"]) == ("object", False, ["departed_at"])
    departed = found["properties"]["departed_at"]
    assert (departed["type"], departed["format"]) == (["string", "integer"], "date-time")
    assert departed["description"].endswith("2013-01-01T10:17:00Z, or the number of milliseconds since 1970-01-01T00:00:00Z.")
    amount = json_schema(CATALOG.newest("accounts.Deposit"))["properties"]["amount"]
    assert amount == {
        "type": "string",
        "pattern": r"^-?0*[0-9]{1,14}(\.[0-9]{1,4}0*)?$",
        "description": "In units of the currency, e.g. 100.00. A decimal number in quotes, with at most 14 digits before the "
        "point and 4 after it.",
    }


def test_defaults_are_in_the_schema_as_json_has_them(tmp_path: Path) -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
    inner = {"type": "record", "name": "Box", "fields": [{"name": "of", "type": money}, {"name": "n", "type": "int"}]}
    codec = one(
        tmp_path,
        {"name": "price", "type": money, "default": "\u0001\u0000"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 1500},
        {"name": "raw", "type": ["bytes", "null"], "default": "\u00ff"},
        {"name": "maybe", "type": ["null", money], "default": None},
        {"name": "box", "type": inner, "default": {"of": "\u0064", "n": 1}},
        {"name": "other", "type": ["Box", "null"], "default": {"of": "\u0064", "n": 1}},
    )
    schema = json_schema(codec.catalog.newest("shop.Sold"))
    defaults = {name: of["default"] for name, of in schema["properties"].items()}
    assert defaults == {
        "price": "2.56",
        "at": "1970-01-01T00:00:01.500Z",
        "raw": "\u00ff",
        "maybe": None,
        "box": {"of": "1.00", "n": 1},
        "other": {"of": "1.00", "n": 1},
    }
    assert "required" not in schema or not schema["required"]
    left_out = codec.encode("shop.Sold", codec.from_json("shop.Sold", {}))
    assert codec.encode("shop.Sold", codec.from_json("shop.Sold", defaults)) == left_out
    assert codec.shown(left_out).data == defaults


def test_a_named_type_that_is_used_twice_is_defined_once_wherever_the_schema_lies(tmp_path: Path) -> None:
    size = {"type": "enum", "name": "Size", "symbols": ["S", "M"], "doc": "How large."}
    fields = [{"name": "first", "type": size}, {"name": "second", "type": ["null", "Size"], "default": None}]
    message = one(tmp_path, *fields).catalog.newest("shop.Sold")
    assert json_schema(message)["$defs"] == {"shop.Size": {"type": "string", "enum": ["S", "M"], "description": "How large."}}
    assert json_schema(message)["properties"]["first"] == {"$ref": "#/$defs/shop.Size"}
    document = {
        "$ref": "#/components/schemas/shop.Sold",
        "components": {"schemas": {"shop.Sold": json_schema(message, "#/components/schemas/shop.Sold")}},
    }
    checked = validator(document)
    assert checked.is_valid({"first": "S", "second": "M"})
    assert not checked.is_valid({"first": "S", "second": "L"})


PART = {"type": "record", "name": "Part", "fields": [{"name": "sku", "type": "string"}]}
FIELDS: dict[str, Any] = {
    "at": {"type": "long", "logicalType": "timestamp-millis"},
    "price": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
    "count": "int",
    "size": {"type": "enum", "name": "Size", "symbols": ["S", "M", "L"]},
    "on": ["null", {"type": "int", "logicalType": "date"}],
    "raw": {"type": "fixed", "name": "Two", "size": 2},
    "by": {"type": "string", "logicalType": "uuid"},
    "ratio": "float",
    "note": ["null", "string", "long"],
    "parts": {"type": "array", "items": PART},
    "tags": {"type": "map", "values": "boolean"},
}
RIGHT: dict[str, Any] = {
    "at": DEPARTED,
    "price": "12.50",
    "count": 3,
    "size": "M",
    "on": None,
    "raw": "ab",
    "by": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "ratio": 0.5,
    "note": None,
    "parts": [{"sku": "tea"}],
    "tags": {"new": True},
}
DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return one(tmp_path_factory.mktemp("shop"), *({"name": name, "type": of} for name, of in FIELDS.items()))


def faults(codec: Codec, data: Any) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(WrongDataError) as error:
        codec.from_json("shop.Sold", data)
    found = {fault.field: fault.reason for fault in error.value.faults}
    orjson.dumps(found)
    assert len(found) == len(error.value.faults) and all(len(reason) < 300 for reason in found.values())
    return found


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("at", "2013-01-01T10:17:00", "'2013-01-01T10:17:00' has no time zone; end it with Z (UTC) or an offset like -05:00"),
        ("at", "2013-02-30T10:17:00Z", "'2013-02-30T10:17:00Z' is not a time; write it as 2013-01-01T10:17:00Z"),
        ("at", "0001-01-01T00:00:00+01:00", "'0001-01-01T00:00:00+01:00' lies outside of the years 1 to 9999 UTC"),
        ("at", "yesterday", "must be a time like 2013-01-01T10:17:00Z, not 'yesterday'"),
        ("at", True, "must be a time like 2013-01-01T10:17:00Z, not true"),
        ("at", 10**18, "must lie between -62135596800000 and 253402300799999, not 1000000000000000000"),
        ("on", "2013-02-30", "'2013-02-30' is not a date; write it as 2013-02-08"),
        ("on", "20130201", "must be a date like 2013-02-08, not '20130201'"),
        ("price", "1.005", "'1.005' has more than 2 decimals"),
        ("price", "12345", "'12345' has more than 4 digits before the point"),
        (
            "price",
            100,
            "must be a decimal number in quotes, with at most 4 digits before the point and 2 after it, not 100",
        ),
        ("count", 2**31, "must lie between -2147483648 and 2147483647, not 2147483648"),
        ("count", 1.5, "must be a whole number, not 1.5"),
        ("count", float(2**53), "must be a whole number, not 9007199254740992.0"),
        ("count", "3", "must be a whole number, not '3'"),
        ("count", True, "must be a whole number, not true"),
        ("size", "XL", "must be one of S, M, L, not 'XL'"),
        ("raw", "abc", "must be text of 2 characters up to U+00FF, each a byte, not 'abc'"),
        ("raw", "a\u0100", "must be text of 2 characters up to U+00FF, each a byte, not 'a\u0100'"),
        ("by", "1b4e28ba", "must be a UUID, not '1b4e28ba'"),
        ("ratio", float("nan"), "must be a number, not a number that is not finite"),
        (
            "ratio",
            10**400,
            "must lie between -3.4028234663852886e+38 and 3.4028234663852886e+38, not a number of very many digits",
        ),
        ("note", 1.5, "must be a whole number, not 1.5"),
        ("note", [], "must be null or text or a whole number, not a list"),
        ("parts", DEEP, "must be an object, not a list"),
        ("parts", {}, "must be a list, not an object"),
        ("tags", None, "must be an object, not null"),
        ("size", DEEP, "must be one of S, M, L, not a list"),
        ("by", "x" * 1_000_000, f"must be a UUID, not '{'x' * 40}...'"),
    ],
)
def test_what_is_wrong_with_a_field(shop: Codec, field: str, value: Any, reason: str) -> None:
    found = faults(shop, {**RIGHT, field: value})
    assert list(found.values()) == [reason]
    assert next(iter(found)).startswith(f"/{field}")


def test_a_number_that_python_does_not_print(shop: Codec) -> None:
    says = "must lie between -2147483648 and 2147483647, not a number of very many digits"
    assert faults(shop, {**RIGHT, "count": 10**9999}) == {"/count": says}


def test_all_that_is_wrong_is_said_at_once(shop: Codec) -> None:
    data = {**RIGHT, "count": None, "parts": [{"sku": "tea"}, {"sku": 7, "x": 1}, 3, {}], "tags": {"a/b~": 1}, "colour": "red"}
    del data["size"]
    found = faults(shop, data)
    assert found == {
        "/count": "must be a whole number, not null",
        "/size": "is missing",
        "/parts/1/sku": "must be text, not 7",
        "/parts/1/x": "is no field of shop.Part",
        "/parts/2": "must be an object, not 3",
        "/parts/3/sku": "is missing",
        "/tags/a~1b~0": "must be true or false, not 1",
        "/colour": "is no field of shop.Sold",
    }


@pytest.mark.parametrize("data", [None, [], "text", 3, DEEP])
def test_what_is_no_object_is_no_message(shop: Codec, data: Any) -> None:
    assert list(faults(shop, data)) == [""]


def test_half_a_surrogate_pair_is_no_text_and_can_be_told(shop: Codec) -> None:
    wrong = {**RIGHT, "note": "\ud800", "tags": {"\udc00": True}, "x\ud800": 1}
    assert faults(shop, wrong) == {
        "/note": "holds half of a surrogate pair, which is no character",
        "/tags/\\udc00": "has a name that holds half of a surrogate pair, which is no character",
        "/x\\ud800": "is no field of shop.Sold",
    }


def test_of_very_many_faults_the_first_are_said(shop: Codec) -> None:
    with pytest.raises(WrongDataError) as error:
        shop.from_json("shop.Sold", {**RIGHT, "parts": [1] * LONGEST, "x" * 1_000_000: 1})
    assert [fault.field for fault in error.value.faults] == [f"/parts/{place}" for place in range(MOST)]
    assert len(str(error.value)) < 100 * MOST


def test_the_error_is_a_sentence_for_the_command_line(shop: Codec) -> None:
    with pytest.raises(UsageError) as error:
        shop.from_json("shop.Sold", {**RIGHT, "count": "3", "price": "1.005", "parts": [{}]})
    assert str(error.value) == (
        "shop.Sold: the field 'price': '1.005' has more than 2 decimals; the field 'count' must be a whole number, not '3'; "
        "the field 'parts/0/sku' is missing"
    )


def test_a_type_that_there_is_not_is_no_message(shop: Codec) -> None:
    with pytest.raises(UsageError, match=r"no schema is called 'shop\.Bought'"):
        shop.from_json("shop.Bought", {})


def test_times_and_decimals_inside_of_others_are_text_too(tmp_path: Path) -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 20}
    fields = [{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "price", "type": money}]
    codec = one(
        tmp_path, {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": fields}}}
    )
    data = {"lines": [{"at": DEPARTED, "price": "-12345678901234567890.00000000000000000001"}, {"at": DEPARTED, "price": "0"}]}
    shown = codec.shown(codec.encode("shop.Sold", codec.from_json("shop.Sold", data))).data
    assert shown == {"lines": [data["lines"][0], {"at": DEPARTED, "price": "0.00000000000000000000"}]}


def test_in_a_union_the_first_branch_that_fits_has_a_value(tmp_path: Path) -> None:
    """fastavro alone would write the whole number as a day, and the record that knows only one of the fields."""
    one_field = {"type": "record", "name": "Less", "fields": [{"name": "in", "type": {**PART, "name": "Small"}}]}
    more = {**PART, "name": "Large", "fields": [*PART["fields"], {"name": "kg", "type": ["null", "int"], "default": None}]}
    two_fields = {"type": "record", "name": "More", "fields": [{"name": "in", "type": more}]}
    day, time = {"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-millis"}
    codec = one(
        tmp_path,
        {"name": "when", "type": ["null", day, time, "string"]},
        {"name": "what", "type": [one_field, two_fields]},
        {"name": "number", "type": ["float", "long"]},
    )
    inside = {"in": {"sku": "tea", "kg": 5}}
    for when, index, days in (("1970-01-02T00:00:00Z", 2, 86_400_000), ("1970-01-02", 1, 1), ("soon", 3, "soon")):
        value = codec.encode("shop.Sold", codec.from_json("shop.Sold", {"when": when, "what": inside, "number": 2**24 + 1}))
        assert value[10] == 2 * index
        assert codec.decode(value).data == {"when": days, "what": inside, "number": 2**24 + 1}
    described = json_schema(codec.catalog.newest("shop.Sold"))["properties"]["when"]
    assert described["description"] == "The first of these that fits is taken."


def test_a_decimal_beside_a_number_is_the_text(tmp_path: Path) -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
    codec = one(tmp_path, {"name": "price", "type": ["null", money, "long"]})
    texts = []
    for price in ("12.50", 1250, None):
        value = codec.encode("shop.Sold", codec.from_json("shop.Sold", {"price": price}))
        texts.append(value[10:])
    assert texts == [b"\x02\x04\x04\xe2", b"\x04\xc4\x13", b"\x00"]
