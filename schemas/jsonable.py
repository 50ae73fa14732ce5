"""JSON of what people and programs are shown or rows hold, and which field it is that JSON cannot hold."""

from __future__ import annotations

from typing import Any

import orjson

_DEEPEST = 253


def json_bytes(value: Any, option: int | None = None) -> bytes:
    """JSON in UTF-8. TypeError names the first field that JSON cannot hold, as `photo.raw` or `lines.2`, and says why.

    option: of orjson.
    """
    try:
        return orjson.dumps(value, option=option)
    except TypeError as error:
        raise TypeError(_wrong(value) or str(error)) from error


def _wrong(value: Any) -> str | None:
    """What is wrong with the first part of a value that JSON cannot hold; None where it is none of its parts."""
    left: list[tuple[str, int, Any]] = [("", 0, value)]
    while left:
        at, depth, part = left.pop()
        if depth > _DEEPEST:
            return f"the field {at.partition('.')[0]!r} is nested too deep, or holds itself: JSON cannot hold it"
        if isinstance(part, dict):
            for key in part:
                if why := "is no text" if type(key) is not str else _why(key):
                    where = f" in the field {at!r}" if at else ""
                    return f"the name {key!r}{where} {why}: JSON cannot hold it"
            left += reversed([(f"{at}.{key}" if at else key, depth + 1, inner) for key, inner in part.items()])
        elif isinstance(part, list) or type(part) is tuple:
            left += reversed([(f"{at}.{place}" if at else str(place), depth + 1, inner) for place, inner in enumerate(part)])
        elif why := _why(part):
            return f"the field {at!r} {why}: JSON cannot hold it" if at else f"it {why}: JSON cannot hold it"
    return None


def _why(leaf: Any) -> str | None:
    try:
        orjson.dumps(leaf)
    except TypeError:
        if isinstance(leaf, int):
            return "is a whole number of more than 64 bits"
        if isinstance(leaf, str):
            return "has characters that are no Unicode text"
        return "is bytes" if isinstance(leaf, bytes | bytearray | memoryview) else f"is of the class {type(leaf).__name__}"
    return None
