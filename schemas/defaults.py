"""The defaults of a schema as values: fastavro hands out the JSON that they are written in.

That is text for bytes, a record without the defaults of its own fields, and one list for all messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the JSON of a default is.
_JSON: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    **dict.fromkeys(("int", "long"), (int,)),
    **dict.fromkeys(("float", "double"), (int, float)),
    **dict.fromkeys(("string", "bytes", "fixed", "enum"), (str,)),
    "array": (list,),
    **dict.fromkeys(("map", "record", "error"), (dict,)),
}


def put_values(schema: Any, named: Mapping[str, Any]) -> int:
    """Put the values that they stand for in place of all defaults; how many of them are lists or maps.

    schema: parsed by fastavro, and changed. named: its named types.
    """
    if isinstance(schema, list):
        return sum(put_values(branch, named) for branch in schema)
    if not isinstance(schema, Mapping):
        return 0
    shared = sum(put_values(schema[of], named) for of in ("items", "values") if of in schema)
    for field in schema.get("fields", ()):
        shared += put_values(field["type"], named)
        if "default" in field:
            field["default"] = _value(field["type"], field["default"], named)
            shared += isinstance(field["default"], list | dict)
    return shared


def _kind(schema: Any, named: Mapping[str, Any]) -> str:
    of = named.get(schema, schema) if isinstance(schema, str) else schema
    return str(of["type"] if isinstance(of, Mapping) else of)


def _value(schema: Any, default: Any, named: Mapping[str, Any]) -> Any:
    """What a default in JSON stands for (Avro specification, "Complex types", the table of defaults)."""
    if isinstance(schema, list):
        # Since Avro 1.12 a default may be of any branch, before of the first one only.
        fits = (branch for branch in schema if isinstance(default, _JSON.get(_kind(branch, named), ())))
        return _value(next(fits, None), default, named)
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    match _kind(schema, named):
        case "bytes" | "fixed" if isinstance(default, str):
            return default.encode("latin-1")
        case "float" | "double" if default.__class__ is int:
            return float(default)
        case "array" if isinstance(default, list):
            return [_value(schema["items"], item, named) for item in default]
        case "map" if isinstance(default, dict):
            return {key: _value(schema["values"], item, named) for key, item in default.items()}
        case "record" | "error" if isinstance(default, dict):
            given = {field["name"]: default.get(field["name"], field.get("default")) for field in schema["fields"]}
            return {field["name"]: _value(field["type"], given[field["name"]], named) for field in schema["fields"]}
    return default
