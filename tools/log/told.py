"""What a record tells, as fields for people and programs."""

from __future__ import annotations

from typing import Any

from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import as_mapping
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.jsonable import json_bytes
from eventfold.schemas.position import Position
from eventfold.schemas.record import Record
from eventfold.schemas.times import iso, millis


def told(codec: Codec, record: Record) -> dict[str, Any]:
    """What a record tells; what a foreign one lacks is None. A message that cannot be decoded, or that JSON cannot hold, has no
    data but an `error`.

    `schema_version` is the one it was written with; the data is in the form of the newest.
    """
    row = about(record)
    try:
        row["schema_version"] = codec.written(record.value()).version
        row["type"], data = codec.shown(record.value())
        json_bytes(data)
        row["data"] = data
    except (DecodeError, TypeError) as error:
        row["error"] = str(error)
    return row


def about(record: Record) -> dict[str, Any]:
    """The same fields without what is in the value."""
    headers = {name: value.decode(errors="replace") for name, value in as_mapping(record.headers()).items()}
    place: Any = (record.topic(), record.partition(), record.offset())
    return {
        "version": _number(headers.get("ce_sequence")),
        "type": headers.get("ce_type"),
        "schema_version": None,
        "happened": _time(headers.get("ce_time")),
        "recorded": iso(record.timestamp()[1]),
        "position": str(Position(*place)),
        "event_id": headers.get("ce_id"),
        "causation_id": headers.get("ce_causationid"),
        "correlation_id": headers.get("ce_correlationid"),
        "source": headers.get("ce_source"),
        "data": None,
    }


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 19 else text


def _time(text: str | None) -> str | None:
    """In UTC, whatever zone a foreign producer wrote it in; as it stands where it is no time."""
    try:
        return None if text is None else iso(millis(text))
    except UsageError:
        return text
