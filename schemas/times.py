"""Milliseconds since 1970 UTC, and their RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from schemas.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MS = timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """`2013-01-01T10:17:00Z`, with milliseconds only where there are some; sorts as text in the order of time."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    if ms % 1000:
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
    return f"{moment.isoformat()[:19]}Z"


def millis(text: str) -> int:
    """The inverse of `iso` for any RFC 3339 time with an offset; UsageError for one without or for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time; write it as 2013-01-01T10:17:00Z") from None
    if moment.tzinfo is None:
        raise UsageError(f"{text!r} has no time zone; end it with Z (UTC) or an offset like -05:00")
    return (moment - _EPOCH) // _MS


def iso_day(days: int) -> str:
    """`2013-01-01` of Avro's `date` (days since 1970-01-01)."""
    return date.fromordinal(days + _EPOCH_DAY).isoformat()


def day(text: str) -> int:
    """The inverse of `iso_day`; UsageError when the text is no date."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        raise UsageError(f"{text!r} is not a date; write it as 2013-02-08") from None
