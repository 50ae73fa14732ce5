"""Kinds that JSON has no type for and that are spelled as text: times, dates, decimals, bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from eventfold.schemas.decimals import DecimalType, from_bytes
from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import Faults, told
from eventfold.schemas.json_form.plain import Of
from eventfold.schemas.times import FIRST_DAY, FIRST_MS, LAST_DAY, LAST_MS, day, iso, iso_day, millis

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

    format: JSON Schema's name. unit: what the number counts. bounds: the first and the last number. Digits of the text beyond
    the unit are cut off.
    """

    json: ClassVar[tuple[type, ...]] = (str, int, float)
    written: ClassVar[frozenset[type]] = frozenset({int})
    pairs: ClassVar[bool] = False
    words: str
    format: str
    unit: str
    pattern: re.Pattern[str]
    bounds: tuple[int, int]
    parse: Callable[[str], int]
    text: Callable[[int], str]

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        low, high = self.bounds
        if isinstance(value, float) and value.is_integer() and low <= value <= high:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if not low <= value <= high:
                faults.add(at, f"must lie between {low} and {high}, not {told(value)}")
            return value
        if not isinstance(value, str) or self.pattern.fullmatch(value) is None:
            zone = isinstance(value, str) and self.format == "date-time" and _ZONELESS.fullmatch(value)
            missing = f"{told(value)} has no time zone; end it with Z (UTC) or an offset like -05:00"
            faults.add(at, missing) if zone else faults.must(at, self.words, value)
            return value
        try:
            return self.parse(value)
        except UsageError as error:
            faults.add(at, str(error))
            return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.bounds[0] <= value <= self.bounds[1]

    def show(self, value: Any) -> Any:
        with suppress(ValueError, OverflowError, IndexError):  # a number that no calendar shows stays one
            return self.text(value)
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        low, high = self.bounds
        text = {"format": self.format, "pattern": f"^{self.pattern.pattern}$"}
        form = {"description": f"{_capital(self.words)}, or the number of {self.unit}."}
        return {"type": ["string", "integer"], **text, "minimum": low, "maximum": high, **form}


class Amount:
    """A decimal, always as text: a number would have to be an unscaled one, and 100 would mean 0.01.

    objects: whether a message holds a `Decimal`, as of all decimals but the record's own ones on bytes, which are ints.
    """

    json, pairs = (str,), False

    def __init__(self, of: DecimalType, *, objects: bool) -> None:
        self._of, self._objects = of, objects
        self.written = frozenset({bytes}) if objects else frozenset({bytes, int})
        before, after = of.precision - of.scale, of.scale
        self.words = f"a decimal number in quotes, with at most {before} digits before the point and {after} after it"

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, str):
            faults.must(at, self.words, value)
            return value
        try:
            unscaled = self._of.parse(value)
        except UsageError as error:
            faults.add(at, str(error))
            return value
        if not self._objects:
            return unscaled
        # Of a string or by arithmetic it could be rounded to the context's precision, or have more digits than it may.
        return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -self._of.scale))

    def holds(self, value: Any) -> bool:
        if self._objects:
            return isinstance(value, Decimal)
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < self._of.limit

    def show(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return f"{value:f}"
        if isinstance(value, str):
            value = value.encode("latin-1")
        with suppress(ValueError, TypeError):  # a number of thousands of digits has no text
            return self._of.text(from_bytes(value) if isinstance(value, bytes) else value)
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        precision, scale = self._of
        before = precision - scale
        whole = f"0*[0-9]{{1,{before}}}" if before else "0+"
        rest = rf"\.[0-9]{{1,{scale}}}0*" if scale else r"\.0+"
        return {"type": "string", "pattern": f"^-?{whole}({rest})?$", "description": f"{_capital(self.words)}."}


class Bytes:
    """Bytes as Avro's JSON has them, a character of U+0000 to U+00FF a byte; of a fixed size or of any."""

    json, written, pairs = (str,), frozenset({bytes}), False

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        many = "text" if size is None else f"text of {size} characters"
        self.words = f"{many} up to U+00FF, each a byte"

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        try:
            if isinstance(value, str) and self._size in (None, len(value)):
                return value.encode("latin-1")
        except UnicodeEncodeError:
            pass
        faults.must(at, self.words, value)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, bytes) and self._size in (None, len(value))

    def show(self, value: Any) -> Any:
        return value.decode("latin-1") if isinstance(value, bytes) else value

    def schema(self, of: Of) -> dict[str, Any]:
        size = {} if self._size is None else {"minLength": self._size, "maxLength": self._size}
        return {"type": "string", "pattern": r"^[\u0000-\u00ff]*$", **size, "description": f"{_capital(self.words)}."}


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


TIMESTAMP = Moment(
    words="a time like 2013-01-01T10:17:00Z",
    format="date-time",
    unit="milliseconds since 1970-01-01T00:00:00Z",
    pattern=re.compile(_TIME),
    bounds=(FIRST_MS, LAST_MS),
    parse=millis,
    text=iso,
)
DATE = Moment(
    words="a date like 2013-02-08",
    format="date",
    unit="days since 1970-01-01",
    pattern=re.compile(_DATE),
    bounds=(FIRST_DAY, LAST_DAY),
    parse=day,
    text=iso_day,
)
