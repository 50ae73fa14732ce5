"""Whether one version can be read as another by Avro's rules, and if not, which fields stand in the way.

The Apache Avro library judges. It tells where only by numbers, so each field is asked about by itself. Logical types it
looks through: timestamp-millis would be read as timestamp-micros, a decimal by another scale. These are compared here.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityType,
    lookup_writer_field,
    schema_name_equals,
)
from avro.errors import AvroException, AvroRuntimeException
from avro.schema import ArraySchema, EnumSchema, FixedSchema, MapSchema, NamedSchema, RecordSchema, Schema, UnionSchema, parse

from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.parsed import type_name

_LOGICAL = ("logicalType", "precision", "scale")


def unreadable(reader: MessageSchema, writer: MessageSchema) -> list[str]:
    """Why the version `reader` cannot read what `writer` wrote, a sentence a field; empty where it can.

    A field whose logical type differs cannot be read either: what was written would be taken for something else. A decimal
    may have more digits, of the same scale. EventfoldError as `parsed`.
    """
    new, old = apache(reader), apache(writer)
    pair = _Pair(writer.path.name)
    found = list(pair.of(new, old, ""))
    if not found and not pair.reads(new, old):
        found.append(f"it cannot read what was written with {writer.path.name}")
    return found


def apache(message: MessageSchema) -> Schema:
    """A version as the Apache Avro library has it; EventfoldError names the file of one that it refuses."""
    with warnings.catch_warnings():
        # It says of logical types that it does not know that it looks through them.
        warnings.simplefilter("ignore")
        try:
            return parse(json.dumps(message.schema))
        # What is no text where it should be, it looks up in dicts.
        except (AvroException, TypeError, AttributeError, KeyError, ValueError) as error:
            raise EventfoldError(f"{message.path}: the Apache Avro library refuses it: {error}") from error


class _Pair:
    """Walks through two schemas at once; `other` is what the writer's is called."""

    def __init__(self, other: str) -> None:
        self._other = other
        self._checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]

    def of(self, reader: Schema, writer: Schema, path: str) -> Iterator[str]:
        """What is wrong below `path`; all that the library finds incompatible gives one sentence or more."""
        if isinstance(writer, UnionSchema) or isinstance(reader, UnionSchema):
            yield from self._of_branches(reader, writer, path)
        elif isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema) and schema_name_equals(reader, writer):
            yield from self._of_fields(reader, writer, path)
        elif isinstance(reader, ArraySchema) and isinstance(writer, ArraySchema):
            yield from self.of(reader.items, writer.items, f"{path}[]")
        elif isinstance(reader, MapSchema) and isinstance(writer, MapSchema):
            yield from self.of(reader.values, writer.values, f"{path}{{}}")
        elif not self.reads(reader, writer):
            yield self._mismatch(reader, writer, path)
        elif not _same_meaning(logical := _logical(reader), was := _logical(writer)):
            what = f"{_field(path)} is {_shown(reader, logical)}, but {_shown(writer, was)} in {self._other}"
            yield f"{what}, and would be read as if it was the same: give what is new a name of its own, and an upcaster"

    def reads(self, reader: Schema, writer: Schema) -> bool:
        """What the library says of all that lies in the two; of what it does not know, no."""
        try:
            found = self._checker.get_compatibility(reader, writer)
        except AvroRuntimeException:
            return False
        return found.compatibility is SchemaCompatibilityType.compatible

    def _of_fields(self, reader: RecordSchema, writer: RecordSchema, path: str) -> Iterator[str]:
        for field in reader.fields:
            inner = f"{path}.{field.name}" if path else field.name
            was = lookup_writer_field(writer_schema=writer, reader_field=field)
            if was is not None:
                yield from self.of(field.type, was.type, inner)
            elif not field.has_default:
                yield f"{_field(inner)} has no default, but {self._other} does not have it"

    def _of_branches(self, reader: Schema, writer: Schema, path: str) -> Iterator[str]:
        wanted = reader.schemas if isinstance(reader, UnionSchema) else [reader]
        for branch in writer.schemas if isinstance(writer, UnionSchema) else [writer]:
            same = [each for each in wanted if _same_kind(each, branch)]
            fit = next((each for each in (*same, *wanted) if self.reads(each, branch)), None)
            if fit is not None:
                yield from self.of(fit, branch, path)
            elif same:
                yield from self.of(same[0], branch, path)
            else:
                yield self._mismatch(reader, writer, path)
                return

    def _mismatch(self, reader: Schema, writer: Schema, path: str) -> str:
        if isinstance(reader, EnumSchema) and isinstance(writer, EnumSchema) and schema_name_equals(reader, writer):
            lost = ", ".join(symbol for symbol in writer.symbols if symbol not in reader.symbols)
            return f"{_field(path)} has lost {lost}, which {self._other} has: keep it, or give the enum a default symbol"
        if isinstance(reader, FixedSchema) and isinstance(writer, FixedSchema) and reader.size != writer.size:
            return f"{_field(path)} has {reader.size} bytes, but {writer.size} in {self._other}"
        mine, its = type_name(reader.to_json()), type_name(writer.to_json())
        return f"{_field(path)} is {mine}, but {its} in {self._other}, which cannot be read as that"


def _same_kind(reader: Schema, writer: Schema) -> bool:
    if isinstance(reader, NamedSchema) and isinstance(writer, NamedSchema):
        return bool(reader.type == writer.type and schema_name_equals(reader, writer))
    return bool(reader.type == writer.type)


def _logical(schema: Schema) -> Mapping[str, Any]:
    return {name: schema.props[name] for name in _LOGICAL if name in schema.props}


def _same_meaning(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> bool:
    if reader.get("logicalType") != writer.get("logicalType"):
        return False
    if reader.get("logicalType") != "decimal":
        return True
    (digits, scale), (before, was) = _size(reader), _size(writer)
    return scale == was and digits >= before


def _size(decimal: Mapping[str, Any]) -> tuple[int, int]:
    """Precision and scale; 0 for what is no number, of which no library makes a decimal."""
    digits, scale = (decimal.get(of, 0) for of in ("precision", "scale"))
    return (digits if isinstance(digits, int) else 0), (scale if isinstance(scale, int) else 0)


def _shown(schema: Schema, logical: Mapping[str, Any]) -> str:
    if logical.get("logicalType") == "decimal":
        return "decimal({}, {})".format(*_size(logical))
    return type_name(schema.to_json())


def _field(path: str) -> str:
    return f"the field {path!r}" if path else "the record"
