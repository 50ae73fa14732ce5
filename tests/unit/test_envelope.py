"""The CloudEvents envelope in Kafka's binary mode."""

from __future__ import annotations

import pytest

from eventfold.schemas.envelope import Envelope, as_mapping, header
from eventfold.schemas.errors import DecodeError

LEAST = Envelope(id="1b4e28ba-2fa1-11d2-883f-0016d3cca427", type="flights.X", source="/eventfold/cli", time=0, subject="UA1")
WHOLE = Envelope(
    id="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    type="flights.FlightDeparted",
    source="/eventfold/flights/handler",
    time=1357034400123,
    subject="UA1545:2013-01-01:EWR",
    sequence=2,
    correlation_id="c",
    causation_id="d",
    expected_version=0,
    expires=1357034400000,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


@pytest.mark.parametrize("envelope", [LEAST, WHOLE])
def test_headers_come_back(envelope: Envelope) -> None:
    assert Envelope.from_headers(envelope.to_headers()) == envelope
    assert Envelope.from_headers(dict(envelope.to_headers())) == envelope


def test_the_headers_are_those_of_the_kafka_binding() -> None:
    assert dict(WHOLE.to_headers()) == {
        "content-type": b"application/avro",
        "ce_specversion": b"1.0",
        "ce_id": b"1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "ce_type": b"flights.FlightDeparted",
        "ce_source": b"/eventfold/flights/handler",
        "ce_time": b"2013-01-01T10:00:00.123Z",
        "ce_subject": b"UA1545:2013-01-01:EWR",
        "ce_sequence": b"2",
        "ce_correlationid": b"c",
        "ce_causationid": b"d",
        "ce_expectedversion": b"0",
        "ce_expirytime": b"2013-01-01T10:00:00Z",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def test_what_is_not_set_is_no_header() -> None:
    names = [name for name, _ in LEAST.to_headers()]
    assert names == ["content-type", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject"]


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_subject"])
def test_a_missing_header_is_named(name: str) -> None:
    with pytest.raises(DecodeError, match=f"no {name} header"):
        Envelope.from_headers([pair for pair in WHOLE.to_headers() if pair[0] != name])


def test_no_headers_at_all_are_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="no ce_id header"):
        Envelope.from_headers(None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_time", b"yesterday"), ("ce_time", b"2013-01-01T10:00:00"), ("ce_sequence", b"two"), ("ce_id", b"\xff")],
)
def test_a_header_that_cannot_be_read_is_a_decode_error(name: str, value: bytes) -> None:
    with pytest.raises(DecodeError, match="cannot be read"):
        Envelope.from_headers([*WHOLE.to_headers(), (name, value)])


def test_the_last_of_two_headers_counts_and_none_is_empty() -> None:
    assert as_mapping([("a", b"1"), ("a", "2"), ("b", None)]) == {"a": b"2", "b": b""}
    assert as_mapping(None) == {}


def test_one_header_alone() -> None:
    assert header([("a", b"1"), ("b", "2")], "b") == b"2"
    assert header({"a": b"1"}, "a") == b"1"
    assert header([("a", b"1")], "c") is None
    assert header(None, "c") is None
