"""Avro schemas of every kind of type, JSON of them, and JSON that comes close to it, for property-based tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

_LEAVES: Mapping[str, Any] = {
    "null": "null",
    "boolean": "boolean",
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
    "date": {"type": "int", "logicalType": "date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
    "micros": {"type": "long", "logicalType": "timestamp-micros"},
    "time": {"type": "int", "logicalType": "time-millis"},
    "nanos": {"type": "long", "logicalType": "timestamp-nanos"},
    "clock": {"type": "long", "logicalType": "time-micros"},
    "local": {"type": "long", "logicalType": "local-timestamp-millis"},
    "uuid": {"type": "string", "logicalType": "uuid"},
    "money": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4},
    "share": {"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 3},
    "count": {"type": "bytes", "logicalType": "decimal", "precision": 5},
    "enum": {"type": "enum", "name": "Size", "symbols": ["S", "M", "L"]},
    "fixed": {"type": "fixed", "name": "Two", "size": 2},
    "sum": {"type": "fixed", "name": "Sum", "size": 4, "logicalType": "decimal", "precision": 4, "scale": 2},
}
_NEAR: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, -0.0, 0.5, 1e300, 86_400_000, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1),
    *(2**63 - 1, 2**63, -(2**63) - 1, 10**30, 3.5e38, 3.4e38, 253_402_300_800_000, 2_932_897, -719_163),
    *("", "S", "XL", "ab", "abc", "\u00ff\u0000", "\u0100", "a\n", "12.50", "12.50\n", "-0", "1.00001", "0.1234", "0.1230"),
    *("00012345", "123456", "99999999999999.9999", "100000000000000", "1e3", "+1", "1.", ".5", "\u0661"),
    *("2013-01-01", "2013-01-01\n", "2013-02-30", "2013-13-01", "0000-01-01", "20130101", "2013-W01-1", "9999-12-31"),
    *("2013-01-01T10:00:00Z", "2013-01-01T10:00:00", "2013-01-01T10:00Z", "2013-01-01 10:00:00Z", "2013-01-01T24:00:00Z"),
    *("2013-01-01T10:00:60Z", "2013-01-01T10:00:00.5+23:59", "2013-01-01T10:00:00-24:00", "2013-01-01t10:00:00z"),
    *("2013-01-01T10:00:00.123456789Z", "2013-01-01T10:00:00.1234567890Z", "2013-01-01T10:00:00,5Z"),
    *("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "1b4e28ba2fa111d2883f0016d3cca427", "{1b4e28ba-2fa1-11d2-883f-0016d3cca427}"),
    *([], [None], ["S"], {}, {"a": 1}, {"-type": "S"}, {"a": None, "b": "S"}),
]


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record of the namespace `shop` with fields of any types, some of which have a default."""
    return _Made(draw).record(depth=2, name="Sold")


