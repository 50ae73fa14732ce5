"""The JSON form of one version of a message, made from its Avro schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.decimals import DecimalType
from eventfold.schemas.faults import Faults, WrongDataError
from eventfold.schemas.json_form.kind import Kind
from eventfold.schemas.json_form.nested import Field, List, Map, Record
from eventfold.schemas.json_form.plain import DOUBLE, FLOAT, INT, LONG, NUMBERS, Boolean, Null, Symbol, Text, Uuid
from eventfold.schemas.json_form.spelled import DATE, TIMESTAMP, Amount, Bytes
from eventfold.schemas.json_form.union import Branch, Union
from eventfold.schemas.parsed import full_names

_PLAIN: Mapping[str, Kind] = {
    "null": Null(),
    "boolean": Boolean(),
    "int": INT,
    "long": LONG,
    "float": FLOAT,
    "double": DOUBLE,
    "bytes": Bytes(),
    "string": Text(),
}
_LOGICAL: Mapping[tuple[str, str], Kind] = {
    ("int", "date"): DATE,
    ("long", "timestamp-millis"): TIMESTAMP,
    ("string", "uuid"): Uuid(),
    **NUMBERS,
}


class JsonForm:
    """Reads data that came as JSON, checks all of it, and shows messages as such data.

    EventfoldError as `eventfold.schemas.parsed.parse`.
    """

    def __init__(self, message: MessageSchema) -> None:
        self._named: dict[str, Kind] = {}
        self._again: set[int] = set()
        self._root = self._record(full_names(message), own=True)

    def read(self, data: Any) -> dict[str, Any]:
        """The data as a message holds it, as `schemas.codec.Codec.from_json` has it; WrongDataError names every wrong field."""
        faults = Faults()
        read: dict[str, Any] = self._root.read(data, "", faults)
        if faults.found:
            raise WrongDataError(self._root.name, faults.found)
        return read

    def show(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of `read`, as `eventfold.schemas.codec.Codec.shown` has it."""
        shown: dict[str, Any] = self._root.show(data)
        return shown

    def schema(self, at: str) -> dict[str, Any]:
        """JSON Schema, as `eventfold.schemas.json_schema.json_schema` has it."""
        names = {id(kind): name for name, kind in self._named.items() if id(kind) in self._again}
        kinds = {name: kind for name, kind in self._named.items() if id(kind) in self._again}

        def of(kind: Kind) -> dict[str, Any]:
            return {"$ref": f"{at}/$defs/{names[id(kind)]}"} if id(kind) in names else kind.schema(of)

        found = self._root.schema(of)
        return {**found, "$defs": {name: kind.schema(of) for name, kind in kinds.items()}} if kinds else found

    def _kind(self, schema: Any, *, own: bool = False) -> Kind:
        """own: whether it is the type of one of the message's own fields, or a branch of it."""
        if isinstance(schema, list):
            return Union([Branch(name=_name(branch), kind=self._kind(branch, own=own)) for branch in schema])
        if isinstance(schema, str):
            if schema in _PLAIN:
                return _PLAIN[schema]
            self._again.add(id(self._named[schema]))
            return self._named[schema]
        make: Callable[..., Kind] | None = {"record": self._record, "error": self._record}.get(schema["type"])
        kind = self._simple(schema, own) if make is None else make(schema)
        if "name" in schema:
            self._named[schema["name"]] = kind
        return kind

    def _simple(self, schema: Mapping[str, Any], own: bool) -> Kind:
        type_, logical = schema["type"], str(schema.get("logicalType"))
        if (type_, logical) in _LOGICAL:
            return _LOGICAL[type_, logical]
        if logical == "decimal" and type_ in ("bytes", "fixed"):
            of = DecimalType(schema["precision"], schema.get("scale", 0))
            return Amount(of, objects=type_ == "fixed" or not own)
        match type_:
            case "enum":
                return Symbol(schema["symbols"], schema.get("doc", ""))
            case "fixed":
                return Bytes(schema["size"])
            case "array":
                return List(self._kind(schema["items"]))
            case "map":
                return Map(self._kind(schema["values"]))
        return self._kind(type_, own=own)

    def _record(self, schema: Mapping[str, Any], *, own: bool = False) -> Record:
        fields = [
            Field(
                name=field["name"],
                kind=self._kind(field["type"], own=own),
                required="default" not in field,
                default=field.get("default"),
                doc=field.get("doc", ""),
            )
            for field in schema["fields"]
        ]
        return Record(schema["name"], fields, schema.get("doc", ""))


def _name(branch: Any) -> str:
    """What fastavro calls a branch of a union."""
    return branch if isinstance(branch, str) else str(branch.get("name", branch["type"]))
