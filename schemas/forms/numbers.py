"""Numbers that JSON has as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import Faults, told
from eventfold.schemas.forms.plain import Of

_EXACT = 2**53


class Whole:
    """A whole number between two others, which is all that there is of an int, a long, and times that have no text in JSON.

    bits: of the Avro type, without the sign. count: what the number is of one of Python's `natural` objects; UsageError for one
    that has none. `5.0` is a whole number in JSON, as JSON Schema has it, below 2^53: of what is larger a parser may have
    rounded digits away. In Python it is none.
    """

    words, json, held = "a whole number", (int, float), int

    def __init__(
        self,
        bits: int,
        bounds: tuple[int, int] | None = None,
        description: str = "",
        natural: type | None = None,
        count: Callable[[Any], int] = int,
    ) -> None:
        self._all = -(2**bits), 2**bits - 1
        self.bounds = bounds or self._all
        self._description = description
        self._natural, self._count = natural, count

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
            value = int(value)
        return self._checked(value, at, faults, self.words)

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        return self.counted(value, at, faults, self.words)

    def counted(self, value: Any, at: str, faults: Faults, words: str) -> Any:
        """As `take`, with other words of what it must be."""
        if self._natural is not None and isinstance(value, self._natural):
            try:
                value = self._count(value)
            except UsageError as error:
                faults.add(at, str(error))
                return value
        return self._checked(value, at, faults, words)

    def _checked(self, value: Any, at: str, faults: Faults, words: str) -> Any:
        low, high = self._all if faults.as_written else self.bounds
        if not isinstance(value, int) or isinstance(value, bool):
            faults.must(at, words, value)
        elif not low <= value <= high:
            faults.add(at, f"must lie between {low} and {high}, not {told(value)}")
        return value

    def owns(self, value: Any) -> bool:
        if isinstance(value, int):
            return not isinstance(value, bool)
        return self._natural is not None and isinstance(value, self._natural)

    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.bounds[0] <= value <= self.bounds[1]

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        low, high = self.bounds
        more = {"description": self._description} if self._description else {}
        return {"type": "integer", "minimum": low, "maximum": high, **more}


class Real:
    """A finite number, up to the largest that its bits can hold: rows and JSON hold no other.

    JSON's numbers are doubles by themselves, so what has more digits is rounded there; in Python a whole number that a double
    does not hold exactly is refused.
    """

    words, json, held = "a number", (int, float), float

    def __init__(self, most: float) -> None:
        self.most = most

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
            faults.must(at, self.words, value)
        elif not -self.most <= value <= self.most:
            faults.add(at, f"must lie between {-self.most} and {self.most}, not {told(value)}")
        else:
            return float(value)
        return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        if faults.as_written and isinstance(value, float) and not math.isfinite(value):
            return float(value)
        found = self.read(value, at, faults)
        if isinstance(value, int) and self is DOUBLE and isinstance(found, float) and found != value:
            faults.add(at, f"must be a number that a double holds exactly, not {told(value)}")
        return found

    def owns(self, value: Any) -> bool:
        return isinstance(value, float)

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    def show(self, value: Any) -> Any:
        # JSON has no word for NaN and the infinities, which others may have written.
        return value if math.isfinite(value) else str(value)

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "number", "minimum": -self.most, "maximum": self.most}


FLOAT, DOUBLE = Real((2 - 2**-23) * 2.0**127), Real(math.nextafter(math.inf, 0))
INT, LONG = Whole(31), Whole(63)
