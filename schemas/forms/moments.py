"""Times and dates: numbers in messages, Python's own objects where they are written, text in JSON where RFC 3339 has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, ClassVar

from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import Faults, told
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.forms.numbers import Whole
from eventfold.schemas.forms.plain import Of
from eventfold.schemas.times import (
    FIRST_DAY,
    FIRST_MS,
    LAST_DAY,
    LAST_MS,
    clock_micros,
    day,
    day_of,
    iso,
    iso_day,
    local_micros,
    micros,
    millis,
)

# Python reads other forms of ISO 8601 too. The years 1 to 9999 without a look-ahead, which not every library has.
_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DATE = f"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR, _MINUTE = "([01][0-9]|2[0-3])", "[0-5][0-9]"
_FRACTION, _OFFSET = r"(\.[0-9]{1,9})?", f"(Z|[+-]{_HOUR}:{_MINUTE})"
_TIME = f"{_DATE}T{_HOUR}:{_MINUTE}:{_MINUTE}{_FRACTION}{_OFFSET}"
_ZONELESS = re.compile(f"{_DATE}T{_HOUR}:{_MINUTE}(:{_MINUTE}{_FRACTION})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time or a date as text of RFC 3339, or as the number that Avro makes of it: `TIMESTAMP` and `DATE`.

    format: JSON Schema's name. unit: what the number counts. number: its bounds, and Python's own object for it. Digits beyond
    the unit are cut off.
    """

    json: ClassVar[tuple[type, ...]] = (str, int, float)
    held: ClassVar[type] = int
    words: str
    format: str
    unit: str
    pattern: re.Pattern[str]
    number: Whole
    parse: Callable[[str], int]
    text: Callable[[int], str]

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        low, high = self.number.bounds
        if isinstance(value, float) and value.is_integer() and low <= value <= high:
            return int(value)
        return self._parsed(value, at, faults) if isinstance(value, str) else self._number(value, at, faults)

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        return self._parsed(value, at, faults) if isinstance(value, str) else self._number(value, at, faults)

    def _number(self, value: Any, at: str, faults: Faults) -> Any:
        return self.number.counted(value, at, faults, self.words)

    def _parsed(self, value: str, at: str, faults: Faults) -> Any:
        if self.pattern.fullmatch(value) is None:
            zone = self.format == "date-time" and _ZONELESS.fullmatch(value)
            missing = f"{told(value)} has no time zone; end it with Z (UTC) or an offset like -05:00"
            faults.add(at, missing) if zone else faults.must(at, self.words, value)
            return value
        try:
            return self.parse(value)
        except UsageError as error:
            faults.add(at, str(error))
            return value

    def owns(self, value: Any) -> bool:
        return self.number.owns(value)

    def holds(self, value: Any) -> bool:
        return self.number.holds(value)

    def show(self, value: Any) -> Any:
        with suppress(ValueError, OverflowError, IndexError):  # a number that no calendar shows stays one
            return self.text(value)
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        low, high = self.number.bounds
        text = {"format": self.format, "pattern": f"^{self.pattern.pattern}$"}
        form = {"description": f"{self.words[0].upper()}{self.words[1:]}, or the number of {self.unit}."}
        return {"type": ["string", "integer"], **text, "minimum": low, "maximum": high, **form}


def _since(what: str, micros_of: Callable[[Any], int], first: int, last: int) -> dict[str, Whole]:
    """By the unit, what Python has as a datetime alone; first and last: the bounds in milliseconds, where the unit has any."""
    bounds = None if first == last else (first * 1000, last * 1000 + 999)
    return {
        "millis": Whole(63, bounds and (first, last), f"Milliseconds {what}", datetime, lambda of: micros_of(of) // 1000),
        "micros": Whole(63, bounds, f"Microseconds {what}", datetime, micros_of),
        "nanos": Whole(63, None, f"Nanoseconds {what}", datetime, lambda of: micros_of(of) * 1000),
    }


_UTC = _since("since 1970-01-01T00:00:00Z.", micros, FIRST_MS, LAST_MS)
_LOCAL = _since("since 1970-01-01T00:00:00, local time.", local_micros, 0, 0)
_LAST = 86_399_999
_CLOCK_MILLIS = Whole(31, (0, _LAST), "Milliseconds since midnight.", time, lambda of: clock_micros(of) // 1000)
_CLOCK_MICROS = Whole(63, (0, _LAST * 1000 + 999), "Microseconds since midnight.", time, clock_micros)
TIMESTAMP = Moment(
    words="a time like 2013-01-01T10:17:00Z",
    format="date-time",
    unit="milliseconds since 1970-01-01T00:00:00Z",
    pattern=re.compile(_TIME),
    number=_UTC["millis"],
    parse=millis,
    text=iso,
)
DATE = Moment(
    words="a date like 2013-02-08",
    format="date",
    unit="days since 1970-01-01",
    pattern=re.compile(_DATE),
    number=Whole(31, (FIRST_DAY, LAST_DAY), natural=date, count=day_of),
    parse=day,
    text=iso_day,
)
MOMENTS: Mapping[tuple[str, str], Kind] = {
    ("int", "date"): DATE,
    ("long", "timestamp-millis"): TIMESTAMP,
    ("int", "time-millis"): _CLOCK_MILLIS,
    ("long", "time-micros"): _CLOCK_MICROS,
    ("long", "timestamp-micros"): _UTC["micros"],
    ("long", "timestamp-nanos"): _UTC["nanos"],
    **{("long", f"local-timestamp-{unit}"): number for unit, number in _LOCAL.items()},
}
"""By the Avro type and the logical type."""
