"""How long a field may be: what its type declares, as a writer is held to it. What was written before is read at any length.

`{"type": "string", "maxLength": 200}`: characters of a text, bytes of bytes. `{"type": "array", "items": "int", "maxItems":
100}`: items of a list, or entries of a map. Where a type declares nothing, `LONGEST` counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST = 65_536
LENGTH, ITEMS = "maxLength", "maxItems"
LIMITS = (LENGTH, ITEMS)
_OF = {"string": LENGTH, "bytes": LENGTH, "array": ITEMS, "map": ITEMS}
# Their form bounds them already.
_BOUNDED = ("decimal", "uuid")


def limit_of(schema: Mapping[str, Any]) -> str | None:
    """The name of the limit that a type may declare; None where there is nothing to limit."""
    return None if schema.get("logicalType") in _BOUNDED else _OF.get(str(schema["type"]))


def longest(schema: Mapping[str, Any]) -> int:
    """The limit of a legal type."""
    name = limit_of(schema)
    return LONGEST if name is None else int(schema.get(name, LONGEST))


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether the value of a default is as short as its type wants it."""
    return limit_of(schema) is None or len(value) <= longest(schema)
