"""Kinds that JSON has as they are: null, true and false, numbers, text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from eventfold.schemas.faults import Faults, told
from eventfold.schemas.json_form.kind import Kind
from eventfold.schemas.times import FIRST_MS, LAST_MS

Of = Callable[[Kind], dict[str, Any]]
_EXACT = 2**53
_DAY_MS = 86_400_000
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_IS_UUID = re.compile(_UUID)


class Null:
    """`null`."""

    words, json, written, pairs = "null", (type(None),), frozenset({type(None)}), False

    def read(self, value: Any, at: str, faults: Faults) -> None:
        if value is not None:
            faults.must(at, self.words, value)

    def holds(self, value: Any) -> bool:
        return value is None

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "null"}


class Boolean:
    """`true` or `false`."""

    words, json, written, pairs = "true or false", (bool,), frozenset({bool}), False

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, bool):
            faults.must(at, self.words, value)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, bool)

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "boolean"}


class Whole:
    """A whole number between two others, which is all that there is of an int, a long, and times that have no text.

    `5.0` is one too, as JSON Schema has it, below 2^53: of what is larger a parser may have rounded digits away.
    """

    words, json, written, pairs = "a whole number", (int, float), frozenset({int}), False

    def __init__(self, low: int, high: int, description: str = "") -> None:
        self._low, self._high, self._description = low, high, description

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            faults.must(at, self.words, value)
        elif not self._low <= value <= self._high:
            faults.add(at, f"must lie between {self._low} and {self._high}, not {told(value)}")
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self._low <= value <= self._high

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        more = {"description": self._description} if self._description else {}
        return {"type": "integer", "minimum": self._low, "maximum": self._high, **more}


class Real:
    """A finite number, up to the largest that its bits can hold."""

    words, json, written, pairs = "a number", (int, float), frozenset({int, float}), False

    def __init__(self, most: float) -> None:
        self._most = most

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
            faults.must(at, self.words, value)
        elif not -self._most <= value <= self._most:
            faults.add(at, f"must lie between {-self._most} and {self._most}, not {told(value)}")
        else:
            return float(value)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "number", "minimum": -self._most, "maximum": self._most}


class Text:
    """Text that UTF-8 can write."""

    words, json, written, pairs = "text", (str,), frozenset({str}), False

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, str):
            faults.must(at, self.words, value)
        elif not encodable(value):
            faults.add(at, NOT_ENCODABLE)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, str)

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "string"}


class Symbol:
    """One of the symbols of an enum."""

    json, written, pairs = (str,), frozenset({str}), False

    def __init__(self, symbols: Sequence[str], doc: str) -> None:
        self._symbols, self._known, self._doc = list(symbols), frozenset(symbols), doc
        few = ", ".join(symbols[:20]) + (", ..." if len(symbols) > 20 else "")
        self.words = f"one of {few}"

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, str) or value not in self._known:
            faults.must(at, self.words, value)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and value in self._known

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        more = {"description": self._doc} if self._doc else {}
        return {"type": "string", "enum": list(self._symbols), **more}


class Uuid:
    """A UUID, as text."""

    words, json, written, pairs = "a UUID", (str,), frozenset({str}), False

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, str) or _IS_UUID.fullmatch(value) is None:
            faults.must(at, self.words, value)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, UUID) or (isinstance(value, str) and _IS_UUID.fullmatch(value) is not None)

    def show(self, value: Any) -> Any:
        return str(value)

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "string", "format": "uuid", "pattern": f"^{_UUID}$"}


def encodable(text: str) -> bool:
    """Whether UTF-8 can write it: JSON can hold half of a surrogate pair, which nothing else can."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


NOT_ENCODABLE = "holds half of a surrogate pair, which is no character"
FLOAT, DOUBLE = Real((2 - 2**-23) * 2.0**127), Real(math.nextafter(math.inf, 0))
INT, LONG = Whole(-(2**31), 2**31 - 1), Whole(-(2**63), 2**63 - 1)
NUMBERS = {
    ("int", "time-millis"): Whole(0, _DAY_MS - 1, "Milliseconds since midnight."),
    ("long", "time-micros"): Whole(0, _DAY_MS * 1000 - 1, "Microseconds since midnight."),
    ("long", "timestamp-micros"): Whole(FIRST_MS * 1000, LAST_MS * 1000 + 999, "Microseconds since 1970-01-01T00:00:00Z."),
    ("long", "timestamp-nanos"): Whole(-(2**63), 2**63 - 1, "Nanoseconds since 1970-01-01T00:00:00Z."),
    ("long", "local-timestamp-millis"): Whole(-(2**63), 2**63 - 1, "Milliseconds since 1970-01-01T00:00:00, local time."),
    ("long", "local-timestamp-micros"): Whole(-(2**63), 2**63 - 1, "Microseconds since 1970-01-01T00:00:00, local time."),
    ("long", "local-timestamp-nanos"): Whole(-(2**63), 2**63 - 1, "Nanoseconds since 1970-01-01T00:00:00, local time."),
}
"""Times that are numbers in JSON too."""
