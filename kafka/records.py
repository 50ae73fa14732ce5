"""Records as Kafka's client has them."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from eventfold.schemas.envelope import Headers
from eventfold.schemas.position import Position
from eventfold.schemas.record import Record

CREATE_TIME = TIMESTAMP_CREATE_TIME
"""The kind of a record's timestamp that its producer gave it; any other is the broker's."""


def rebuilt(position: Position, key: bytes | None, value: bytes | None, headers: Headers) -> Record:
    """The record as it was read at a position, but for the time at which it was appended."""
    found: Any = headers
    return Message(
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        key=key,
        value=value,
        headers=found,
        timestamp=(0, 0),
    )
