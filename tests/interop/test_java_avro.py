"""Messages of eventfold are read by the Java Avro library, and those that it writes are read and folded by eventfold."""

from __future__ import annotations

import json
import random
from base64 import b64decode, b64encode
from typing import Any

import pytest

from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.codec import Codec
from eventfold.schemas.decimals import from_bytes, to_bytes
from eventfold.schemas.parsed import decimals
from eventfold.schemas.writing import written
from tests.interop.conftest import Java
from tests.support import flights, log
from tests.support.avro import sample
from tests.support.sandbox import Sandbox

CATALOG = Catalog.installed(["flights", "accounts"])
NEWEST = [CATALOG.newest(type_) for type_ in sorted({schema.type for schema in CATALOG.schemas})]
SEED = 20130101
EACH = 50
EMPTY = "{}"  # for which Java's JsonEncoder writes nothing


def as_json(schema: MessageSchema, data: dict[str, Any]) -> dict[str, Any]:
    """The data as Avro's JSON has it: a union's branch by its name, bytes a character a byte."""

    def wrapped(name: str, of: Any) -> Any:
        value = data[name]
        if name in own and value is not None:
            value = to_bytes(own[name].unscaled(value)).decode("latin-1")
        if not isinstance(of, list) or value is None:
            return value
        branch = next(branch for branch in of if branch != "null")
        return {branch["type"] if isinstance(branch, dict) else branch: value}

    own = decimals(schema.schema)
    return {field["name"]: wrapped(field["name"], field["type"]) for field in schema.schema["fields"]}


def from_json(schema: MessageSchema, found: dict[str, Any]) -> dict[str, Any]:
    data = {name: next(iter(of.values())) if isinstance(of, dict) else of for name, of in found.items()}
    own = decimals(schema.schema)
    return {
        name: own[name].number(from_bytes(of.encode("latin-1"))) if name in own and of is not None else of
        for name, of in data.items()
    }


@pytest.fixture(scope="module")
def messages() -> list[tuple[MessageSchema, dict[str, Any]]]:
    print(f"seed={SEED}")
    choice = random.Random(SEED)
    return [(schema, sample(schema.schema, choice)) for schema in NEWEST for _ in range(EACH)]


def test_java_reads_every_message_of_eventfold(
    codec: Codec, java: Java, messages: list[tuple[MessageSchema, dict[str, Any]]]
) -> None:
    asked = [("decode", schema.path, b64encode(codec.encode(schema.type, data)).decode()) for schema, data in messages]
    for (schema, data), answer in zip(messages, java(asked), strict=True):
        assert from_json(schema, json.loads(answer or EMPTY)) == data, schema.type


def test_java_reads_an_older_version_as_the_newest(codec: Codec, java: Java) -> None:
    first, second = CATALOG.versions("flights.FlightDiverted")
    data = sample(first.schema, random.Random(SEED))
    value = written(CATALOG, first.type, 1, data)
    (answer,) = java([("decode", f"{second.path},{first.path}", b64encode(value).decode())])
    assert from_json(second, json.loads(answer)) == codec.decode(value).data == {**data, "diverted_to": None}


def test_eventfold_reads_every_message_of_java(
    codec: Codec, java: Java, messages: list[tuple[MessageSchema, dict[str, Any]]]
) -> None:
    asked = [("encode", schema.path, json.dumps(as_json(schema, data))) for schema, data in messages]
    for (schema, data), answer in zip(messages, java(asked), strict=True):
        value = b64decode(answer)
        assert codec.decode(value) == (schema.type, data)
        assert value == codec.encode(schema.type, data)


def test_events_of_java_are_folded(java: Java, sandbox: Sandbox) -> None:
    numbers = range(1, 21)
    events = [(number, "flights.FlightScheduled", flights.scheduled(number)) for number in numbers]
    events += [(number, "flights.FlightDeparted", flights.departed(number, number)) for number in numbers]
    schemas = [CATALOG.newest(type_) for _, type_, _ in events]
    asked = [
        ("encode", schema.path, json.dumps(as_json(schema, data))) for schema, (_, _, data) in zip(schemas, events, strict=True)
    ]
    for (number, type_, _), answer in zip(events, java(asked), strict=True):
        key = flights.flight_id(number)
        log.write(sandbox, "flights.events", key, b64decode(answer), log.envelope(type_, key))
    sandbox.projector("flights")
    sandbox.caught_up("flights")
    rows = sandbox.rows("flights")
    assert {key: (row["status"], row["departure_delay_min"]) for key, row in rows.items()} == {
        flights.flight_id(number): ("departed", number) for number in numbers
    }
