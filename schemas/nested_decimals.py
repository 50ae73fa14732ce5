"""Decimals on bytes that are no field of the record itself, which fastavro makes `Decimal`s of.

It does so in a time that grows with the square of their length: minutes for a megabyte. So what is longer than any number that
the precision allows is refused, with room for padding. They are a logical type of their own for that (fastavro, "Custom
Logical Types"), so that nothing changes for others who use fastavro in the same process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastavro.read import LOGICAL_READERS
from fastavro.write import LOGICAL_WRITERS

_TYPE = "eventfold-decimal"
_PADDED = 1_024
_read, _write = LOGICAL_READERS["bytes-decimal"], LOGICAL_WRITERS["bytes-decimal"]


def bounded(schema: Any) -> Any:
    """The schema with such decimals in place of Avro's; ValueError when a longer one is read than 1,024 bytes, or than half a
    byte a digit where the precision is greater.
    """
    if isinstance(schema, list):
        return [bounded(branch) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    # A default may look like a schema and is none.
    found = {of: it if of == "default" else bounded(it) for of, it in schema.items()}
    if schema.get("logicalType") == "decimal" and schema["type"] == "bytes":
        found["logicalType"] = _TYPE
    return found


def _bounded_read(data: bytes, writer_schema: Any = None, reader_schema: Any = None) -> Any:
    most = max(_PADDED, writer_schema["precision"] // 2 + 1)
    if len(data) > most:
        raise ValueError(f"a decimal of {len(data)} bytes, where {most} are enough for its {writer_schema['precision']} digits")
    return _read(data, writer_schema, reader_schema)


LOGICAL_READERS[f"bytes-{_TYPE}"] = _bounded_read
LOGICAL_WRITERS[f"bytes-{_TYPE}"] = _write
