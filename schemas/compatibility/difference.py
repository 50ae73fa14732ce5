"""What changed from one version of a message to another, in sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.compatibility.released import undocumented
from eventfold.schemas.parsed import type_name


def differences(older: MessageSchema, newer: MessageSchema) -> list[str]:
    """The fields that are new, gone, renamed or changed, a sentence each; docs aside."""
    return list(_of_fields(older.schema, newer.schema, ""))


def default_text(field: Mapping[str, Any]) -> str:
    """A field's default as the schema has it, in JSON; empty where there is none."""
    return json.dumps(field["default"], ensure_ascii=False) if "default" in field else ""


def _of_fields(older: Mapping[str, Any], newer: Mapping[str, Any], path: str) -> Iterator[str]:
    left = {field["name"]: field for field in older["fields"]}
    for field in newer["fields"]:
        name = field["name"]
        was = next((left.pop(of) for of in (name, *field.get("aliases", ())) if of in left), None)
        what = f"the field {path + name!r}"
        if was is None:
            default = f"with the default {default_text(field)}" if "default" in field else "without a default"
            yield f"{what} is new: {type_name(field['type'])}, {default}"
        else:
            yield from _of_field(was, field, what, f"{path}{name}.")
    for name in left:
        yield f"the field {path + name!r} is gone"


def _of_field(was: Mapping[str, Any], field: Mapping[str, Any], what: str, path: str) -> Iterator[str]:
    if was["name"] != field["name"]:
        yield f"{what} was called {was['name']!r}"
    old, new = undocumented(was["type"]), undocumented(field["type"])
    if old != new:
        if all(isinstance(of, Mapping) and of["type"] == "record" for of in (old, new)):
            yield from _of_fields(old, new, path)
        else:
            yield f"{what} is {_inside(new, old)}, was {_inside(old, new)}"
    if default_text(was) != default_text(field):
        yield f"{what} has {_default(field)}, had {_default(was)}"


def _inside(schema: Any, other: Any) -> str:
    """In words, or as it stands where the words are the same."""
    words = type_name(schema)
    return json.dumps(schema, ensure_ascii=False) if words == type_name(other) else words


def _default(field: Mapping[str, Any]) -> str:
    return f"the default {default_text(field)}" if "default" in field else "no default"
