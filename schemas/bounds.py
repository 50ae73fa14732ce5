"""Schemas of which a few bytes could take a process down are refused before anything is read by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventfold.schemas.errors import EventfoldError


def check_bounded(schema: Any, named: Mapping[str, Any]) -> None:
    """EventfoldError for a record that lies in itself, and for an array of what takes no bytes (null, a record without fields).

    fastavro reads the first on the C stack and dies of a deep one; of the second a few bytes can claim 2^62 items.
    schema: parsed by fastavro. named: its named types.
    """
    _least(schema, named, {})


def _least(schema: Any, named: Mapping[str, Any], sizes: dict[str, int | None]) -> int:
    """How many bytes a value takes at least. sizes: of the records, None while one is looked at."""
    if isinstance(schema, list):
        return 1 + min((_least(branch, named, sizes) for branch in schema), default=0)
    if isinstance(schema, str):
        schema = named.get(schema, {"type": schema})
    match schema["type"]:
        case "null":
            return 0
        case "fixed":
            return int(schema["size"])
        case "array":
            if not _least(schema["items"], named, sizes):
                raise EventfoldError("the items of an array take no bytes, so that a few bytes could claim any number of them")
        case "map":
            _least(schema["values"], named, sizes)
        case "record" | "error":
            return _least_of_record(schema, named, sizes)
    return 1


def _least_of_record(schema: Mapping[str, Any], named: Mapping[str, Any], sizes: dict[str, int | None]) -> int:
    name = schema["name"]
    if name not in sizes:
        sizes[name] = None
        sizes[name] = sum([_least(field["type"], named, sizes) for field in schema["fields"]])
    size = sizes[name]
    if size is None:
        raise EventfoldError(f"the record {name!r} lies in itself; messages of such a schema cannot be read safely")
    return size
