"""Avro single-object encoding: the bytes of a message carry the fingerprint of the schema they were written with.

Format: `C3 01`, the 8-byte little-endian CRC-64-AVRO of the schema's Parsing Canonical Form, the Avro body
(Avro specification, "Single-object encoding"). This is the only file that imports fastavro.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
from fastavro.validation import validate

from schemas.catalog import Catalog, MessageSchema
from schemas.decimals import DecimalType, from_bytes, to_bytes
from schemas.errors import DecodeError, LogfoldError, UsageError
from schemas.message import Message
from schemas.pattern import Pattern, Patterns
from schemas.times import FIRST_DAY, FIRST_MS, LAST_DAY, LAST_MS, day, iso, iso_day, millis

MARKER = b"\xc3\x01"
_HEADER = 10
# Avro's int has 32 bits; a time or date that no calendar shows (years 1 to 9999) would stop every fold that reads it.
_RANGES = {
    "int": (-(2**31), 2**31 - 1),
    "date": (FIRST_DAY, LAST_DAY),
    "timestamp-millis": (FIRST_MS, LAST_MS),
    "timestamp-micros": (FIRST_MS * 1000, LAST_MS * 1000 + 999),
}
_TEXTS: dict[str, Callable[[str], int]] = {"date": day, "timestamp-millis": millis}
_SHOWN: dict[str, Callable[[int], str]] = {"date": iso_day, "timestamp-millis": iso}
_Bound = tuple[str, int, int]
_Decimals = Mapping[str, DecimalType]
Decode = Callable[[bytes | None], tuple[str, dict[str, Any]] | None]
# What a NamedTuple's own constructor does, in a third of the time; it runs once an event.
_message: Callable[[tuple[str, Any]], Message] = partial(tuple.__new__, Message)
# What fastavro raises on bytes that are not of the schema; MemoryError comes from a length that cannot be.
_BAD_BODY = (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError, StopIteration)


class Codec:
    """Encodes with the newest version of a type, decodes every version in the catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._writers: dict[str, tuple[bytes, Any, list[_Bound], _Decimals]] = {}
        self._texts: dict[str, dict[str, Callable[[str], int]]] = {}
        self._readers: dict[bytes, tuple[str, Any, _Decimals]] = {}
        self._shown: dict[bytes, dict[str, Callable[[int], str]]] = {}
        newest: dict[str, int] = {}
        for message in catalog.schemas:
            header, schema = _compile(message)
            decimals = _decimals(message.schema)
            self._readers[header] = (message.type, schema, decimals)
            self._shown[header] = {name: _SHOWN[kind] for name, kind in _kinds(message.schema) if kind in _SHOWN}
            self._shown[header] |= {name: of.text for name, of in decimals.items()}
            if message.version > newest.get(message.type, 0):
                newest[message.type] = message.version
                self._writers[message.type] = (header, schema, _bounds(message.schema), decimals)
                self._texts[message.type] = {name: _TEXTS[kind] for name, kind in _kinds(message.schema) if kind in _TEXTS}
                self._texts[message.type] |= {name: of.parse for name, of in decimals.items()}

    def encode(self, type_: str, data: Mapping[str, Any]) -> bytes:
        """The bytes of a message in the newest version of its type.

        UsageError when the catalog has no such type, or naming the field that does not fit it: another type, an int
        beyond 32 bits, a time or date beyond the years 1 to 9999, a decimal with more digits than its precision.
        """
        try:
            header, schema, bounds, decimals = self._writers[type_]
        except KeyError:
            raise UsageError(f"no schema is called {type_!r}; there are: {', '.join(sorted(self._writers))}") from None
        body = BytesIO(header)
        body.seek(_HEADER)
        try:
            for name, low, high in bounds:
                number = data.get(name)
                if number.__class__ is int and not low <= number <= high:
                    raise UsageError(f"{type_}: the field {name!r} must lie between {low} and {high}, not {number}")
            packed = _packed(type_, data, decimals) if decimals else data
            schemaless_writer(body, schema, packed, strict_allow_default=True)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise UsageError(f"{type_}: {_what_is_wrong(self.catalog.newest(type_).schema, data, error)}") from error
        return body.getvalue()

    def from_json(self, type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The data with times, dates and decimals, which JSON has as text (RFC 3339; `100.00`), as the ints that a message
        holds; what is an int already stays as it is. UsageError names the field whose text is none.
        """
        parsed = dict(data)
        for name, read in self._texts.get(type_, {}).items():
            if isinstance(parsed.get(name), str):
                try:
                    parsed[name] = read(parsed[name])
                except UsageError as error:
                    raise UsageError(f"{type_}: the field {name!r}: {error}") from None
        return parsed

    def decode(self, value: bytes | None) -> Message:
        """The message in `value`, in the version it was written with.

        DecodeError for a missing or foreign marker, an unknown fingerprint, a cut or overlong body.
        """
        message = self.decode_wanted(value, None)
        assert message is not None
        return message

    def shown(self, value: bytes | None) -> Message:
        """As `decode`, but with data that is JSON for people: times, dates and decimals (with all their digits, `100.0000`) of
        the record's own fields, not of records inside of it, as the text that `from_json` reads; bytes as Avro's JSON has
        them, a character a byte.
        """
        message = self.decode(value)
        assert value is not None
        data: dict[str, Any] = _json(message.data)
        for name, text in self._shown[value[:_HEADER]].items():
            with suppress(ValueError, OverflowError, IndexError):  # a number that no calendar shows stays one
                if data[name].__class__ is int:
                    data[name] = text(data[name])
        return _message((message.type, data))

    def decode_wanted(self, value: bytes | None, wanted: Container[str] | None) -> Message | None:
        """As `decode`, but None for a type that is not wanted, whose body is not looked at; None wants all."""
        if value is None:
            raise DecodeError("the record has no value")
        found = self._readers.get(value[:_HEADER])
        if found is None:
            raise DecodeError(_why_unknown(value))
        type_, schema, decimals = found
        if wanted is not None and type_ not in wanted:
            return None
        body = BytesIO(value)
        body.seek(_HEADER)
        try:
            data: Any = schemaless_reader(body, schema, None)
        except _BAD_BODY as error:
            raise DecodeError(f"the body is not a {type_}: {type(error).__name__} {error}".rstrip()) from error
        if body.tell() != len(value):
            raise DecodeError(f"{len(value) - body.tell()} bytes too many after a {type_}")
        if decimals:
            for name in decimals:
                if data[name].__class__ is bytes:
                    data[name] = from_bytes(data[name])
        return _message((type_, data))

    def reader(self, wanted: Mapping[str, Collection[str] | None]) -> Decode:
        """A function like `decode_wanted`, several times as fast, for messages of which only some fields are read.

        It returns the same, but as a plain pair of type and data, since it is called once an event.
        wanted: which fields of each type the data holds, those of them that the version it was written with has; None for
        all. What is left out is checked as if it was read. UsageError for a field that no version of its type has.
        It remembers what it decoded (see schemas.pattern), so each thread needs its own.
        """
        fields = {type_: self._checked(type_, names) for type_, names in wanted.items()}
        patterns = Patterns()
        fast: dict[bytes, tuple[str, Pattern]] = {}
        for header, (type_, schema, decimals) in self._readers.items():
            if type_ in fields and (pattern := patterns.of(schema, fields[type_], decimals)) is not None:
                fast[header] = (type_, pattern)
        slow = self.decode_wanted

        def read(value: bytes | None) -> tuple[str, dict[str, Any]] | None:
            if value is not None and (found := fast.get(value[:_HEADER])) is not None:
                type_, (match, make) = found
                body = match(value, _HEADER)
                if body is not None:
                    try:
                        return type_, make(body.groups())
                    except UnicodeDecodeError:
                        pass
            message = slow(value, fields)
            if message is None or (names := fields[message.type]) is None:
                return message
            return message.type, {name: of for name, of in message.data.items() if name in names}

        return read

    def _checked(self, type_: str, names: Collection[str] | None) -> frozenset[str] | None:
        """Fields that are wanted of a type; one that the catalog does not have at all is nobody's mistake."""
        if names is None:
            return None
        versions = [message.schema for message in self.catalog.schemas if message.type == type_]
        there = {field["name"] for schema in versions for field in schema["fields"]}
        missing = sorted(set(names) - there)
        if versions and missing:
            raise UsageError(f"{type_} has no field {missing[0]!r}; it has: {', '.join(sorted(there))}")
        return frozenset(names)


def _compile(message: MessageSchema) -> tuple[bytes, Any]:
    """The first ten bytes of such messages, and the schema to read and write them by."""
    try:
        parse_schema(dict(message.schema), named_schemas={})
        schema = parse_schema(_undecimal(_underlying(message.schema)), named_schemas={})
        crc = fingerprint(to_parsing_canonical_form(dict(message.schema)), "CRC-64-AVRO")
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, KeyError, TypeError) as error:
        raise LogfoldError(f"{message.path}: not an Avro schema: {error}") from error
    # fastavro prints the fingerprint with its bytes in the order in which they are written.
    return MARKER + bytes.fromhex(crc), schema


