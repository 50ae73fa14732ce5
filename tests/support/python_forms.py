"""Python values of every kind of Avro type, in each form that a writer takes, with what is read of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from tests.support.avro import exact

_EPOCH, _US = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_DICTS = ("map", "record")
_LONG = st.integers(-(2**63), 2**63 - 1)
_READ: Mapping[str, Any] = {"boolean": True, "bytes": b"\xff", "fixed": b"ab", "decimal": Decimal("0.0001")}


class Size(StrEnum):
    S, M, L = "S", "M", "L"


class Few(IntEnum):
    ONE, TWO = 1, 2


class Form(NamedTuple):
    """given: to a writer. read: what a reader gets of it."""

    given: Any
    read: Any


JUNK: list[Any] = [
    *(None, True, False, 0, 1, 2.9, 3.0, -1, 2**31, 2**40, 2**63, 10**30, 1e300, 3.5e38, float("inf"), float("nan"), 2**53 + 1),
    *(Decimal("3.7"), Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999999"), Decimal("1E-999999999"), Decimal(10**40)),
    *("", "false", "12.50", "not a uuid", "XL", "S", "\ud800", "2013-01-01", "2013-02-30", "2013-01-01T10:00:00", "x" * 100),
    *(b"", b"ab", b"abc", bytearray(b"ab"), [], [None], (), ("int", 5), ("nobody", 5), ("long", 2.9), {}, {1: 2}, {"a": 1}),
    *({"\ud800": 1}, {"a": None, "z": 1}, set(), object(), Size.M, Few.TWO, UUID(int=7), 1j, range(3)),
    *(datetime(2013, 1, 1), datetime(2013, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    *(datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), date(2013, 1, 1), time(10, 17), time(10, tzinfo=UTC)),
]
"""Values that hardly any type takes."""


def forms(schema: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy[Form]:  # noqa: C901
    """Values of a schema of the namespace `shop`."""
    named = {f"shop.{of['name']}": of for of in _named(schema)} if named is None else named
    if isinstance(schema, list):
        return _union(schema, named)
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    of = schema if isinstance(schema, dict) else {"type": schema}
    match of.get("logicalType", of["type"]):
        case "record":
            return _record(of, named)
        case "array":
            lists = st.lists(forms(of["items"], named), max_size=3)
            return lists.flatmap(lambda found: st.sampled_from([list, tuple]).map(lambda made: _listed(found, made)))
        case "map":
            maps = st.dictionaries(st.text(max_size=5) | st.just("-type"), forms(of["values"], named), max_size=3)
            return maps.map(lambda found: Form(*({key: it[place] for key, it in found.items()} for place in (0, 1))))
        case "null":
            return _same(st.none())
        case "boolean":
            return _same(st.booleans())
        case "int":
            return _same(st.integers(-(2**31), 2**31 - 1) | st.sampled_from(Few))
        case "long":
            return _same(_LONG)
        case "float":
            most = (2 - 2**-23) * 2.0**127
            every = st.floats(-most, most) | st.integers(-(2**40), 2**40)
            return every.map(lambda number: Form(number, struct.unpack("f", struct.pack("f", number))[0]))
        case "double":
            every = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
            return every.map(lambda number: Form(number, float(number)))
        case "string":
            return _same(st.text(max_size=70) | st.sampled_from(Size))
        case "enum":
            return _same(st.sampled_from(of["symbols"]) | st.sampled_from(Size))
        case "fixed":
            return _bytes(st.binary(min_size=of["size"], max_size=of["size"]))
        case "bytes":
            return _bytes(st.binary(max_size=70))
        case "date":
            days = st.dates().map(lambda day: Form(day, day.toordinal() - _EPOCH.toordinal()))
            return (
                days | days.map(lambda form: Form(str(form.given), form.read)) | days.map(lambda form: Form(*[form.read] * 2))
            )
        case "timestamp-millis":
            return _moments(1000) | _moments(1000).map(lambda form: Form(form.given.isoformat(), form.read))
        case "timestamp-micros":
            return _moments(1)
        case "timestamp-nanos":
            moments = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
            return _same(_LONG) | moments.map(lambda at: Form(at, (at - _EPOCH) // _US * 1000))
        case "local-timestamp-millis":
            local = st.datetimes().map(lambda at: Form(at, (at.replace(tzinfo=UTC) - _EPOCH) // _US // 1000))
            return local | _same(_LONG)
        case "time-millis":
            return _clocks(1000)
        case "time-micros":
            return _clocks(1)
        case "uuid":
            upper = _same(st.uuids().map(lambda id_: str(id_).upper()))
            return st.uuids().map(lambda id_: Form(id_, str(id_))) | upper
        case "decimal":
            scale = of.get("scale", 0)
            whole = st.integers(-(10 ** of["precision"]) + 1, 10 ** of["precision"] - 1)
            numbers = whole.map(lambda unscaled: exact(unscaled, scale))
            return _same(numbers) | numbers.map(lambda number: Form(f"{number:f}", number)) | _same(numbers.map(_short))
    raise AssertionError(f"no values of {schema}: add them")


def _named(schema: Any) -> Iterator[dict[str, Any]]:
    """The named types that are defined in a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch)
    elif isinstance(schema, dict):
        if "name" in schema:
            yield schema
        for inside in (*(schema.get(of) for of in ("items", "values")), *(of["type"] for of in schema.get("fields", ()))):
            yield from _named(inside)


