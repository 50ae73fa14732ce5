"""Records become events: those of the wanted types, and an error says where the first bad record lies."""

from __future__ import annotations

import pytest
from confluent_kafka import Message as Record

from eventfold.processors.projector.one_by_one import decoded
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.event import Event
from tests.support.flights import departed

DEPARTED = "flights.FlightDeparted"


def record(offset: int, value: bytes | None, key: bytes | None = b"UA1") -> Record:
    return Record(topic="flights.events", partition=3, offset=offset, key=key, value=value)


def test_events_hold_what_is_read_of_the_types_that_are_wanted(codec: Codec) -> None:
    put, other = codec.encode(DEPARTED, departed(1, 7)), codec.encode("flights.CancelFlight", {"cancelled_at": 1})
    records = [record(0, put), record(1, other), record(2, put, b"UA2")]
    found = decoded(codec.reader({DEPARTED: ["departure_delay_min"]}), records)
    assert found == [
        Event(DEPARTED, "UA1", {"departure_delay_min": 7}, records[0]),
        Event(DEPARTED, "UA2", {"departure_delay_min": 7}, records[2]),
    ]


@pytest.mark.parametrize(
    ("value", "key", "says"),
    [
        (None, b"UA1", "key b'UA1': the record has no value"),
        (b"{}", b"UA1", "key b'UA1': 2 bytes are too few"),
        ("cut", b"UA1", f"key b'UA1': the body is not a {DEPARTED}"),
        ("whole", None, "key None: the record has no key"),
        ("whole", b"\xff", r"key b'\\xff': the key is not UTF-8"),
    ],
)
def test_the_first_bad_record_is_named(codec: Codec, value: bytes | str | None, key: bytes | None, says: str) -> None:
    whole = codec.encode(DEPARTED, departed(1, 7))
    bad = {"cut": whole[:-1], "whole": whole}[value] if isinstance(value, str) else value
    records = [record(40, whole), record(41, bad, key), record(42, None)]
    with pytest.raises(DecodeError, match=rf"^flights\.events/3@41 {says}") as raised:
        decoded(codec.reader({DEPARTED: ()}), records)
    assert raised.value.offset == 41
