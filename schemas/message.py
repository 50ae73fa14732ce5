"""A message is a type and its data; commands and events alike."""

from __future__ import annotations

from typing import Any, NamedTuple


class Message(NamedTuple):
    """One command or event without its envelope.

    `type` is the Avro full name (`flights.FlightDeparted`). `data` holds the fields. What is read are numbers, text, lists and
    dicts, so that a state or a row made of them is JSON as it is: a timestamp-millis is an int of milliseconds since 1970 UTC,
    a date an int of days, a uuid text. Only decimals are `Decimal`s, and bytes are bytes. What is written may also hold
    Python's own objects: docs/schemas.md has the table.
    """

    type: str
    data: dict[str, Any]
