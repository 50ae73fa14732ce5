"""The defaults of a schema as values: fastavro hands out the JSON that they are written in.

That is text for bytes, a record without the defaults of its own fields, and one list for all messages. And it takes many a
default that is none of its field's type, which an older message would be read with.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eventfold.schemas.decimals import from_bytes
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.logical import DECIMAL, decimal_of

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
_BITS = {"int": 31, "long": 63}
Takes = Callable[[Mapping[str, Any], Any], bool]
"""Whether a type that is an object, of a logical type maybe, takes the value that a default stands for."""


def put_values(schema: Any, named: Mapping[str, Any]) -> int:
    """Put the values that they stand for in place of all defaults; how many of them are lists or maps.

    schema: parsed by fastavro, and changed. named: its named types. EventfoldError names the field whose default is none of its
    type.
    """
    if isinstance(schema, list):
        return sum(put_values(branch, named) for branch in schema)
    if not isinstance(schema, Mapping):
        return 0
    shared = sum(put_values(schema[of], named) for of in ("items", "values") if of in schema)
    for field in schema.get("fields", ()):
        shared += put_values(field["type"], named)
        if "default" in field:
            try:
                field["default"] = value_of(field["type"], field["default"], named)
            except ValueError:
                what = f"the default of the field {field['name']!r} is none of its type: {field['default']!r}"
                raise EventfoldError(what) from None
            shared += isinstance(field["default"], list | dict)
    return shared


def _kind(schema: Any, named: Mapping[str, Any]) -> str:
    of = named.get(schema, schema) if isinstance(schema, str) else schema
    return str(of["type"] if isinstance(of, Mapping) else of)


def value_of(schema: Any, default: Any, named: Mapping[str, Any], takes: Takes | None = None) -> Any:
    """What a default in JSON stands for (Avro specification, "Complex types", the table of defaults); ValueError if nothing, or
    where a type does not take it.
    """
    if isinstance(schema, list):
        return _of_a_branch(schema, default, named, takes)
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    kind = _kind(schema, named)
    if not _fits(schema, kind, default):
        raise ValueError(default)
    value = _value(schema, kind, default, named, takes)
    if takes is not None and isinstance(schema, Mapping) and not takes(schema, value):
        raise ValueError(default)
    return value


def _value(schema: Any, kind: str, default: Any, named: Mapping[str, Any], takes: Takes | None) -> Any:
    match kind:
        case "bytes" | "fixed":
            encoded = default.encode("latin-1")
            is_ours = isinstance(schema, Mapping) and schema.get("logicalType") == DECIMAL
            return decimal_of(schema).number(from_bytes(encoded)) if is_ours else encoded
        case "float":
            # As it is read once it was written.
            rounded: float = struct.unpack("f", struct.pack("f", default))[0]
            if takes is not None and math.isinf(rounded):
                raise ValueError(default)
            return rounded
        case "double":
            return float(default)
        case "array":
            return [value_of(schema["items"], item, named, takes) for item in default]
        case "map":
            return {key: value_of(schema["values"], item, named, takes) for key, item in default.items()}
        case "record" | "error":
            return {field["name"]: _of_a_field(field, default, named, takes) for field in schema["fields"]}
    return default


def _fits(schema: Any, kind: str, default: Any) -> bool:
    """Whether the default itself, not what it may consist of, is of a kind."""
    fits = isinstance(default, _JSON[kind]) and (kind == "boolean" or not isinstance(default, bool))
    if fits and kind in _BITS:
        fits = -(2 ** _BITS[kind]) <= default < 2 ** _BITS[kind]
    elif fits and kind == "enum":
        fits = default in schema["symbols"]
    elif fits and kind == "fixed":
        fits = len(default) == schema["size"]
    return fits


def _of_a_branch(branches: Sequence[Any], default: Any, named: Mapping[str, Any], takes: Takes | None) -> Any:
    """Since Avro 1.12 a default may be of any branch, before of the first one only; a number is a double before a float."""
    for branch in sorted(branches, key=lambda of: _kind(of, named) == "float"):
        try:
            return value_of(branch, default, named, takes)
        except ValueError:
            continue
    raise ValueError(default)


def _of_a_field(field: Mapping[str, Any], record: Mapping[str, Any], named: Mapping[str, Any], takes: Takes | None) -> Any:
    if field["name"] in record:
        return value_of(field["type"], record[field["name"]], named, takes)
    if "default" not in field:
        raise ValueError(record)
    # Those of a field's type were put in place before its own.
    return field["default"]
