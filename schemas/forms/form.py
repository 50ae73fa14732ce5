"""The forms of one version of a message, made from its Avro schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.decimals import DecimalType
from eventfold.schemas.faults import Faults, WrongDataError
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.forms.moments import MOMENTS
from eventfold.schemas.forms.nested import Field, List, Map, Record
from eventfold.schemas.forms.numbers import DOUBLE, FLOAT, INT, LONG
from eventfold.schemas.forms.plain import Boolean, Null, Symbol, Text, Uuid
from eventfold.schemas.forms.spelled import Amount, Bytes
from eventfold.schemas.forms.union import Branch, Union
from eventfold.schemas.longest import longest
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
    ("string", "uuid"): Uuid(),
    **MOMENTS,
}


class Form:
    """Takes data of Python, reads data that came as JSON, checks all of it, and shows messages as JSON.

    EventfoldError as `eventfold.schemas.parsed.parse`.
    """

    def __init__(self, message: MessageSchema) -> None:
        self._named: dict[str, Kind] = {}
        self._again: set[int] = set()
        self.root = self._record(full_names(message))

    def read(self, data: Any) -> dict[str, Any]:
        """The data as a message holds it, as `schemas.codec.Codec.from_json` has it; WrongDataError names every wrong field."""
        return self._sound(self.root.read, data, Faults())

    def take(self, data: Any, *, as_written: bool = False) -> dict[str, Any]:
        """The data in Avro's underlying types, as fastavro writes it; WrongDataError names every wrong field.

        as_written: whether values are taken that no writer may write any more, but that can be read: a text that is no UUID, or
        is longer than its type allows.
        """
        return self._sound(self.root.take, data, Faults(as_written=as_written))

    def _sound(self, of: Callable[[Any, str, Faults], Any], data: Any, faults: Faults) -> dict[str, Any]:
        found: dict[str, Any] = of(data, "", faults)
        if faults.found:
            raise WrongDataError(self.root.name, faults.found)
        return found

    def show(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of `read`, as `eventfold.schemas.codec.Codec.shown` has it."""
        shown: dict[str, Any] = self.root.show(data)
        return shown

    def schema(self, at: str) -> dict[str, Any]:
        """JSON Schema, as `eventfold.schemas.json_schema.json_schema` has it."""
        names = {id(kind): name for name, kind in self._named.items() if id(kind) in self._again}
        kinds = {name: kind for name, kind in self._named.items() if id(kind) in self._again}

        def of(kind: Kind) -> dict[str, Any]:
            return {"$ref": f"{at}/$defs/{names[id(kind)]}"} if id(kind) in names else kind.schema(of)

        found = self.root.schema(of)
        return {**found, "$defs": {name: kind.schema(of) for name, kind in kinds.items()}} if kinds else found

    def _kind(self, schema: Any) -> Kind:
        if isinstance(schema, list):
            return Union([Branch(name=_name(branch), kind=self._kind(branch)) for branch in schema])
        if isinstance(schema, str):
            if schema in _PLAIN:
                return _PLAIN[schema]
            self._again.add(id(self._named[schema]))
            return self._named[schema]
        make: Callable[..., Kind] | None = {"record": self._record, "error": self._record}.get(schema["type"])
        kind = self._simple(schema) if make is None else make(schema)
        if "name" in schema:
            self._named[schema["name"]] = kind
        return kind

    def _simple(self, schema: Mapping[str, Any]) -> Kind:
        type_, logical = schema["type"], str(schema.get("logicalType"))
        if (type_, logical) in _LOGICAL:
            return _LOGICAL[type_, logical]
        if logical == "decimal" and type_ in ("bytes", "fixed"):
            of = DecimalType(schema["precision"], schema.get("scale", 0))
            return Amount(of, schema.get("size"))
        match type_:
            case "string":
                return Text(longest(schema))
            case "bytes":
                return Bytes(most=longest(schema))
            case "enum":
                return Symbol(schema["symbols"], schema.get("doc", ""))
            case "fixed":
                return Bytes(schema["size"])
            case "array":
                return List(self._kind(schema["items"]), longest(schema))
            case "map":
                return Map(self._kind(schema["values"]), longest(schema))
        return self._kind(type_)

    def _record(self, schema: Mapping[str, Any]) -> Record:
        fields = [
            Field(
                name=field["name"],
                kind=self._kind(field["type"]),
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
