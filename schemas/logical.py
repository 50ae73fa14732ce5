"""What fastavro makes of a body beyond Avro's underlying types: Decimals, and values that remember their branch of a union.

fastavro's own logical types are left out. A text that is no UUID, or a number that no calendar shows, would be an error there,
and what was once written is to be read. Its decimals are rounded to their precision, and take a time that grows with the square
of their length: minutes for a megabyte. So what is longer than any number that the precision allows is refused, with room for
padding. Ours are logical types of their own (fastavro, "Custom Logical Types"), so that nothing changes for others who use
fastavro in the same process.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from fastavro.read import LOGICAL_READERS

from eventfold.schemas.branches import alike, tagged
from eventfold.schemas.decimals import DecimalType, from_bytes

DECIMAL = "eventfold-decimal"
_BRANCH = "eventfold-branch"
_RESOLVED, _UNION = "eventfold-resolved", "eventfold-union"
_PADDED = 1_024
_PROMOTED = ("int", "long", "float", "double", "string", "bytes")
_HELD: Mapping[str, type] = {
    "null": type(None),
    "boolean": bool,
    **dict.fromkeys(("int", "long"), int),
    **dict.fromkeys(("float", "double"), float),
    **dict.fromkeys(("string", "enum"), str),
    **dict.fromkeys(("bytes", "fixed"), bytes),
    "array": list,
    **dict.fromkeys(("map", "record", "error"), dict),
}


def untyped(schema: Any) -> Any:
    """The schema without logical types, by which bodies are written."""
    return _mapped(schema, _untyped)


def typed(schema: Any) -> Any:
    """The schema by which bodies are read: with our decimals in place of Avro's, and without other logical types.

    A ValueError is raised when a longer decimal is read than 1,024 bytes, or than half a byte a digit where the precision is
    greater.
    """
    return _mapped(schema, _typed)


def remembering(schema: Any) -> Any:
    """What `typed` made of a schema with full names, so that what is read remembers its branch where a union needs that."""
    parts = list(_parts(schema))
    named = {of["name"]: of for of in parts if isinstance(of, Mapping) and "name" in of}
    alike_ = [_alike(of, named) for of in parts if isinstance(of, list)]
    names = named.keys() & frozenset[str]().union(*alike_)

    def marked(of: Any) -> Any:
        if isinstance(of, list):
            unclear = _alike(of, named) - named.keys()
            return [_marked(branch) if _name(branch) in unclear else branch for branch in of]
        return _marked(of) if isinstance(of, Mapping) and of.get("name") in names else of

    return _mapped(schema, marked)


def resolving(schema: Any) -> Any:
    """What `untyped` made of a writer's schema, so that what is read by it as a reader's has the right branch of a union.

    Avro's rules take the first branch that a value can become (Avro specification, "Schema Resolution"): of a float and a long
    every long would be a float, of text and bytes all would be text. Here the branch of the same type comes before those (see
    `put_branches`). A writer's defaults mean nothing to a reader.
    """
    return _mapped(schema, _resolving)


def put_branches(schema: Any) -> None:
    """Let each branch of a union, of a reader's schema for `resolving`, know the others by their types.

    schema: what `remembering` made, parsed by fastavro, and changed. Parsed before, since of an object it takes fewer defaults.
    """
    for union in [of for of in _parts(schema) if isinstance(of, list)]:
        whole = [{"type": of} if isinstance(of, str) and of in _PROMOTED else of for of in union]
        by_type = {of["type"]: of for of in whole if isinstance(of, Mapping) and of["type"] in _PROMOTED}
        union[:] = [{**of, _UNION: by_type} if isinstance(of, Mapping) and of["type"] in by_type else of for of in whole]


def _mapped(schema: Any, change: Callable[[Any], Any]) -> Any:
    """The schema in which each part of it is changed, the innermost ones first."""
    if isinstance(schema, list):
        return change([_mapped(branch, change) for branch in schema])
    if not isinstance(schema, Mapping):
        return change(schema)
    # The marks are what fastavro leaves in a schema that it parsed. A default may look like a schema and is none.
    found = {of: it for of, it in schema.items() if not of.startswith("__")}
    for of in ("type", "items", "values"):
        if isinstance(found.get(of), list | Mapping):
            found[of] = _mapped(found[of], change)
    if "fields" in found:
        found["fields"] = [{**field, "type": _mapped(field["type"], change)} for field in found["fields"]]
    return change(found)


def _parts(schema: Any) -> Iterator[Any]:
    """The unions and objects that a schema consists of."""
    if isinstance(schema, list):
        yield schema
        for branch in schema:
            yield from _parts(branch)
    elif isinstance(schema, Mapping):
        yield schema
        inside = [schema.get(of) for of in ("type", "items", "values")] + [field["type"] for field in schema.get("fields", ())]
        for of in inside:
            yield from _parts(of)


def _untyped(part: Any) -> Any:
    if isinstance(part, Mapping) and "logicalType" in part:
        return {of: it for of, it in part.items() if of != "logicalType"}
    return part


def _typed(part: Any) -> Any:
    if not is_decimal(part):
        return _untyped(part)
    decimal_of(part)  # KeyError for one without a precision
    return {**part, "logicalType": DECIMAL}


def _marked(of: Any) -> Any:
    """A branch of a union, or a named type, that tells its name to what is read of it."""
    whole = {"type": of} if isinstance(of, str) else of
    return {"logicalType": _BRANCH, **whole, _BRANCH: _name(of)}


def _name(branch: Any) -> str:
    return branch if isinstance(branch, str) else str(branch.get("name", branch["type"]))


def _alike(branches: list[Any], named: Mapping[str, Any]) -> frozenset[str]:
    return alike([(_name(branch), _held(branch, named)) for branch in branches])


def _held(branch: Any, named: Mapping[str, Any]) -> type:
    of = named.get(branch, branch) if isinstance(branch, str) else branch
    return Decimal if is_decimal(of) else _HELD[of if isinstance(of, str) else of["type"]]


def has_choice(schema: Any) -> bool:
    """Whether it has a union of more than one type and null."""
    return any(len([of for of in union if of != "null"]) > 1 for union in _parts(schema) if isinstance(union, list))


def is_flat(record: Mapping[str, Any]) -> bool:
    """Whether the fields of a record hold neither lists nor objects."""
    inside = [of.get("type") for of in _parts(record) if isinstance(of, Mapping) and of is not record]
    return not any(kind in ("array", "map", "record", "error") for kind in inside)


def is_decimal(schema: Any) -> bool:
    """Whether it is a decimal, on bytes or on a fixed."""
    is_called = isinstance(schema, Mapping) and schema.get("logicalType") in ("decimal", DECIMAL)
    return bool(is_called and schema["type"] in ("bytes", "fixed"))


def decimal_of(schema: Mapping[str, Any]) -> DecimalType:
    """The digits that the schema of a decimal allows."""
    return DecimalType(schema["precision"], schema.get("scale", 0))


def _decimal(data: bytes, writer_schema: Any = None, reader_schema: Any = None) -> Any:
    of = decimal_of(writer_schema)
    most = max(_PADDED, of.precision // 2 + 1)
    if len(data) > most:
        raise ValueError(f"a decimal of {len(data)} bytes, where {most} are enough for its {of.precision} digits")
    number = of.number(from_bytes(data))
    return _tag(number, writer_schema) if _BRANCH in writer_schema else number


def _resolving(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": part, "logicalType": _RESOLVED} if part in _PROMOTED else part
    if not isinstance(part, Mapping):
        return part
    inside = {of: _resolving(part[of]) for of in ("items", "values") if isinstance(part.get(of), str)}
    if "fields" in part:
        inside["fields"] = [{of: it for of, it in field.items() if of != "default"} for field in part["fields"]]
    return {**part, **inside, "logicalType": _RESOLVED}


def _resolve(data: Any, writer_schema: Any = None, reader_schema: Any = None) -> Any:
    if reader_schema is None:
        return data
    to: Mapping[str, Any] = {"type": reader_schema} if isinstance(reader_schema, str) else reader_schema
    written = writer_schema["type"]
    to = to.get(_UNION, {}).get(written, to)
    data = _promoted(data, written, to["type"])
    if is_decimal(to):
        return _decimal(data, to)
    return tagged(data, to[_BRANCH]) if _BRANCH in to else data


def _promoted(data: Any, written: str, to: str) -> Any:
    """What a value of one type is as one of another (Avro specification, "Schema Resolution")."""
    match written, to:
        case (("int" | "long"), "float"):
            return struct.unpack("f", struct.pack("f", data))[0]
        case (("int" | "long"), "double"):
            return float(data)
        case "string", "bytes":
            return data.encode()
        case "bytes", "string":
            return data.decode()
    return data


def _tag(data: Any, writer_schema: Any = None, reader_schema: Any = None) -> Any:
    return tagged(data, writer_schema[_BRANCH])


LOGICAL_READERS.update({f"{type_}-{DECIMAL}": _decimal for type_ in ("bytes", "fixed")})
LOGICAL_READERS.update({f"{type_}-{_RESOLVED}": _resolve for type_ in _HELD})
LOGICAL_READERS.update({f"{type_}-{_BRANCH}": _tag for type_ in _HELD})
