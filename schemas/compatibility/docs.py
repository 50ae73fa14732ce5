"""Whether a schema says what each part of it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def without_docs(schema: Any, path: str = "") -> Iterator[str]:
    """Each record, enum and field without a doc, those inside others too."""
    if isinstance(schema, list):
        for branch in schema:
            yield from without_docs(branch, path)
    elif isinstance(schema, Mapping):
        yield from _of(schema, path)


def _of(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind in ("record", "error", "enum"):
        yield from _named(schema, f"the {kind} {schema.get('name')!r}" + (f" of the field {path!r}" if path else ""))
    for field in schema.get("fields", ()) if kind in ("record", "error") else ():
        inner = f"{path}.{field.get('name')}" if path else str(field.get("name"))
        yield from _named(field, f"the field {inner!r}")
        yield from without_docs(field.get("type"), inner)
    for inside in (schema.get("items"), schema.get("values")):
        yield from without_docs(inside, path)


def _named(schema: Mapping[str, Any], what: str) -> Iterator[str]:
    if not str(schema.get("doc") or "").strip():
        yield f"{what} has no doc: say what it means"
