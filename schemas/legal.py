"""What makes a schema illegal, each fault with its place (Avro specification, "Schema Declaration" and "Logical Types").

fastavro takes much of this, and of what it refuses it does not say where it stands. Written by such a schema, messages are
read by no other Avro library, or cannot be written at all, so our own versions are checked before anything is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from eventfold.schemas.decimals import from_bytes
from eventfold.schemas.defaults import value_of
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.faults import told
from eventfold.schemas.forms.plain import is_uuid
from eventfold.schemas.longest import LIMITS, fits, limit_of
from eventfold.schemas.times import FIRST_DAY, FIRST_MS, LAST_DAY, LAST_MS

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_NAME = "letters, digits and '_' only, no digit first"
_PRIMITIVE = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_NAMED = ("record", "error", "enum", "fixed")
_DEEPEST = 64
_LIMITED = '{"type": "string", "maxLength": 200}'
_ORDERS = ("ascending", "descending", "ignore")
_STAMPS = [f"{local}timestamp-{unit}" for local in ("", "local-") for unit in ("millis", "micros", "nanos")]
# What a logical type is made of. One that is not here is not looked at, as the specification has it.
_UNDERLYING = {
    "decimal": ("bytes", "fixed"),
    "uuid": ("string", "fixed"),
    **dict.fromkeys(("date", "time-millis"), ("int",)),
    **dict.fromkeys(("time-micros", *_STAMPS), ("long",)),
    "duration": ("fixed",),
}
_SIZES = {"uuid": 16, "duration": 12}
# The years 1 to 9999, and a day.
_BOUNDS = {
    "date": (FIRST_DAY, LAST_DAY),
    **dict.fromkeys(("timestamp-millis", "local-timestamp-millis"), (FIRST_MS, LAST_MS)),
    **dict.fromkeys(("timestamp-micros", "local-timestamp-micros"), (FIRST_MS * 1000, LAST_MS * 1000 + 999)),
    "time-millis": (0, 86_399_999),
    "time-micros": (0, 86_399_999_999),
}


class IllegalSchemaError(EventfoldError):
    """A file whose schema is illegal; `faults` are sentences that say where and why."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        super().__init__(f"{path}: {'; '.join(faults)}")
        self.faults = faults


def full_name(schema: Mapping[str, Any], namespace: str = "") -> str:
    """The full name of a named type that lies in a namespace (Avro specification, "Names"): a name with a dot is one."""
    name, own = str(schema.get("name")), schema.get("namespace", namespace)
    return name if "." in name or not own else f"{own}.{name}"


def check_legal(schema: Mapping[str, Any], path: Path) -> None:
    """IllegalSchemaError names the file of a schema that is illegal, with all that is wrong."""
    walk = _Walk()
    try:
        walk.type(schema, "", "")
    except _TooDeepError:
        raise IllegalSchemaError(path, [f"types lie in each other more than {_DEEPEST} times"]) from None
    if walk.faults:
        raise IllegalSchemaError(path, walk.faults)


class _TooDeepError(Exception):
    """Nobody writes such a schema, and whatever walks through it would end with the stack."""


