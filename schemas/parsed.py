"""Schemas as fastavro takes them, and what of a schema can be told without a body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro.schema
from fastavro.schema import parse_schema, to_parsing_canonical_form

from eventfold.schemas.bounds import check_bounded
from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.decimals import DecimalType
from eventfold.schemas.defaults import put_values
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.logical import decimal_of, has_choice, is_decimal, put_branches, remembering, resolving, typed, untyped

# RecursionError: of one that is nested as deeply as nobody writes it.
WRONG = (
    fastavro.schema.SchemaParseException,
    fastavro.schema.UnknownType,
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
)
TIMES = ("timestamp-", "local-timestamp-", "time-", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One version of a message, ready to read and write bodies by.

    schema: by which bodies are written, all in Avro's underlying types. reading: by which they are read, with the decimals of
    `schemas.logical`; remembering: the same, with branches that are remembered. resolving: by which they are read as data of
    another version; wanted: as which those of another version are read; chooses: whether that can differ from `schema`, since
    it has a decimal, or a union of more than one type and null. In all but the last but one a default is the value that
    it stands for, which may be shared (`shares`: one of them is a list or a map).
    """

    message: MessageSchema
    schema: Any
    reading: Any
    remembering: Any
    shares: bool
    resolving: Any
    wanted: Any
    chooses: bool

    def __str__(self) -> str:
        return f"{self.message.type} version {self.message.version}"


def parse(message: MessageSchema) -> Parsed:
    """The schema of a message; EventfoldError names its file where it is none, or one that `schemas.bounds` refuses."""
    try:
        _check_lists(message.schema)
        full: Any = parse_schema(dict(message.schema), named_schemas={})
        plain, reading = untyped(full), typed(full)
        known = remembering(reading)
        schema, shares = _with_values(plain)
        read = schema if plain == reading else _with_values(reading)[0]
        remembers = read if known == reading else _with_values(known)[0]
        resolves, wanted = _with_values(resolving(plain))[0], _with_values(known)[0]
        put_branches(wanted)
    except WRONG as error:
        raise EventfoldError(f"{message.path}: not an Avro schema: {error}") from error
    except EventfoldError as error:
        raise EventfoldError(f"{message.path}: {error}") from None
    return Parsed(
        message=message,
        schema=schema,
        reading=read,
        remembering=remembers,
        shares=shares,
        resolving=resolves,
        wanted=wanted,
        chooses=plain != reading or has_choice(plain),
    )


def _with_values(schema: Any) -> tuple[Any, bool]:
    """What fastavro parses, with defaults as values, and whether one of them is shared."""
    named: dict[str, Any] = {}
    parsed: Any = parse_schema(schema, named_schemas=named)
    check_bounded(parsed, named)
    return parsed, bool(put_values(parsed, named))


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
    """The record's own fields that are decimals, alone or in a union."""
    found = {}
    for field in schema["fields"]:
        for branch in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if is_decimal(branch):
                found[field["name"]] = decimal_of(branch)
    return found
