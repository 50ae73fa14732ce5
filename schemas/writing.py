"""Writes bodies of one version of a message, and says which field does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer
from fastavro.validation import validate

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.decimals import to_bytes
from eventfold.schemas.errors import UsageError
from eventfold.schemas.framing import SingleObject
from eventfold.schemas.parsed import Parsed, decimals, kinds, parse, type_name, underlying
from eventfold.schemas.times import FIRST_DAY, FIRST_MS, LAST_DAY, LAST_MS

# Avro's int has 32 bits; a time or date that no calendar shows (years 1 to 9999) would stop every fold that reads it.
_RANGES = {
    "int": (-(2**31), 2**31 - 1),
    "date": (FIRST_DAY, LAST_DAY),
    "timestamp-millis": (FIRST_MS, LAST_MS),
    "timestamp-micros": (FIRST_MS * 1000, LAST_MS * 1000 + 999),
}


class Writer:
    """Writes messages of one version."""

    def __init__(self, parsed: Parsed) -> None:
        self._parsed = parsed
        # Fields whose numbers have bounds that fastavro does not check.
        self._bounds = [(name, *_RANGES[kind]) for name, kind in kinds(parsed.message.schema) if kind in _RANGES]

    def write(self, header: bytes, data: Mapping[str, Any]) -> bytes:
        """The header and the body; UsageError names the field that does not fit, as `schemas.codec.Codec.encode` has it."""
        parsed, type_ = self._parsed, self._parsed.message.type
        body = BytesIO(header)
        body.seek(len(header))
        try:
            for name, low, high in self._bounds:
                number = data.get(name)
                if number.__class__ is int and not low <= number <= high:
                    raise UsageError(f"{type_}: the field {name!r} must lie between {low} and {high}, not {number}")
            packed = _packed(parsed, data) if parsed.decimals else data
            schemaless_writer(body, parsed.schema, packed, strict_allow_default=True)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise UsageError(f"{type_}: {_what_is_wrong(parsed.message.schema, data, error)}") from error
        return body.getvalue()


def _packed(parsed: Parsed, data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with its decimals as bytes. Bytes are no decimal, though they would be written without a word."""
    packed = dict(data)
    for name, of in parsed.decimals.items():
        number = packed.get(name)
        if number.__class__ is int:
            if not -of.limit < number < of.limit:
                raise UsageError(f"{parsed.message.type}: the field {name!r} has more than {of.precision} digits: {number}")
            packed[name] = to_bytes(number)
        elif isinstance(number, bytes | bytearray):
            raise TypeError(f"{name!r} is bytes")
    return packed


def _what_is_wrong(schema: Mapping[str, Any], data: Mapping[str, Any], error: Exception) -> str:
    fields = {field["name"]: field for field in schema["fields"]}
    wrong = [f"there is no field {name!r}" for name in data if name not in fields]
    own = decimals(schema)
    for name, field in fields.items():
        if name not in data:
            if "default" not in field:
                wrong.append(f"the field {name!r} is missing")
        elif not _fits(data[name], field["type"], name in own):
            wrong.append(f"the field {name!r} must be {type_name(field['type'])}, not {data[name]!r}")
    return "; ".join(wrong) or f"{type(error).__name__} {error}"


def _fits(value: Any, schema: Any, decimal: bool) -> bool:
    if decimal and isinstance(value, int | bytes | bytearray | Decimal):
        return value.__class__ is int
    return bool(validate(value, underlying(schema), raise_errors=False))


def written(catalog: Catalog, type: str, version: int, data: Mapping[str, Any]) -> bytes:
    """The bytes of a message in single-object encoding, as whoever had this version wrote it.

    UsageError when there is no such version, or naming the field that does not fit it.
    """
    versions = {message.version: message for message in catalog.versions(type)}
    if version not in versions:
        raise UsageError(f"{type} has no version {version}; there are: {', '.join(map(str, versions))}")
    message = versions[version]
    return Writer(parse(message)).write(SingleObject(catalog).header(message), data)