def _kinds(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field of a record with its type's name, the logical one where it has one; a union's branches one by one."""
    for field in schema["fields"]:
        for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            kind = branch.get("logicalType", branch["type"]) if isinstance(branch, Mapping) else branch
            if isinstance(kind, str):
                yield field["name"], kind


def _bounds(schema: Mapping[str, Any]) -> list[_Bound]:
    """The fields of a record whose numbers have bounds that fastavro does not check."""
    return [(name, *_RANGES[kind]) for name, kind in _kinds(schema) if kind in _RANGES]


def _underlying(schema: Any) -> Any:
    """The schema without time types: ints are read and written faster than datetimes, and rows made of them are JSON."""
    if isinstance(schema, Mapping):
        timed = str(schema.get("logicalType", "")).startswith(("timestamp-", "local-timestamp-", "time-", "date"))
        return {k: _underlying(v) for k, v in schema.items() if not (timed and k == "logicalType")}
    if isinstance(schema, list):
        return [_underlying(branch) for branch in schema]
    return schema


def _is_decimal(schema: Any) -> bool:
    """Whether it is a decimal on bytes; those of a fixed size are fastavro's Decimals."""
    return isinstance(schema, Mapping) and schema.get("logicalType") == "decimal" and schema["type"] == "bytes"


def _decimals(schema: Mapping[str, Any]) -> dict[str, DecimalType]:
    """The record's own fields that are decimals, alone or in a union."""
    found = {}
    for field in schema["fields"]:
        for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if _is_decimal(branch):
                found[field["name"]] = DecimalType(branch["precision"], branch.get("scale", 0))
    return found


def _undecimal(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The record with bytes where its own fields are decimals."""

    def plain(of: Any) -> Any:
        if isinstance(of, list):
            return [plain(branch) for branch in of]
        return "bytes" if _is_decimal(of) else of

    return {**schema, "fields": [{**field, "type": plain(field["type"])} for field in schema["fields"]]}


def _packed(type_: str, data: Mapping[str, Any], decimals: _Decimals) -> dict[str, Any]:
    """The data with its decimals as bytes. Bytes are no decimal, though they would be written without a word."""
    packed = dict(data)
    for name, of in decimals.items():
        number = packed.get(name)
        if number.__class__ is int:
            if not -of.limit < number < of.limit:
                raise UsageError(f"{type_}: the field {name!r} has more than {of.precision} digits: {number}")
            packed[name] = to_bytes(number)
        elif isinstance(number, bytes | bytearray):
            raise TypeError(f"{name!r} is bytes")
    return packed


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value) if isinstance(value, Decimal | UUID) else value


def _why_unknown(value: bytes) -> str:
    if len(value) < _HEADER:
        return f"{len(value)} bytes are too few for an Avro single-object message"
    if value[:2] != MARKER:
        return f"not Avro single-object encoding: it starts with {value[:2].hex(' ')}, not c3 01"
    return f"no schema in the catalog has the fingerprint {value[2:_HEADER].hex()}"


def _what_is_wrong(schema: Mapping[str, Any], data: Mapping[str, Any], error: Exception) -> str:
    fields = {field["name"]: field for field in schema["fields"]}
    wrong = [f"there is no field {name!r}" for name in data if name not in fields]
    decimals = _decimals(schema)
    for name, field in fields.items():
        if name not in data:
            if "default" not in field:
                wrong.append(f"the field {name!r} is missing")
        elif not _fits(data[name], field["type"], name in decimals):
            wrong.append(f"the field {name!r} must be {_type_name(field['type'])}, not {data[name]!r}")
    return "; ".join(wrong) or f"{type(error).__name__} {error}"


def _fits(value: Any, schema: Any, decimal: bool) -> bool:
    if decimal and isinstance(value, int | bytes | bytearray | Decimal):
        return value.__class__ is int
    return bool(validate(value, _underlying(schema), raise_errors=False))


def _type_name(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(_type_name(branch) for branch in schema)
    if isinstance(schema, Mapping):
        return str(schema.get("logicalType") or schema.get("name") or schema["type"])
    return str(schema)
