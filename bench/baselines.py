"""The raw loops that eventfold is measured against: the same clients, as fast as they go, and no guarantees.

Both read as the daemons do (poll one, then drain what is there) and look at no header that they do not need. What is
judged against them decodes times as ints, and so do they; the raw fold is measured with times as objects too, which is
what fastavro makes of a schema that is taken as it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import orjson
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
from redis.utils import HIREDIS_AVAILABLE

from bench.log import DOMAIN, PARTITIONS
from eventfold.installation import Installation
from eventfold.kafka.transactions import TRANSACTION_TIMEOUT_MS
from eventfold.processors.handler.handler import BATCH as DECIDED_AT_ONCE
from eventfold.schemas.catalog import Catalog

RAW_KEY = "bench:raw"
_FOLDED_AT_ONCE = 5_000
_HEADER = 10
_TIMEOUT_S = 30


def raw_fold(environ: Mapping[str, str], *, events: int, times: bool, hiredis: bool) -> tuple[int, float]:
    """Consume, decode, and one HSET an event, pipelined a batch.

    times: decode by the schemas as they are published, so that times and dates become objects; else they stay ints.
    hiredis: whether redis-py packs and parses in C; see bench.measure, which hides it.
    """
    assert HIREDIS_AVAILABLE is hiredis
    installation = Installation(environ)
    redis, schemas = installation.redis, schemas_by_header(times=times)
    consumer = _consumer(installation, "bench.raw")
    topic = installation.names.events(DOMAIN)
    consumer.list_topics(topic, timeout=_TIMEOUT_S)
    redis.ping()
    count, started = 0, time.monotonic()
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    while count < events:
        messages = _batch(consumer, _FOLDED_AT_ONCE)
        pipe = redis.pipeline(transaction=False)
        for message in messages:
            value: Any = message.value()
            body = BytesIO(value)
            body.seek(_HEADER)
            data = schemaless_reader(body, schemas[value[:_HEADER]], None)
            pipe.hset(RAW_KEY, message.key(), orjson.dumps(data))
        pipe.execute()
        count += len(messages)
    seconds = time.monotonic() - started
    consumer.close()
    return count, seconds


def raw_decide(environ: Mapping[str, str], *, commands: int) -> tuple[int, float]:
    """Consume, decode, encode, and produce with as many headers as an event has, in Kafka transactions."""
    installation = Installation(environ)
    schemas = schemas_by_header(times=False)
    source, target = installation.names.commands(DOMAIN), installation.names.events(DOMAIN)
    consumer = _consumer(installation, installation.names.handler_group(DOMAIN))
    consumer.list_topics(source, timeout=_TIMEOUT_S)
    producer = Producer(
        installation.kafka.producer(
            **{
                "transactional.id": f"{installation.names.prefix}bench.raw",
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "queue.buffering.max.messages": 200_000,
            }
        )
    )
    producer.init_transactions(_TIMEOUT_S)
    count, started = 0, time.monotonic()
    consumer.assign([TopicPartition(source, partition, 0) for partition in range(PARTITIONS)])
    following: dict[int, int] = {}
    while count < commands:
        messages = _batch(consumer, DECIDED_AT_ONCE)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            value: Any = message.value()
            partition: Any = message.partition()
            header = value[:_HEADER]
            schema = schemas[header]
            body = BytesIO(value)
            body.seek(_HEADER)
            data: Any = schemaless_reader(body, schema, None)
            encoded = BytesIO(header)
            encoded.seek(_HEADER)
            schemaless_writer(encoded, schema, data)
            headers: Any = message.headers()
            # A command has eight headers and perhaps `noreply`, an event ten.
            out = [*headers[:8], ("ce_sequence", b"1"), ("ce_causationid", headers[2][1])]
            producer.produce(target, encoded.getvalue(), message.key(), partition, headers=out)
            following[partition] = message.offset() + 1  # type: ignore[operator]
        producer.flush(_TIMEOUT_S)
        offsets = [TopicPartition(source, partition, offset) for partition, offset in following.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), _TIMEOUT_S)
        producer.commit_transaction(_TIMEOUT_S)
        count += len(messages)
    seconds = time.monotonic() - started
    consumer.close()
    return count, seconds


def _consumer(installation: Installation, group: str) -> Consumer:
    return Consumer(
        installation.kafka.client(
            **{
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
    )


def _batch(consumer: Consumer, limit: int) -> list[Message]:
    first = consumer.poll(1)
    if first is None:
        return []
    messages = [first, *consumer.consume(limit - 1, 0)]
    for message in messages:
        if message.error() is not None:
            raise RuntimeError(str(message.error()))
    return messages


def schemas_by_header(*, times: bool) -> dict[bytes, Any]:
    """The schemas by the first ten bytes of what was written with them."""
    found = {}
    for message in Catalog.installed([DOMAIN]).schemas:
        crc = fingerprint(to_parsing_canonical_form(dict(message.schema)), "CRC-64-AVRO")
        schema = dict(message.schema) if times else _without_times(message.schema)
        found[b"\xc3\x01" + bytes.fromhex(crc)] = parse_schema(schema, named_schemas={})
    return found


def _without_times(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {name: _without_times(value) for name, value in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [_without_times(branch) for branch in schema]
    return schema