class _Walk:
    """Walks through a schema. Each step returns what it looked at with all names in full, by which defaults are checked.

    named: the types that were defined so far, by their full names.
    """

    def __init__(self) -> None:
        self._depth = 0
        self.faults: list[str] = []
        self.named: dict[str, Any] = {}

    def type(self, schema: Any, namespace: str, path: str) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooDeepError
        found = self._type(schema, namespace, path)
        self._depth -= 1
        return found

    def _type(self, schema: Any, namespace: str, path: str) -> Any:
        if isinstance(schema, list):
            return self._union(schema, namespace, path)
        if isinstance(schema, str):
            return self._of_name(schema, namespace, path)
        kind = schema.get("type") if isinstance(schema, Mapping) else None
        if not isinstance(kind, str):
            self._say(path, f"a type is a name, a list or an object whose `type` is a name, not {told(schema)}")
            return schema
        match kind:
            case "array" | "map":
                inside, mark = ("items", "[]") if kind == "array" else ("values", "{}")
                if inside not in schema:
                    self._say(path, f"the {kind} has no `{inside}`")
                else:
                    schema = {**schema, inside: self.type(schema[inside], namespace, path + mark)}
            case _ if kind in _NAMED:
                schema = self._of_named(kind, schema, namespace, path)
            case _ if kind not in _PRIMITIVE:
                self._say(path, f"{kind!r} is no type that an object may have as its `type`")
                return schema
        self._limits(schema, path)
        if isinstance(schema.get("logicalType"), str):
            self._logical(schema["logicalType"], kind, schema, path)
        return schema

    def _say(self, path: str, what: str) -> None:
        self.faults.append(f"the field {path!r}: {what}" if path else what)

    def _union(self, branches: Sequence[Any], namespace: str, path: str) -> list[Any]:
        if not branches:
            self._say(path, "the union is empty, so that no value is of it")
        met, found = set[str](), list[Any]()
        for branch in branches:
            if isinstance(branch, list):
                self._say(path, "a union stands in a union: list the branches of both in one")
                continue
            found.append(of := self.type(branch, namespace, path))
            name = of.get("name", of.get("type")) if isinstance(of, Mapping) else of
            # Two that differ in their namespaces alone are legal, but resolution takes the one for the other: it looks at
            # unqualified names (Avro specification, "Schema Resolution").
            short = str(name).rpartition(".")[2]
            if short in met:
                self._say(path, f"the union has two branches called {short!r}, which a reader does not tell apart")
            met.add(short)
        return found

    def _of_name(self, name: str, namespace: str, path: str) -> str:
        if name in _PRIMITIVE:
            return name
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self.named:
            self._say(path, f"the type {full!r} is not defined before this place")
        return full

    def _of_named(self, kind: str, schema: Mapping[str, Any], namespace: str, path: str) -> Mapping[str, Any]:
        if not isinstance(schema.get("name"), str) or not isinstance(schema.get("namespace", ""), str):
            self._say(path, f"the {kind} has a name or a namespace that is no text: {told(schema.get('name'))}")
            return schema
        full = full_name(schema, namespace)
        within, _, short = full.rpartition(".")
        if not all(map(_NAME.fullmatch, full.split("."))):
            self._say(path, f"the {kind} {full!r} has a name that is none in Avro: {_NO_NAME}")
        if short in _PRIMITIVE:
            self._say(path, f"the {kind} {full!r} is called like a primitive type")
        if full in self.named:
            self._say(path, f"the type {full!r} is defined a second time")
        self._aliases(schema, f"the {kind} {full!r}", path, dots=True)
        found = self.named[full] = {**schema, "name": full}
        match kind:
            case "enum":
                self._enum(schema, path)
            case "fixed":
                if not _whole(schema.get("size")) or schema["size"] < 0:
                    self._say(path, f"the size of the fixed {full!r} must be a whole number, not {told(schema.get('size'))}")
            case _:
                # What lies in itself is refused elsewhere (schemas.bounds), and has no fields here until they are known.
                found["fields"] = []
                found["fields"] = self._fields(schema.get("fields"), within, path, full)
        return found

    def _enum(self, schema: Mapping[str, Any], path: str) -> None:
        symbols = schema.get("symbols")
        if not isinstance(symbols, list) or not symbols:
            self._say(path, f"the enum {schema['name']!r} has no list of symbols, so that no value is of it")
            return
        for place, symbol in enumerate(symbols):
            if not isinstance(symbol, str) or _NAME.fullmatch(symbol) is None:
                self._say(path, f"the symbol {told(symbol)} is none in Avro: {_NO_NAME}")
            elif symbol in symbols[:place]:
                self._say(path, f"the symbol {symbol!r} stands twice")
        if "default" in schema and schema["default"] not in symbols:
            self._say(path, f"the default of the enum {schema['name']!r} is none of its symbols: {told(schema['default'])}")

    def _fields(self, fields: Any, namespace: str, path: str, full: str) -> list[dict[str, Any]]:
        if not isinstance(fields, list) or not all(isinstance(field, Mapping) for field in fields):
            self._say(path, f"the record {full!r} has no list of fields")
            return []
        found: list[dict[str, Any]] = []
        for field in fields:
            name = field.get("name")
            inner = f"{path}.{name}" if path else str(name)
            if not isinstance(name, str) or _NAME.fullmatch(name) is None:
                self._say(inner, f"its name is none in Avro: {_NO_NAME}")
            elif any(name == other["name"] for other in found):
                self._say(inner, f"it stands twice in the record {full!r}")
            if field.get("order", _ORDERS[0]) not in _ORDERS:
                self._say(inner, f"its order is none of {', '.join(_ORDERS)}: {told(field['order'])}")
            self._aliases(field, "it", inner, dots=False)
            for limit in LIMITS:
                if limit in field:
                    self._say(inner, f"its {limit} stands beside its type: write it into the type, as in {_LIMITED}")
            found.append({**field, "type": self._typed(field, namespace, inner)})
        return found

    def _typed(self, field: Mapping[str, Any], namespace: str, path: str) -> Any:
        """The type of a field, whose default must be of it."""
        if "type" not in field:
            self._say(path, "it has no type")
            return None
        before = len(self.faults)
        schema = self.type(field["type"], namespace, path)
        if "default" in field and len(self.faults) == before:
            try:
                value_of(schema, field["default"], self.named, _takes)
            except ValueError:
                self._say(path, f"its default is none of its type: {told(field['default'])}")
        return schema

    def _aliases(self, schema: Mapping[str, Any], what: str, path: str, *, dots: bool) -> None:
        aliases = schema.get("aliases", [])
        if not isinstance(aliases, list):
            self._say(path, f"{what} has aliases that are no list")
            return
        for alias in aliases:
            parts = alias.split(".") if isinstance(alias, str) and dots else [alias]
            if not all(isinstance(part, str) and _NAME.fullmatch(part) for part in parts):
                self._say(path, f"{what} has an alias that is no name in Avro: {told(alias)}")

    def _limits(self, schema: Mapping[str, Any], path: str) -> None:
        for limit in LIMITS:
            if limit in schema and limit != limit_of(schema):
                self._say(path, f"what is {schema.get('logicalType', schema['type'])} has no {limit}")
            elif limit in schema and (not _whole(schema[limit]) or schema[limit] < 0):
                self._say(path, f"its {limit} must be a whole number, not {told(schema[limit])}")

    def _logical(self, logical: str, kind: str, schema: Mapping[str, Any], path: str) -> None:
        if logical not in _UNDERLYING:
            return
        if kind not in _UNDERLYING[logical]:
            self._say(path, f"{logical} is made of {' or '.join(_UNDERLYING[logical])}, not of {kind}")
        elif kind == "fixed" and logical in _SIZES and schema.get("size") != _SIZES[logical]:
            self._say(path, f"a fixed that is a {logical} has {_SIZES[logical]} bytes, not {told(schema.get('size'))}")
        elif logical == "decimal":
            self._decimal(schema, path)

    def _decimal(self, schema: Mapping[str, Any], path: str) -> None:
        precision, scale = schema.get("precision"), schema.get("scale", 0)
        if not _whole(precision) or precision < 1:
            self._say(path, f"the precision of a decimal must be a whole number from 1 on, not {told(precision)}")
        elif not _whole(scale) or not 0 <= scale <= precision:
            self._say(path, f"the scale of a decimal must lie between 0 and its precision, {precision}: it is {told(scale)}")
        elif _whole(size := schema.get("size")) and precision > math.floor(math.log10(2) * (8 * size - 1)):
            self._say(path, f"{size} bytes do not hold every number of {precision} digits")


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


_DIGITS = 10_000


def _takes(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a type, of a logical type maybe, takes the value of a default as a writer's value."""
    logical = str(schema.get("logicalType"))
    if logical == "uuid" and isinstance(value, str):
        return is_uuid(value) is not None
    bounds = _BOUNDS.get(logical)
    if not fits(schema, value):
        return False
    if logical == "decimal":
        # A power of as many digits as a schema can claim takes for ever.
        number, digits = abs(from_bytes(value)), int(schema["precision"])
        return number.bit_length() < 3 * digits or (digits <= _DIGITS and number < 10**digits)
    return bounds is None or bool(bounds[0] <= value <= bounds[1])