class _Made:
    """One schema in the making: a named type is defined where it is used first, and named from then on."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw, self._named = draw, list[str]()

    def record(self, depth: int, name: str) -> dict[str, Any]:
        fields = []
        for field in self._draw(st.lists(st.sampled_from(("a", "b", "c", "d")), unique=True, max_size=4)):
            schema = self._type(depth)
            fields.append({"name": field, "type": schema})
            if isinstance(schema, list) and self._draw(st.booleans()):
                schema.sort(key=lambda branch: branch != "null")
                fields[-1] |= {"default": None} if schema[0] == "null" else {}
            elif self._draw(st.booleans()):
                fields[-1] |= _DEFAULTS.get(json.dumps(schema), {})
        return {"type": "record", "namespace": "shop", "name": name, "fields": fields}

    def _type(self, depth: int) -> Any:
        nested = ("array", "map", "record", "union", "union") if depth else ()
        kind = self._draw(st.sampled_from((*_LEAVES, *nested)))
        if kind != "union":
            return self._plain(kind, depth)
        kinds = self._draw(
            st.lists(st.sampled_from((*_LEAVES, *nested[:3], "record", "record too")), unique=True, min_size=2, max_size=4)
        )
        found: dict[str, Any] = {}
        for kind in kinds:
            branch = self._plain(kind, depth)
            # A union has a type once, but for those that have names.
            name = branch if isinstance(branch, str) else branch.get("name", branch["type"])
            found.setdefault(name.removeprefix("shop."), branch)
        return list(found.values())

    def _plain(self, kind: str, depth: int) -> Any:
        if kind == "array":
            # Of what takes bytes: of anything else a few bytes could claim any number (see eventfold.schemas.bounds).
            return {"type": "array", "items": {"type": "map", "values": self._type(depth - 1)}}
        if kind == "map":
            return {"type": "map", "values": self._type(depth - 1)}
        if kind.startswith("record"):
            known = [name for name in self._named if name.startswith("Part")]
            if known and (not depth or self._draw(st.booleans())):
                return f"shop.{self._draw(st.sampled_from(known))}"
            # Named when it is whole: a record may not lie in itself.
            made = self.record(max(depth - 1, 0), "")
            made["name"] = f"Part{len(self._named)}"
            self._named.append(made["name"])
            return made
        leaf = deepcopy(_LEAVES[kind])
        if isinstance(leaf, dict) and "name" in leaf:
            if leaf["name"] in self._named:
                return f"shop.{leaf['name']}"
            self._named.append(leaf["name"])
        return leaf


_DEFAULTS: Mapping[str, Any] = {
    json.dumps(_LEAVES[kind]): {"default": default}
    for kind, default in (
        *(("boolean", True), ("int", 5), ("long", -5), ("double", 0.5), ("string", "x"), ("bytes", "\u00ff"), ("date", 0)),
        *(("timestamp", 1500), ("money", "\u0001"), ("enum", "M"), ("fixed", "ab")),
    )
}


def fitting(schema: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:  # noqa: C901
    """JSON of a schema."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of([fitting(branch, named) for branch in schema])
    if isinstance(schema, str) and schema in named:
        return fitting(named[schema], named)
    of = schema if isinstance(schema, dict) else {"type": schema}
    if "name" in of:
        named[f"shop.{of['name']}"] = of
    match of.get("logicalType", of["type"]):
        case "record":
            each = {field["name"]: fitting(field["type"], named) for field in of["fields"]}
            may = {field["name"]: each.pop(field["name"]) for field in of["fields"] if "default" in field}
            return st.fixed_dictionaries(each, optional=may)
        case "array":
            return st.lists(fitting(of["items"], named), max_size=3)
        case "map":
            return st.dictionaries(st.text(max_size=5) | st.just("-type"), fitting(of["values"], named), max_size=3)
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "int":
            return st.integers(-(2**31), 2**31 - 1)
        case "long" | "timestamp-nanos" | "local-timestamp-millis":
            return st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5).map(float)
        case "float":
            return st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
        case "double":
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300)
        case "string":
            return st.text(max_size=10)
        case "enum":
            return st.sampled_from(of["symbols"])
        case "fixed":
            return st.text(st.characters(max_codepoint=255), min_size=of["size"], max_size=of["size"])
        case "bytes":
            return st.text(st.characters(max_codepoint=255), max_size=10)
        case "date":
            return st.dates().map(str) | st.integers(-719_162, 2_932_896)
        case "timestamp-millis":
            zones = st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=14))])
            early, late = datetime(1, 1, 2), datetime(9999, 12, 30)
            text = st.datetimes(early, late, timezones=zones).map(datetime.isoformat)
            return text | text.map(lambda of: of.replace("+00:00", "Z")) | st.integers(-62_135_596_800_000, 253_402_300_799_999)
        case "timestamp-micros":
            return st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
        case "time-micros":
            return st.integers(0, 86_399_999_999)
        case "time-millis":
            return st.integers(0, 86_399_999)
        case "uuid":
            return st.uuids().map(str)
        case "decimal":
            scale = of.get("scale", 0)
            whole = st.integers(-(10 ** of["precision"]) + 1, 10 ** of["precision"] - 1)
            return st.tuples(whole, st.sampled_from(("", "0", "00"))).map(lambda made: _decimal(made[0], scale, made[1]))
    raise AssertionError(f"no JSON of {schema}: add it")


def _decimal(unscaled: int, scale: int, zeros: str) -> str:
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    whole, rest = digits[: len(digits) - scale], digits[len(digits) - scale :]
    sign = "-" if unscaled < 0 else ""
    return f"{sign}{zeros}{whole}.{rest}{zeros}" if rest else f"{sign}{zeros}{whole}"


@st.composite
def near(draw: st.DrawFn, data: Any) -> Any:
    """JSON in which one to three places were changed: another value, one more, one less."""
    data = deepcopy(data)
    other = st.sampled_from(_NEAR).map(deepcopy) | st.text(max_size=5)
    for _ in range(draw(st.integers(1, 3))):
        inside = list(_containers(data))
        if not inside:
            return draw(other)
        of = draw(st.sampled_from(inside))
        key = draw(st.sampled_from(list(of) if isinstance(of, dict) else range(len(of)))) if of else None
        match draw(st.integers(0, 5)):
            case 0 if key is not None:
                del of[key]
            case 1 if isinstance(of, dict):
                of[draw(st.sampled_from(("a", "b", "x", "")))] = draw(other)
            case 2 if isinstance(of, list):
                of.append(draw(other))
            case _ if key is not None:
                of[key] = draw(other)
    return data


def _containers(data: Any) -> Iterator[Any]:
    if isinstance(data, dict | list):
        yield data
        for inner in data.values() if isinstance(data, dict) else data:
            yield from _containers(inner)
