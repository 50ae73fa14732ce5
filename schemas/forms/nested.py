"""Kinds that hold others: lists, maps, records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eventfold.schemas.faults import Faults, under
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.forms.plain import NOT_ENCODABLE, Of, encodable
from eventfold.schemas.longest import LONGEST


class List:
    """A list of one kind, of at most so many items."""

    words, json, held = "a list", (list,), list

    def __init__(self, items: Kind, most: int = LONGEST) -> None:
        self.items, self.most = items, most

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, list):
            faults.must(at, self.words, value)
            return value
        faults.long(at, self.most, "items", len(value))
        return [self.items.read(item, f"{at}/{place}", faults) for place, item in enumerate(value)]

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, list | tuple):
            faults.must(at, self.words, value)
            return value
        faults.long(at, self.most, "items", len(value))
        return [self.items.take(item, f"{at}/{place}", faults) for place, item in enumerate(value)]

    def owns(self, value: Any) -> bool:
        return isinstance(value, list)

    def holds(self, value: Any) -> bool:
        return isinstance(value, list) and all(map(self.items.holds, value))

    def show(self, value: Any) -> Any:
        return [self.items.show(item) for item in value]

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "array", "items": of(self.items), "maxItems": self.most}


class Map:
    """An object with any keys and values of one kind, of at most so many; a key is as long as a text may be."""

    words, json, held = "an object", (dict,), dict

    def __init__(self, values: Kind, most: int = LONGEST) -> None:
        self.values, self.most = values, most

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        return self._each(self.values.read, value, at, faults)

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        return self._each(self.values.take, value, at, faults)

    def _each(self, of: Callable[[Any, str, Faults], Any], value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, Mapping):
            faults.must(at, self.words, value)
            return value
        faults.long(at, self.most, "items", len(value))
        found = {}
        for key, inner in value.items():
            place = under(at, key)
            if isinstance(key, str) and len(key) > LONGEST and not faults.as_written:
                faults.add(place, f"has a name of {len(key):,} characters, and {LONGEST:,} are the most")
            if not isinstance(key, str) or not encodable(key):
                faults.add(place, f"has a name that {NOT_ENCODABLE}" if isinstance(key, str) else "has a name that is no text")
            found[key] = of(inner, place, faults)
        return found

    def owns(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def holds(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(map(self.values.holds, value.values()))

    def show(self, value: Any) -> Any:
        return {key: self.values.show(inner) for key, inner in value.items()}

    def schema(self, of: Of) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": of(self.values),
            "maxProperties": self.most,
            "propertyNames": {"maxLength": LONGEST},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a record. default: as Avro writes it; of one without a default it means nothing."""

    name: str
    kind: Kind
    required: bool
    default: Any
    doc: str


class Record:
    """An object with these fields and no other; those that have a default may be left out, and stay left out."""

    words, json, held = "an object", (dict,), dict

    def __init__(self, name: str, fields: list[Field], doc: str) -> None:
        self.name = name
        self.fields, self._doc = {field.name: field for field in fields}, doc

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        return self._each(False, value, at, faults)

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        return self._each(True, value, at, faults)

    def _each(self, python: bool, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, Mapping):
            faults.must(at, self.words, value)
            return value
        found = {}
        for name, field in self.fields.items():
            if name in value:
                form = field.kind.take if python else field.kind.read
                found[name] = form(value[name], f"{at}/{name}", faults)
            elif field.required:
                faults.add(f"{at}/{name}", "is missing")
        if len(found) != len(value):
            for name in value:
                if name not in self.fields:
                    faults.add(under(at, name), f"is no field of {self.name}")
        return found

    def owns(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def holds(self, value: Any) -> bool:
        if not isinstance(value, Mapping) or value.keys() != self.fields.keys():
            return False
        return all(field.kind.holds(value[name]) for name, field in self.fields.items())

    def show(self, value: Any) -> Any:
        return {name: field.kind.show(value[name]) for name, field in self.fields.items() if name in value}

    def schema(self, of: Of) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "object",
            "properties": {field.name: _described(field, of(field.kind)) for field in self.fields.values()},
            "required": [field.name for field in self.fields.values() if field.required],
            "additionalProperties": False,
        }
        return {"description": self._doc, **found} if self._doc else found


def _described(field: Field, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field's type with what is known of the field alone."""
    if field.doc:
        # What the type says of its form is needed as well.
        form = schema.get("description", "")
        schema = {**schema, "description": f"{field.doc} {form}".strip()}
    return schema if field.required else {**schema, "default": field.kind.show(field.default)}
