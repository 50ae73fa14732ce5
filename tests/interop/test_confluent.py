"""Messages of eventfold are read by Confluent's AvroDeserializer, and those of its AvroSerializer are read and folded."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from eventfold.kafka.schema_registry import Registry
from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.codec import Codec
from eventfold.schemas.registry.framing import Confluent
from eventfold.schemas.registry.settings import RegistrySettings
from tests.support import flights, log
from tests.support.avro import sample
from tests.support.sandbox import OpenSandbox, Sandbox

# Fetching the registry is part of the first start in a checkout.
pytestmark = pytest.mark.timeout(600)

SEED = 20130102
EACH = 20
CONTEXT = SerializationContext("any", MessageField.VALUE)


@pytest.fixture(scope="module")
def codec(registry_url: str) -> Iterator[Codec]:
    catalog = Catalog.installed(["flights", "accounts"])
    registry = Registry(RegistrySettings(url=registry_url))
    made = Codec(catalog, Confluent(catalog, registry))
    made.load()
    yield made
    registry.close()


@pytest.fixture(scope="module")
def client(registry_url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry_url}) as made:
        yield made


@pytest.fixture(scope="module")
def messages(codec: Codec) -> list[tuple[MessageSchema, dict[str, Any]]]:
    print(f"seed={SEED}")
    choice, catalog = random.Random(SEED), codec.catalog
    newest = [catalog.newest(type_) for type_ in sorted({schema.type for schema in catalog.schemas})]
    return [(schema, sample(schema.schema, choice)) for schema in newest for _ in range(EACH)]


def serializer(client: SchemaRegistryClient, schema: MessageSchema) -> AvroSerializer:
    """Theirs, which looks the version up and registers nothing."""
    config = {
        "auto.register.schemas": False,
        "normalize.schemas": True,
        "subject.name.strategy": record_subject_name_strategy,
    }
    return AvroSerializer(client, json.dumps(schema.schema), conf=config)


def as_ours(data: dict[str, Any]) -> dict[str, Any]:
    """Times and dates as what they are made of."""

    def plain(of: Any) -> Any:
        if isinstance(of, datetime):
            return (of - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        return (of - date(1970, 1, 1)).days if isinstance(of, date) else of

    return {name: plain(of) for name, of in data.items()}


def test_confluents_deserializer_reads_every_message_of_eventfold(
    codec: Codec, client: SchemaRegistryClient, messages: list[tuple[MessageSchema, dict[str, Any]]]
) -> None:
    read = AvroDeserializer(client)
    for schema, data in messages:
        value = codec.encode(schema.type, data)
        if not data:
            # It takes no message for one that has no field, whose body has no byte.
            with pytest.raises(SerializationError, match="length 6 bytes or more"):
                read(value, CONTEXT)
            continue
        found: Any = read(value, CONTEXT)
        assert as_ours(found) == data, schema.type


def test_eventfold_reads_every_message_of_confluents_serializer(
    codec: Codec, client: SchemaRegistryClient, messages: list[tuple[MessageSchema, dict[str, Any]]]
) -> None:
    for schema, data in messages:
        value = serializer(client, schema)(data, CONTEXT)
        assert value == codec.encode(schema.type, data)
        assert codec.decode(value) == (schema.type, data)


@pytest.fixture
def registered(open_sandbox: OpenSandbox, registry_url: str) -> Iterator[Sandbox]:
    with open_sandbox(partitions=2, SCHEMA_REGISTRY_URL=registry_url) as sandbox:
        yield sandbox


def test_events_of_confluents_serializer_are_folded(codec: Codec, client: SchemaRegistryClient, registered: Sandbox) -> None:
    for type_, data in (
        ("flights.FlightScheduled", flights.scheduled(1)),
        ("flights.FlightDeparted", flights.departed(1, 7)),
    ):
        value = serializer(client, codec.catalog.newest(type_))(data, CONTEXT)
        log.write(registered, "flights.events", flights.flight_id(1), value, log.envelope(type_, flights.flight_id(1)))
    registered.projector("flights")
    registered.caught_up("flights")
    (row,) = registered.rows("flights").values()
    assert (row["status"], row["departure_delay_min"]) == ("departed", 7)
