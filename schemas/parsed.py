"""Schemas as fastavro takes them, and what of a schema can be told without a body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import fastavro.schema
from fastavro.schema import parse_schema, to_parsing_canonical_form

from eventfold.schemas.bounds import check_bounded
from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.decimals import DecimalType
from eventfold.schemas.defaults import put_values
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.nested_decimals import bounded

WRONG = (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, KeyError, TypeError, AttributeError, ValueError)
TIMES = ("timestamp-", "local-timestamp-", "time-", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One version of a message, ready to read and write bodies by.

    schema: what fastavro parsed; times and dates, and decimals on bytes that are the record's own fields, are in it what they
    are made of, and a default is the value that it stands for, which may be shared (`shares`: one of them is a list or a
    map). decimals: those own fields. logical: whether logical types are left in it, of which fastavro makes objects.
    """

    message: MessageSchema
    schema: Any
    decimals: Mapping[str, DecimalType]
    shares: bool
    logical: bool

    def __str__(self) -> str:
        return f"{self.message.type} version {self.message.version}"


def parse(message: MessageSchema) -> Parsed:
    """The schema of a message; EventfoldError names its file where it is none, or one that `schemas.bounds` refuses."""
    named: dict[str, Any] = {}
    try:
        _check_lists(message.schema)
        parse_schema(dict(message.schema), named_schemas={})
        plain = _undecimal(underlying(message.schema))
        logical = _untyped(plain, "") != plain
        schema: Any = parse_schema(bounded(plain), named_schemas=named)
        check_bounded(schema, named)
        shares = bool(put_values(schema, named))
        own = decimals(message.schema)
    except WRONG as error:
        raise EventfoldError(f"{message.path}: not an Avro schema: {error}") from error
    except EventfoldError as error:
        raise EventfoldError(f"{message.path}: {error}") from None
    return Parsed(message=message, schema=schema, decimals=own, shares=shares, logical=logical)


def full_names(message: MessageSchema) -> Any:
    """The schema of a message with nothing taken out of it and all names in full; EventfoldError as `parse`."""
    parse(message)
    return parse_schema(dict(message.schema), named_schemas={})


def _check_lists(schema: Any) -> None:
    """EventfoldError for fields that are no list of objects, and aliases that are no list of names: fastavro lets them pass."""
    if isinstance(schema, list):
        for branch in schema:
            _check_lists(branch)
    elif isinstance(schema, Mapping):
        for name, of in (("fields", Mapping), ("aliases", str)):
            if not isinstance(found := schema.get(name, []), list) or not all(isinstance(each, of) for each in found):
                raise EventfoldError(f"not an Avro schema: the {name} of {schema.get('name')!r} are {found!r}")
        for inside in (*schema.get("fields", ()), *(schema[of] for of in ("type", "items", "values") if of in schema)):
            _check_lists(inside)


def fingerprint(message: MessageSchema) -> bytes:
    """The CRC-64-AVRO of the schema's Parsing Canonical Form, 8 bytes, little-endian; EventfoldError as `parse`."""
    try:
        crc = fastavro.schema.fingerprint(to_parsing_canonical_form(dict(message.schema)), "CRC-64-AVRO")
    except WRONG as error:
        raise EventfoldError(f"{message.path}: not an Avro schema: {error}") from error
    # fastavro prints the fingerprint with its bytes in the order in which they are written.
    return bytes.fromhex(crc)


def kinds(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field of a record with its type's name, the logical one where it has one; a union's branches one by one."""
    for field in schema["fields"]:
        for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            kind = branch.get("logicalType", branch["type"]) if isinstance(branch, Mapping) else branch
            if isinstance(kind, str):
                yield field["name"], kind


def type_name(schema: Any) -> str:
    """A type in words, for people: `null or string`, `timestamp-millis`, `array of int`."""
    if isinstance(schema, list):
        return " or ".join(type_name(branch) for branch in schema)
    if not isinstance(schema, Mapping):
        return str(schema)
    if schema["type"] in ("array", "map"):
        return f"{schema['type']} of {type_name(schema.get('items', schema.get('values')))}"
    return str(schema.get("logicalType") or schema.get("name") or schema["type"])


def decimals(schema: Mapping[str, Any]) -> dict[str, DecimalType]:
    """The record's own fields that are decimals on bytes, alone or in a union."""
    found = {}
    for field in schema["fields"]:
        for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if _is_decimal(branch):
                found[field["name"]] = DecimalType(branch["precision"], branch.get("scale", 0))
    return found


def underlying(schema: Any) -> Any:
    """The schema without time types: ints are read and written faster than datetimes, and rows made of them are JSON."""
    return _untyped(schema, TIMES)


def bare(parsed: Parsed) -> Parsed:
    """The same version without any logical type."""
    return parse(replace(parsed.message, schema=_untyped(parsed.message.schema, "")))


def _untyped(schema: Any, logical: str | tuple[str, ...]) -> Any:
    """The schema without the logical types whose names begin so."""
    if isinstance(schema, Mapping):
        left_out = ("logicalType",) if str(schema.get("logicalType", "")).startswith(logical) else ()
        # A default may look like a schema and is none.
        return {of: it if of == "default" else _untyped(it, logical) for of, it in schema.items() if of not in left_out}
    if isinstance(schema, list):
        return [_untyped(branch, logical) for branch in schema]
    return schema


def _is_decimal(schema: Any) -> bool:
    """Whether it is a decimal on bytes; those of a fixed size are fastavro's Decimals."""
    return isinstance(schema, Mapping) and schema.get("logicalType") == "decimal" and schema["type"] == "bytes"


def _undecimal(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The record with bytes where its own fields are decimals."""

    def plain(of: Any) -> Any:
        if isinstance(of, list):
            return [plain(branch) for branch in of]
        return "bytes" if _is_decimal(of) else of

    return {**schema, "fields": [{**field, "type": plain(field["type"])} for field in schema["fields"]]}
