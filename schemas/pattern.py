"""A flat record as one regular expression: it finds where the wanted fields lie and checks the others, all in C.

Avro's binary encoding of a record is that of its fields, one after another: an int or a long is a zigzag varint (seven bits
a byte, the low ones first, the high bit set on every byte but the last), a string its length as a long and that many bytes of
UTF-8, bytes likewise, a boolean one byte, a union the number of its branch and then the value (Avro specification, "Binary
Encoding").
The first byte of a value therefore says how far it reaches, and there is one way to match.

A pattern promises only half: what it matches is a body, and its fields are what fastavro reads. What it does not match
may be a body all the same (a text beyond 63 bytes, or one that is skipped and not ASCII, since this could hide bytes that
are no UTF-8; a varint of ten bytes, or a length in more bytes than it needs), so fastavro is to be asked then.

A body of an older version is read likewise where no more is to be done (Avro specification, "Schema Resolution") than to
rename or leave out a field, to put in a default, to read an int as a long, or what is never null as what may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from eventfold.schemas.decimals import EXACT
from eventfold.schemas.logical import DECIMAL, decimal_of
from eventfold.schemas.parsed import Parsed
from eventfold.schemas.resolution import Read

LIMIT = 16_384
_LONGEST = 63  # bytes of a string whose length is one byte

_VARINT = rb"[\x80-\xff]{0,8}[\x00-\x7f]"


def _strings(byte: bytes) -> bytes:
    """A string of any length up to the longest, made of such bytes."""
    return b"(?:" + b"|".join(re.escape(bytes([2 * n])) + byte + b"{%d}" % n for n in range(_LONGEST + 1)) + b")"


_DECIMAL = "decimal"  # on bytes
_KEPT = {
    "null": b"",
    "boolean": rb"[\x00\x01]",
    "int": _VARINT,
    "long": _VARINT,
    "string": _strings(b"."),
    _DECIMAL: _strings(b"."),
}
_SKIPPED = {**_KEPT, "string": _strings(rb"[\x00-\x7f]")}
_BRANCHES = (rb"\x00", rb"\x02")
_CHANGEABLE = object()

# How the bytes of a field become its value; a null branch leaves no bytes, but None. A long is hardly ever seen again
# (most are times), nor is a decimal, so they are not remembered.
_VALUES = {
    "null": "None",
    "boolean": "booleans[{0}]",
    "int": "ints[{0}]",
    "long": "(None if {0} is None else integer({0}))",
    "string": "texts[{0}]",
    _DECIMAL: "(None if {0} is None else moved(Decimal(number({0}[1:], 'big', signed=True)), -{1}))",
}
_MAKE = """
def make(groups):
    ({groups}) = groups
    return {{{items}}}
