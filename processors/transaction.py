"""Kafka transactions of one writer: begin, produce, commit with the consumed offsets, or throw the producer away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from processors.records import Record
from processors.topics import Place
from producers.settings import KafkaSettings
from schemas.envelope import Headers, header
from schemas.errors import LogfoldError

_TIMEOUT_S = 15
TRANSACTION_TIMEOUT_MS = 10_000
# _FATAL is what librdkafka says once it has learned in the background that it is fenced.
_FENCED = (KafkaError._FENCED, KafkaError._FATAL, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class Fenced(LogfoldError):
    """A newer instance with the same name took over; this one must end."""


class Delivery(NamedTuple):
    """Where a produced record came to lie: offset, the broker's timestamp (ms), the record's `ce_id`."""

    offset: int
    timestamp: int
    id: str


class Transactions:
    """Transactions under one stable `transactional.id`.

    librdkafka has no KIP-890: after a request that timed out, or an abort, `discard` and `open` anew. The broker
    aborts what an earlier producer of the same id left open as soon as the new one opens.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._settings = settings
        self._id = transactional_id
        self._producer: Producer | None = None

    def open(self) -> None:
        """Start a producer; fences every other one of the same id."""
        producer = Producer(
            self._settings.producer(
                **{
                    "transactional.id": self._id,
                    "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                    "queue.buffering.max.messages": 200_000,
                }
            )
        )
        self._checked(producer.init_transactions, _TIMEOUT_S)
        self._producer = producer

    def begin(self) -> None:
        self._checked(self._open.begin_transaction)

    def produce(
        self,
        partition: int,
        record: Record,
        deliveries: list[Delivery],
    ) -> None:
        """Add a record; its delivery is appended once the broker has it, in the order of produce calls."""

        def delivered(error: KafkaError | None, message: Message) -> None:
            # A failed record fails the commit as well.
            if error is None:
                deliveries.append(_delivery(message, record.headers))

        producer = self._open
        while True:
            try:
                producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=partition,
                    headers=record.headers,
                    on_delivery=delivered,
                )
                return
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                raise self._fault(error) from error

    def commit(self, offsets: Mapping[Place, int], metadata: Any) -> None:
        """Commit records and consumed offsets together; KafkaException when nothing, or nothing certain, was done."""
        producer = self._open
        # Flushed before the offsets are added: the broker finishes the last transaction of these partitions
        # meanwhile, which makes it answer to both three times as fast.
        self._checked(producer.flush, _TIMEOUT_S)
        positions = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        self._checked(producer.send_offsets_to_transaction, positions, metadata, _TIMEOUT_S)
        self._checked(producer.commit_transaction, _TIMEOUT_S)

    def discard(self) -> None:
        """Abort what is open, if that can be done, and drop the producer."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.abort_transaction(_TIMEOUT_S)
        except KafkaException:
            # The next producer of this id aborts it.
            producer.purge()

    @property
    def _open(self) -> Producer:
        assert self._producer is not None
        return self._producer

    def _checked(self, call: Callable[..., Any], *args: Any) -> None:
        try:
            call(*args)
        except KafkaException as error:
            raise self._fault(error) from error

    def _fault(self, error: KafkaException) -> Exception:
        if error.args[0].code() in _FENCED:
            return Fenced(f"another instance took the transactional id {self._id!r}: give each its own --instance")
        return error


def _delivery(message: Message, headers: Headers) -> Delivery:
    offset = message.offset()
    assert offset is not None
    return Delivery(offset, message.timestamp()[1], (header(headers, "ce_id") or b"").decode())
