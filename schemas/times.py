"""Milliseconds since 1970 UTC, and their RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from eventfold.schemas.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MS, _US = timedelta(milliseconds=1), timedelta(microseconds=1)
FIRST_DAY, LAST_DAY = (end.toordinal() - _EPOCH_DAY for end in (date.min, date.max))
FIRST_MS, LAST_MS = FIRST_DAY * 86_400_000, (LAST_DAY + 1) * 86_400_000 - 1


_MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]


def iso(ms: int) -> str:
    """`2013-01-01T10:17:00Z`, with milliseconds only where there are some; sorts as text in the order of time."""
    minutes, rest = divmod(ms, 60_000)
    days, minute = divmod(minutes, 1440)
    if not rest:
        return f"{iso_day(days)}{_MINUTES[minute]}00Z"
    second, rest = divmod(rest, 1000)
    return f"{iso_day(days)}{_MINUTES[minute]}{second:02d}{f'.{rest:03d}' if rest else ''}Z"


def millis(text: str) -> int:
    """The inverse of `iso` for any RFC 3339 time with an offset; UsageError for one without or for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:100]!r} is not a time; write it as 2013-01-01T10:17:00Z") from None
    if moment.tzinfo is None:
        raise UsageError(f"{text[:100]!r} has no time zone; end it with Z (UTC) or an offset like -05:00")
    ms = (moment - _EPOCH) // _MS
    if not FIRST_MS <= ms <= LAST_MS:
        raise UsageError(f"{text!r} lies outside of the years 1 to 9999 UTC")
    return ms


@lru_cache(maxsize=4096)
def iso_day(days: int) -> str:
    """`2013-01-01` of Avro's `date` (days since 1970-01-01)."""
    return date.fromordinal(days + _EPOCH_DAY).isoformat()


def day(text: str) -> int:
    """The inverse of `iso_day`; UsageError when the text is no date."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        raise UsageError(f"{text[:100]!r} is not a date; write it as 2013-02-08") from None


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC of a moment; UsageError for one without a time zone."""
    if moment.utcoffset() is None:
        raise UsageError(f"{str(moment)!r} has no time zone; give the datetime one, e.g. UTC")
    return (moment - _EPOCH) // _US


def local_micros(moment: datetime) -> int:
    """Microseconds since 1970 of local time; UsageError for a moment that has a time zone."""
    if moment.tzinfo is not None:
        raise UsageError(f"{str(moment)!r} has a time zone, and a local time has none")
    return (moment.replace(tzinfo=UTC) - _EPOCH) // _US


def clock_micros(clock: time) -> int:
    """Microseconds since midnight; UsageError for a time of day that has a time zone."""
    if clock.tzinfo is not None:
        raise UsageError(f"{str(clock)!r} has a time zone, and a time of day has none")
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000 + clock.microsecond


def day_of(of: date) -> int:
    """Days since 1970-01-01; UsageError for a time, which Python takes for a date too."""
    if isinstance(of, datetime):
        raise UsageError(f"{str(of)!r} is a time, not a date; give its date()")
    return of.toordinal() - _EPOCH_DAY
