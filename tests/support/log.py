"""Reading a topic to its end, and writing to it past eventfold's own producers."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import NewTopic

from eventfold.kafka.domain_topics import settings_of
from eventfold.kafka.topics import Topics
from eventfold.schemas.envelope import Envelope, Headers
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

_NO_COORDINATOR = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a topic. timestamp: when it was appended, milliseconds since 1970 UTC."""

    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: Mapping[str, str]
    timestamp: int

    def header(self, name: str) -> str:
        return self.headers[name]


def read(sandbox: Sandbox, name: str, *, committed: bool = True) -> list[Record]:
    """Every record of a topic, partition by partition in the order of the log."""
    topic = sandbox.topic(name)
    consumer = Consumer(
        {
            "bootstrap.servers": sandbox.stack.bootstrap,
            "group.id": f"{sandbox.prefix}test-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "auto.offset.reset": "earliest",
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        unread, found = set(partitions), []
        while unread:
            first = consumer.poll(20)
            assert first is not None, f"{topic} cannot be read to its end"
            for message in (first, *consumer.consume(5_000, 0)):
                error = message.error()
                if error is None:
                    found.append(_record(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
                else:
                    raise AssertionError(error.str())
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def _record(message: Any) -> Record:
    key = message.key()
    return Record(
        partition=message.partition(),
        offset=message.offset(),
        key=None if key is None else key.decode(errors="replace"),
        value=message.value(),
        headers={name: value.decode() for name, value in message.headers() or ()},
        timestamp=message.timestamp()[1],
    )


def count_by_type(records: Iterable[Record]) -> dict[str, int]:
    return dict(Counter(record.header("ce_type") for record in records))


def write(
    sandbox: Sandbox,
    name: str,
    key: str | bytes | None,
    value: bytes | None,
    headers: Headers | None = None,
    *,
    partition: int = -1,
) -> None:
    """Put one record into a topic, whatever it holds."""
    writer = sandbox.producer
    failed: list[KafkaError] = []
    writer.produce(
        sandbox.topic(name),
        key=key,
        value=value,
        headers=headers or [],
        partition=partition,
        on_delivery=lambda error, _: failed.append(error) if error else None,
    )
    assert writer.flush(20) == 0 and not failed, failed


def envelope(type_: str, key: str, **more: Any) -> Headers:
    """Headers of a message that happened at 10:00 on 1 January 2013."""
    fields: dict[str, Any] = {"id": str(uuid.uuid4()), "source": "/test", "time": 1_357_034_400_000, **more}
    return Envelope(type=type_, subject=key, **fields).to_headers()


def write_event(sandbox: Sandbox, type_: str, key: str, data: Mapping[str, Any], *, partition: int = -1, **more: Any) -> None:
    """Put one event into its log, as only a handler may; `more` are other fields of its envelope."""
    value = sandbox.installation.codec.encode(type_, data)
    headers = envelope(type_, key, **{"sequence": 1, **more})
    write(sandbox, f"{type_.partition('.')[0]}.events", key, value, headers, partition=partition)


def committed(sandbox: Sandbox, group: str, name: str) -> dict[int, int]:
    """The offsets that a group has committed, by partition."""
    topic = sandbox.topic(name)
    reader = Consumer({"bootstrap.servers": sandbox.stack.bootstrap, "group.id": sandbox.prefix + group})
    try:
        partitions = reader.list_topics(topic, timeout=10).topics[topic].partitions
        places = [TopicPartition(topic, p) for p in partitions]

        def found() -> dict[int, int]:
            try:
                return {tp.partition: tp.offset for tp in reader.committed(places, timeout=10)}
            except KafkaException as error:
                # A broker that has just started is no coordinator yet.
                if not error.args[0].retriable() and error.args[0].code() not in _NO_COORDINATOR:
                    raise
                return {}

        return eventually(found, f"the offsets of {group} can be read", 60)
    finally:
        reader.close()


def make_anew(sandbox: Sandbox, name: str, partitions: int) -> None:
    """Delete a topic and create one of the same name, with the settings that it must have."""
    topic = sandbox.topic(name)
    sandbox.admin.delete_topics([topic])[topic].result(30)
    topics = Topics(sandbox.installation.kafka)
    known = sandbox.installation
    settings = settings_of(known.names, known.domain_names, topic)
    eventually(lambda: not topics.existing([topic]), "the topic is gone")

    def made() -> bool:
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(settings))
        return sandbox.admin.create_topics([new])[topic].exception(30) is None

    eventually(made, "the topic is there again")


def cut_start(sandbox: Sandbox, name: str, partition: int, offset: int) -> None:
    """Delete the records of a partition before an offset."""
    for future in sandbox.admin.delete_records([TopicPartition(sandbox.topic(name), partition, offset)]).values():
        future.result(30)