def _short(number: Decimal) -> Decimal:
    """The same number with as few digits as it needs, and an exponent where it ends in zeros."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    cut = len(digits) - len(text) if number else 0
    return Decimal((sign, tuple(map(int, text)), int(exponent) + cut))


def _same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Form]:
    return values.map(lambda value: Form(value, value))


def _bytes(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[Form]:
    return _same(values) | values.map(lambda value: Form(bytearray(value), value))


def _listed(found: list[Form], made: Any) -> Form:
    return Form(made(form.given for form in found), [form.read for form in found])


def _moments(unit: int) -> st.SearchStrategy[Form]:
    """unit: in microseconds; digits beyond it are cut off."""
    zones = st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=14))])
    moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)
    return moments.map(lambda at: Form(at, (at - _EPOCH) // _US // unit))


def _clocks(unit: int) -> st.SearchStrategy[Form]:
    def form(clock: time) -> Form:
        return Form(clock, (datetime.combine(_EPOCH, clock, UTC) - _EPOCH) // _US // unit)

    return st.times().map(form) | st.times().map(lambda clock: Form(*[form(clock).read] * 2))


@st.composite
def _record(draw: st.DrawFn, schema: Any, named: dict[str, Any]) -> Form:
    given, read = {}, {}
    for field in schema["fields"]:
        name, form = field["name"], draw(forms(field["type"], named))
        if "default" in field and draw(st.booleans()):
            read[name] = _default(field)
        else:
            given[name], read[name] = form
    return Form(given, read)


def _default(field: Any) -> Any:
    of = field["type"]
    kind = of if isinstance(of, str) else "" if isinstance(of, list) else of.get("logicalType", of["type"])
    return _READ.get(kind, field["default"])


@st.composite
def _union(draw: st.DrawFn, branches: list[Any], named: dict[str, Any]) -> Form:
    branch = draw(st.sampled_from(branches))
    name = branch if isinstance(branch, str) else branch.get("name", branch["type"])
    whole = named.get(name if name in named else f"shop.{name}", branch)
    kind = whole if isinstance(whole, str) else whole["type"]
    given, read = draw(forms(branch, named))
    if kind == "float" and "double" in branches:
        read = float(given)
    if kind != "null" and (draw(st.booleans()) or kind in _DICTS or not _tells(given, whole)):
        given = (f"shop.{name}" if f"shop.{name}" in named else name, given)
    return Form(given, read)


def _tells(given: Any, schema: Any) -> bool:
    """Whether no other branch can take the value for something else: text and tuples may be that, and ints for a number."""
    kind = schema if isinstance(schema, str) else schema["type"]
    text = isinstance(given, str) and (kind not in ("string", "enum"))
    number = isinstance(given, int) and kind in ("float", "double")
    return not (text or number or isinstance(given, tuple) or kind == "float")
