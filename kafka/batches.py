"""Batches: what one poll of Kafka's client brought, by partition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message

from eventfold.kafka.errors import SEE_DOCTOR, Kind, kind_of, no_topic, outlook, said, told
from eventfold.schemas.errors import EventfoldError, LogError, Outlook
from eventfold.schemas.record import Place

Trouble = Callable[[Message, KafkaError], None]
"""What to do about an error that came in place of a record: raise, or let reading go on."""


@dataclass(slots=True)
class Batch:
    """What one look at Kafka brought: records by partition in their order, and the ends that were reached.

    An end is the offset after the last record and the transaction markers behind it.
    """

    records: dict[Place, list[Message]] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(records) for records in self.records.values())


def polled(consumer: Consumer, limit: int, timeout_s: float) -> list[Message]:
    """Wait for one message, then take what else is there, up to `limit`."""
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(limit - 1, 0)]


def by_partition(messages: Iterable[Message], owned: Collection[Place], trouble: Trouble) -> Batch:
    """The messages of a poll as a batch of the `owned` partitions; those of others are dropped, errors given to `trouble`."""
    batch = Batch()
    topic: Any = None
    partition: Any = None
    records: list[Message] | None = None
    for message in messages:
        error = message.error()
        if error is not None:
            if kind_of(error) is Kind.PARTITION_END:
                place: Any = (message.topic(), message.partition())
                offset = message.offset()
                if place in owned and offset is not None:
                    batch.ends[place] = offset
            else:
                trouble(message, error)
            continue
        if message.partition() != partition or message.topic() != topic:
            topic, partition = message.topic(), message.partition()
            records = batch.records.setdefault((topic, partition), []) if (topic, partition) in owned else None
        if records is not None:
            records.append(message)
    return batch


def check_passes(group: str, message: Message, error: KafkaError) -> None:
    """LogError or EventfoldError for what ends a daemon, since it lasts."""
    kind = kind_of(error)
    if kind is Kind.OFFSET_GONE:
        raise LogError(
            f"{message.topic()}/{message.partition()}: the log no longer has the offset to go on from ({said(error)}): it was "
            f"cut short, or made anew; {SEE_DOCTOR}"
        )
    if kind in (Kind.TOPIC_MISSING, Kind.TOPIC_UNKNOWN):
        raise LogError(no_topic(message.topic()))
    if outlook(error) is Outlook.LASTS:
        raise EventfoldError(f"group {group!r}: Kafka says: {told(error)}")
