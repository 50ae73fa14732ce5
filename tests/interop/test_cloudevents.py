"""The headers of eventfold's records are read by the CloudEvents SDK, and records that it makes are folded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.v1.event import CloudEvent

from eventfold.schemas.envelope import Envelope, as_mapping
from tests.support import flights, log
from tests.support.sandbox import Sandbox

KEY = flights.flight_id(1)


class AsItIs:
    """Data of any content type as its bytes: what Avro makes of them is no matter of the SDK's."""

    def read_data(self, body: bytes, content_type: str | None) -> bytes:
        return body

    def write_data(self, data: Any, content_type: str | None) -> bytes:
        assert isinstance(data, bytes)
        return data


def test_the_sdk_reads_a_record_of_eventfolds(sandbox: Sandbox) -> None:
    sandbox.handler()
    sandbox.ok("flights", "schedule", "--number", "1", *flights.SCHEDULE_OPTIONS)
    (record,) = log.read(sandbox, "flights.events")
    headers = {name: value.encode() for name, value in record.headers.items()}
    event = from_binary(KafkaMessage(headers=headers, key=record.key, value=record.value or b""), AsItIs())
    ours = Envelope.from_headers(headers)
    assert (event.get_id(), event.get_type(), event.get_source()) == (ours.id, "flights.FlightScheduled", ours.source)
    assert (event.get_subject(), event.get_datacontenttype()) == (KEY, "application/avro")
    assert event.get_time() == datetime.fromtimestamp(ours.time / 1000, UTC)
    assert (event.get_extension("sequence"), event.get_extension("causationid")) == ("1", ours.causation_id)
    assert sandbox.installation.codec.decode(event.get_data()).data == flights.scheduled(1)


def test_a_record_that_the_sdk_makes_is_folded(sandbox: Sandbox) -> None:
    happened = datetime(2013, 2, 8, 12, tzinfo=UTC)
    attributes = {
        "id": "0b7e1c8e-0000-4000-8000-000000000001",
        "type": "flights.FlightScheduled",
        "source": "/another/system",
        "specversion": "1.0",
        "time": happened,
        "subject": KEY,
        "datacontenttype": "application/avro",
        "sequence": "1",
    }
    value = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(1))
    made = to_binary(CloudEvent(attributes=attributes, data=value), AsItIs(), key_mapper=lambda event: event.get_subject())
    log.write(sandbox, "flights.events", made.key, made.value, list(made.headers.items()))
    envelope = Envelope.from_headers(as_mapping(made.headers))
    assert (envelope.id, envelope.sequence, envelope.time) == (attributes["id"], 1, int(happened.timestamp() * 1000))
    sandbox.projector("flights")
    sandbox.caught_up("flights")
    assert sandbox.rows("flights").keys() == {KEY}
    assert sandbox.json("history", "flights", KEY)[0]["source"] == "/another/system"
