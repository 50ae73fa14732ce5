"""What a writer takes of each kind of type, and how it refuses what it does not take."""

from __future__ import annotations

import math
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from eventfold.schemas.branches import branch_of
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import WrongDataError
from eventfold.schemas.writing import written
from tests.support.avro import catalog_of
from tests.unit.test_written import alike, one

ID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


def it(kind: Any) -> Codec:
    """A codec of `shop.Sold`, whose only field `it` is of this type."""
    return one({"name": "it", "type": kind})


def logical(type_: str, logical_type: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "logicalType": logical_type, **more}


MONEY = logical("bytes", "decimal", precision=6, scale=2)
SUM = logical("fixed", "decimal", name="Sum", size=2, precision=4, scale=2)
UUID_ = logical("string", "uuid")
MOMENT = logical("long", "timestamp-millis")
MOST = (2 - 2**-23) * 2.0**127
SIZE = {"type": "enum", "name": "Size", "symbols": ["S", "M"]}
AT = datetime(2013, 1, 1, 10, 17, 0, 123_999, tzinfo=UTC)
LOCAL = datetime(2013, 1, 1, 10, 17, 0, 123_999)
DAY_US = 1_356_998_400_000_000
CLOCK_US = (10 * 60 + 17) * 60_000_000 + 123_999


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (["int", "long"], 2**40, 2**40),
        (["null", "int", "long"], -(2**40), -(2**40)),
        (MONEY, Decimal("12.5"), Decimal("12.50")),
        (MONEY, "12.50", Decimal("12.50")),
        (MONEY, Decimal("1E+3"), Decimal("1000.00")),
        (logical("bytes", "decimal", precision=9_000, scale=2), "1" * 5_000 + ".25", Decimal("1" * 5_000 + ".25")),
        (SUM, Decimal("-99.99"), Decimal("-99.99")),
        (UUID_, UUID(ID), ID),
        (UUID_, ID.upper(), ID.upper()),
        (logical("int", "date"), date(2013, 1, 1), 15_706),
        (logical("int", "date"), "2013-01-01", 15_706),
        (MOMENT, AT, (DAY_US + CLOCK_US) // 1000),
        (MOMENT, AT.astimezone(timezone(timedelta(hours=-5))), (DAY_US + CLOCK_US) // 1000),
        (MOMENT, "2013-01-01T10:17:00Z", DAY_US // 1000 + 37_020_000),
        (logical("long", "timestamp-micros"), AT, DAY_US + CLOCK_US),
        (logical("long", "timestamp-nanos"), AT, (DAY_US + CLOCK_US) * 1000),
        (logical("long", "local-timestamp-millis"), LOCAL, (DAY_US + CLOCK_US) // 1000),
        (logical("long", "local-timestamp-micros"), LOCAL, DAY_US + CLOCK_US),
        (logical("int", "time-millis"), LOCAL.time(), CLOCK_US // 1000),
        (logical("long", "time-micros"), LOCAL.time(), CLOCK_US),
        ("double", 2**53, float(2**53)),
        ("float", 0.1, 0.10000000149011612),
        ("bytes", bytearray(b"ab"), b"ab"),
        ({"type": "array", "items": "int"}, (1, 2), [1, 2]),
        (["null", "double", "long"], 5, 5),
        (["null", MONEY, "string"], "12.50", "12.50"),
        (["null", "string", MONEY], Decimal("12.5"), Decimal("12.50")),
        (["null", SIZE, MONEY], "12.50", Decimal("12.50")),
        (["float", "double"], 0.1, 0.1),
        (["float", "double"], ("float", 0.1), 0.1),
    ],
    ids=str,
)
def test_a_value_of_pythons_own_class(kind: Any, value: Any, read: Any) -> None:
    codec = it(kind)
    encoded = codec.encode("shop.Sold", {"it": value})
    found = codec.decode(encoded).data
    assert alike(found, {"it": read}), found
    assert codec.encode("shop.Sold", found) == encoded


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("int", 2.9, "must be a whole number, not 2.9"),
        ("int", 3.0, "must be a whole number, not 3.0"),
        ("int", Decimal("3.7"), "must be a whole number, not the Decimal 3.7"),
        ("long", True, "must be a whole number, not true"),
        ("long", 2**63, f"must lie between {-(2**63)} and {2**63 - 1}, not {2**63}"),
        ("boolean", "false", "must be true or false, not 'false'"),
        ("boolean", 1, "must be true or false, not 1"),
        ("float", 1e300, f"must lie between {-MOST} and {MOST}, not 1e+300"),
        (
            "float",
            math.inf,
            "must lie between -3.4028234663852886e+38 and 3.4028234663852886e+38, not a number that is not finite",
        ),
        ("double", math.nan, "must be a number, not a number that is not finite"),
        ("double", 2**53 + 1, f"must be a number that a double holds exactly, not {2**53 + 1}"),
        ("double", Decimal(1), "must be a number, not the Decimal 1"),
        ("string", b"ab", "must be text, not the bytes b'ab'"),
        ("string", "\ud800", "holds half of a surrogate pair, which is no character"),
        ("bytes", "ab", "must be bytes, not 'ab'"),
        ({"type": "fixed", "name": "Two", "size": 2}, b"abc", "must be 2 bytes, not the bytes b'abc'"),
        (SIZE, "XL", "must be one of S, M, not 'XL'"),
        (UUID_, "nobody", "must be a UUID, not 'nobody'"),
        (UUID_, f"{{{ID}}}", f"must be a UUID, not '{{{ID}}}'"),
        (MONEY, 1250, "must be a Decimal, or text like '1.00', not 1250"),
        (MONEY, 12.5, "must be a Decimal, or text like '1.00', not 12.5"),
        (MONEY, b"\x01", "must be a Decimal, or text like '1.00', not the bytes b'\\x01'"),
        (MONEY, Decimal("1.005"), "'1.005' has more than 2 decimals"),
        (MONEY, Decimal("NaN"), "NaN is not a decimal number"),
        (SUM, Decimal("999.00"), "'999.00' has more than 2 digits before the point"),
        (logical("int", "date"), AT, f"'{AT}' is a time, not a date; give its date()"),
        (logical("int", "date"), "2013-02-30", "'2013-02-30' is not a date; write it as 2013-02-08"),
        (
            MOMENT,
            LOCAL,
            f"'{LOCAL}' has no time zone; give the datetime one, e.g. UTC",
        ),
        (
            MOMENT,
            date(2013, 1, 1),
            "must be a time like 2013-01-01T10:17:00Z, not the date 2013-01-01",
        ),
        (
            logical("long", "local-timestamp-millis"),
            AT,
            f"'{AT}' has a time zone, and a local time has none",
        ),
        (logical("int", "time-millis"), time(1, tzinfo=UTC), "'01:00:00+00:00' has a time zone, and a time of day has none"),
        (["int", "long"], 2.9, "must be a whole number or a whole number, not 2.9"),
        (["int", "long"], ("short", 1), "must be a value, or a pair of a value behind one of the names int, long"),
        (["null", "string"], 7, "must be null or text, not 7"),
        ({"type": "array", "items": "int"}, {1}, "must be a list, not a set"),
    ],
    ids=str,
)
def test_what_is_not_of_the_type_is_refused(kind: Any, value: Any, reason: str) -> None:
    with pytest.raises(WrongDataError) as error:
        it(kind).encode("shop.Sold", {"it": value})
    assert [(fault.field, fault.reason) for fault in error.value.faults] == [("/it", reason)]
    assert str(error.value).startswith("shop.Sold: the field 'it'")


def test_a_refusal_names_the_field_however_deep_it_lies() -> None:
    part = {
        "type": "record",
        "name": "Part",
        "fields": [{"name": "price", "type": ["null", MONEY]}, {"name": "n", "type": "int"}],
    }
    codec = one(
        {"name": "parts", "type": {"type": "array", "items": part}},
        {"name": "by", "type": {"type": "map", "values": ["null", "shop.Part"]}},
        {"name": "n", "type": "int"},
    )
    wrong = {"price": 5, "n": 2.9}
    with pytest.raises(UsageError) as error:
        codec.encode(
            "shop.Sold", {"parts": [{"price": None, "n": 1}, wrong], "by": {"a/b": {"price": "1.005", "n": 1}}, "x": 1}
        )
    assert str(error.value) == (
        "shop.Sold: the field 'parts/1/price' must be null or a decimal number in quotes, with at most 4 digits before the "
        "point and 2 after it, not 5; the field 'parts/1/n' must be a whole number, not 2.9; the field 'by/a~1b/price': "
        "'1.005' has more than 2 decimals; the field 'n' is missing; the field 'x' is no field of shop.Sold"
    )


class _NoOffset(tzinfo):
    """A time zone that does not say what it is."""

    def utcoffset(self, _: datetime | None) -> None:
        return None


def test_a_time_whose_zone_gives_no_offset_is_refused() -> None:
    with pytest.raises(WrongDataError, match="has no time zone"):
        it(MOMENT).encode("shop.Sold", {"it": AT.replace(tzinfo=_NoOffset())})


@pytest.mark.parametrize("data", [None, [], 7, "text", object()])
def test_what_is_no_mapping_is_no_message(data: Any) -> None:
    with pytest.raises(WrongDataError, match=r"^shop\.Sold: the data must be an object"):
        it("int").encode("shop.Sold", data)


@pytest.mark.parametrize(
    "kind", ["float", ["null", "float"], ["float", "double"], {"type": "array", "items": "float"}], ids=str
)
def test_a_default_is_read_of_an_older_version_as_where_it_was_left_out(tmp_path: Path, kind: Any) -> None:
    """A float has 32 bits."""
    number = {"name": "n", "type": "int"}
    added = {"name": "it", "type": kind, "default": [0.1] if isinstance(kind, dict) else 0.1}
    catalog = catalog_of(tmp_path, {"Sold.v1": [number], "Sold.v2": [number, added]})
    codec = Codec(catalog)
    older, left_out = written(catalog, "shop.Sold", 1, {"n": 5}), codec.encode("shop.Sold", {"n": 5})
    for decode in (codec.decode, codec.reader({"shop.Sold": None})):
        assert decode(older) == decode(left_out)


# -- unions whose branches Python does not tell apart --------------------------------------------------------------------


def test_a_value_remembers_the_branch_that_it_was_written_as() -> None:
    paid, owed = ({"type": "record", "name": name, "fields": [{"name": "amount", "type": "int"}]} for name in ("Paid", "Owed"))
    day, moment = logical("int", "date"), MOMENT
    codec = one({"name": "what", "type": [paid, owed]}, {"name": "when", "type": [day, moment]})
    written = {
        codec.encode("shop.Sold", {"what": (f"shop.{name}", {"amount": 5}), "when": when})
        for name in ("Paid", "Owed")
        for when in (date(1970, 1, 6), datetime(1970, 1, 1, 0, 0, 0, 5_000, tzinfo=UTC))
    }
    assert len(written) == 4
    names = set()
    for value in written:
        data = codec.decode(value).data
        assert data == {"what": {"amount": 5}, "when": 5}
        assert orjson.loads(orjson.dumps(data)) == data
        assert codec.encode("shop.Sold", data) == value == codec.encode("shop.Sold", deepcopy(data))
        names.add((branch_of(data["what"]), branch_of(data["when"])))
    assert names == {(f"shop.{name}", when) for name in ("Paid", "Owed") for when in ("int", "long")}
    assert (
        codec.shown(codec.encode("shop.Sold", {"what": {"amount": 5}, "when": date(1970, 1, 6)})).data["when"] == "1970-01-06"
    )
