"""How two rows under one key differ, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

MISSING, EXTRA, CHANGED = "missing", "extra", "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One row, or one member of an index, that is not what it should be.

    kind: `missing` (it should be there), `extra` (it should not) or `changed`. fields: of a changed row each that differs,
    with what it is and what it should be; an object's fields are named `outer.inner`, and what is not there is None.
    """

    topic: str
    partition: int
    part: str
    key: str
    kind: str
    fields: dict[str, tuple[Any, Any]]

    @property
    def shown(self) -> str:
        """The key as text that can be printed, whatever bytes it is stored under."""
        return self.key.encode(errors="surrogateescape").decode(errors="backslashreplace")

    def to_json(self) -> dict[str, Any]:
        fields = {name: {"is": is_, "should": should} for name, (is_, should) in self.fields.items()}
        return {
            "table": self.part,
            "key": self.shown,
            "difference": self.kind,
            "slice": f"{self.topic}/{self.partition}",
            "fields": fields,
        }


def between(topic: str, partition: int, part: str, key: str, is_: bytes | None, should: bytes | None) -> Difference | None:
    """The difference of what is stored and what should be; None when they are the same bytes."""
    if is_ == should:
        return None
    kind = MISSING if is_ is None else EXTRA if should is None else CHANGED
    fields: dict[str, tuple[Any, Any]] = {}
    if kind == CHANGED:
        # The same fields in other bytes, or one that is null here and absent there, is a difference as well.
        fields = dict(_fields(_parsed(is_), _parsed(should))) or {"row": (_text(is_), _text(should))}
    return Difference(topic=topic, partition=partition, part=part, key=key, kind=kind, fields=fields)


def _fields(is_: Any, should: Any, name: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(is_, dict) and isinstance(should, dict):
        for field in sorted(is_.keys() | should.keys()):
            yield from _fields(is_.get(field), should.get(field), f"{name}.{field}" if name else field)
    elif is_ != should:
        yield name or "row", (is_, should)


def _parsed(row: bytes | None) -> Any:
    """What a row holds; one that is no JSON, as someone may have left it, is shown as text."""
    if row is None:
        return None
    try:
        return orjson.loads(row)
    except ValueError:
        return _text(row)


def _text(row: bytes | None) -> str:
    return (row or b"").decode(errors="replace")
