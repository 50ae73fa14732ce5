"""Schemas of a registry that name types of other subjects (Confluent's documentation, "Schema References")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastavro.schema import parse_schema

from eventfold.schemas.errors import DecodeError
from eventfold.schemas.parsed import WRONG


def standing_alone(schema: Any, referenced: Sequence[Any], what: str) -> Any:
    """A schema with the definitions of all types that it names in it; of a union at the top a list of such schemas.

    referenced: the others, each after those that it names itself. what: where the schema comes from, in words. DecodeError when
    it is none, or names what is not there.
    """
    named: dict[str, Any] = {}
    try:
        for other in referenced:
            parse_schema(other, named_schemas=named)
        parsed = parse_schema(schema, named_schemas=named)
    except WRONG as error:
        raise DecodeError(f"{what} is no Avro schema: {error}") from error
    return [_whole(of, named, set()) for of in parsed] if isinstance(parsed, list) else _whole(parsed, named, set())


def _whole(schema: Any, named: Mapping[str, Any], met: set[str]) -> Any:
    """met: the types that are defined so far; each is so once, where it is named first."""
    if isinstance(schema, list):
        return [_whole(branch, named, met) for branch in schema]
    if isinstance(schema, str):
        return schema if schema in met or schema not in named else _whole(named[schema], named, met)
    if (name := schema.get("name")) is not None:
        if name in met:
            return name
        met.add(name)
    # What fastavro notes for itself begins so.
    found = {of: it for of, it in schema.items() if not of.startswith("__")}
    if "fields" in found:
        found["fields"] = [{**field, "type": _whole(field["type"], named, met)} for field in found["fields"]]
    return found | {of: _whole(found[of], named, met) for of in ("items", "values") if of in found}
