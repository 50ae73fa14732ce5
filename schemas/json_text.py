"""JSON that comes from outside, as Python values.

RFC 8259 leaves open what an object with one name twice means, and readers disagree: the first value, the last, an error. So
what one of them checked could be something else to the next, and such text is refused.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def parse_json(text: bytes | bytearray | str) -> Any:
    """The value of a JSON text (RFC 8259, UTF-8); ValueError says why it is none, or which key stands twice in one object."""
    value = orjson.loads(text)
    if isinstance(value, dict | list):
        try:
            _KEYS.decode(text if isinstance(text, str) else text.decode())
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> None:
    met = set()
    for name, _ in pairs:
        if name in met:
            raise ValueError(f"the key {name if len(name) <= 100 else f'{name[:100]}...'!r} stands twice in one object")
        met.add(name)


# orjson, which is the stricter one about all else, takes the last of two values and says nothing. Numbers stay text here.
_KEYS = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str)