"""


class Remembered(dict[bytes | None, Any]):
    """What encoded values mean, for at most LIMIT of them: when it is full it begins anew, so it follows what changes."""

    __slots__ = ("_decode",)

    def __init__(self, decode: Callable[[bytes], Any]) -> None:
        self._decode = decode

    def __missing__(self, encoded: bytes | None) -> Any:
        if len(self) >= LIMIT:
            self.clear()
        value = self[encoded] = None if encoded is None else self._decode(encoded)
        return value


class Pattern(NamedTuple):
    """How bodies of one schema are read.

    match: (value, start) -> a match if the value's rest is such a body. make: the match's groups -> the wanted fields, in
    the schema's order; UnicodeDecodeError when one of them is a string that is not UTF-8.
    """

    match: Callable[[bytes, int], re.Match[bytes] | None]
    make: Callable[[Sequence[bytes | None]], dict[str, Any]]


class Patterns:
    """Makes the patterns of one reader, which remember texts and ints together.

    Several threads may read by them: what two of them remember at once is remembered twice.
    """

    def __init__(self) -> None:
        self._names = {
            "texts": Remembered(text),
            "ints": Remembered(integer),
            "booleans": {None: None, b"\x00": False, b"\x01": True},
            "integer": integer,
            # The same as DecimalType.number(from_bytes(...)), which takes half as long again.
            "number": int.from_bytes,
            "Decimal": Decimal,
            "moved": EXACT.scaleb,
        }

    def leg(self, written: Parsed, newest: Parsed, wanted: Collection[str] | None, slow: Read) -> Read:
        """Reads by the pattern where there is one, and `slow`, which is to say the same, what it does not match."""
        pattern = self.of(written, newest, wanted)
        if pattern is None:
            return slow
        match, make = pattern

        def fast(value: bytes, start: int) -> dict[str, Any]:
            body = match(value, start)
            if body is not None:
                try:
                    return make(body.groups())
                except UnicodeDecodeError:  # a text that is none: `slow` says so
                    pass
            return slow(value, start)

        return fast

    def of(self, written: Parsed, newest: Parsed, wanted: Collection[str] | None) -> Pattern | None:
        """How bodies of one version are read as data of the newest one, which may be the same, for these of its fields (None:
        all).

        None where a pattern is not enough: a field that is not null, boolean, int, long, string, decimal, or one of these or
        null; a difference between the versions other than said above.
        """
        left = {field["name"]: field for field in newest.reading["fields"]}
        aliases = {alias: field["name"] for field in newest.reading["fields"] for alias in field.get("aliases", ())}
        parts: list[bytes] = []
        values: dict[str, str] = {}
        for field in written.reading["fields"]:
            kind, null, scale = _kind(field["type"])
            name = field["name"] if field["name"] in left else aliases.get(field["name"])
            if not kind or (name is not None and not _becomes(kind, null, scale, left.get(name))):
                return None
            kept = name is not None and (wanted is None or name in wanted)
            part = b"(" + _KEPT[kind] + b")" if kept else _SKIPPED[kind]
            parts.append(part if null is None else b"(?:%s|%s%s)" % (_BRANCHES[null], _BRANCHES[1 - null], part))
            if name is not None:
                del left[name]
                if kept:
                    values[name] = _VALUES[kind].format(f"v{len(values)}", scale)
        groups = len(values)
        constants = {name: _constant(field) for name, field in left.items()}
        if _CHANGEABLE in constants.values():
            return None
        values |= {name: f"constants[{name!r}]" for name in constants if wanted is None or name in wanted}
        items = [f"{name!r}: {values[name]}" for field in newest.reading["fields"] if (name := field["name"]) in values]
        make = self._maker(groups, items, constants) if items else _nothing
        return Pattern(re.compile(b"".join(parts), re.DOTALL).fullmatch, make)

    def _maker(self, groups: int, items: list[str], constants: Mapping[str, Any]) -> Callable[[Any], dict[str, Any]]:
        found: dict[str, Any] = {}
        source = _MAKE.format(groups="".join(f"v{n}, " for n in range(groups)), items=", ".join(items))
        # A dict display that is compiled for the schema makes reading a fifth faster than dict(zip(...)) over a list of
        # functions does. All that comes from outside are the names of fields, written as literals.
        exec(source, {**self._names, "constants": constants}, found)  # noqa: S102
        make: Callable[[Sequence[bytes | None]], dict[str, Any]] = found["make"]
        return make


def _becomes(kind: str, null: int | None, scale: int, field: Mapping[str, Any] | None) -> bool:
    """Whether such a value is one of the field as it is; one that another field became already is none."""
    if field is None:
        return False
    to, to_null, to_scale = _kind(field["type"])
    may_be_null = to == "null" or to_null is not None
    if kind == "null":
        return bool(to) and may_be_null
    return (kind == to or (kind, to) == ("int", "long")) and scale == to_scale and (null is None or may_be_null)


def _constant(field: Mapping[str, Any]) -> Any:
    """The default of a field, or _CHANGEABLE where there is none that all messages may share."""
    default = field.get("default", _CHANGEABLE)
    return _CHANGEABLE if isinstance(default, list | dict) else default


def _kind(schema: Any) -> tuple[str, int | None, int]:
    """The name of a primitive type ("" for what is none), which branch is null where it is one of two in a union, and the scale
    of a decimal.
    """
    if isinstance(schema, list):
        null = schema.index("null") if len(schema) == 2 and "null" in schema else None
        return ("", None, 0) if null is None else (_primitive(schema[1 - null]), null, _scale(schema[1 - null]))
    return _primitive(schema), None, _scale(schema)


def _primitive(schema: Any) -> str:
    if isinstance(schema, Mapping):
        if schema["type"] == "bytes" and schema.get("logicalType") == DECIMAL:
            return _DECIMAL
        # What else such an object says changes nothing.
        schema = schema["type"]
    return schema if isinstance(schema, str) and schema in _KEPT and schema != _DECIMAL else ""


def _scale(schema: Any) -> int:
    return decimal_of(schema).scale if isinstance(schema, Mapping) and schema.get("logicalType") == DECIMAL else 0


def _nothing(groups: Sequence[bytes | None]) -> dict[str, Any]:
    return {}


def text(encoded: bytes) -> str:
    """A string of up to 63 bytes."""
    return encoded[1:].decode()


# What the high bits of a varint of six bytes, which is what a time in milliseconds takes, add up to.
_SIX = sum(0x80 << 7 * place for place in range(5))


def integer(encoded: bytes) -> int:
    """An int or a long."""
    if len(encoded) == 6:
        a, b, c, d, e, f = encoded
        number = a + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (f << 35) - _SIX
    else:
        number = shift = 0
        for byte in encoded:
            number |= (byte & 0x7F) << shift
            shift += 7
    return number >> 1 ^ -(number & 1)
