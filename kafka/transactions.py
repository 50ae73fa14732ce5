"""Kafka transactions of one writer: begin, produce, commit with the consumed offsets, or throw the producer away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from eventfold.kafka.clients import made
from eventfold.kafka.domain_topics import LARGEST_RECORD
from eventfold.kafka.errors import Kind, kind_of, said
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.errors import EventfoldError, Transient
from eventfold.schemas.record import Place, ProducerRecord

_TIMEOUT_S = 10
_GIVEN_UP_S = 12
TRANSACTION_TIMEOUT_MS = 10_000
_REJECTED = (Kind.DENIED, Kind.INVALID, Kind.TOO_LARGE, Kind.TOPIC_DENIED, Kind.TOPIC_MISSING)


class Fenced(EventfoldError):
    """A newer instance with the same name took over; this one must end."""


class Rejected(EventfoldError):
    """Kafka will never take a record as it is; to try again would fail again."""


class Unanswered(Transient):
    """Whether a transaction was committed is unknown."""


class Scattered(Transient):
    """Records that were produced in a row do not lie in a row: only the log can tell where they lie."""


class Placed(NamedTuple):
    """Where records that were produced in a row lie: their offsets, and the broker's timestamps (ms) of first and last."""

    offsets: range
    begun: int
    ended: int


class Delivered:
    """Where records of one partition of one topic came to lie, once the transaction is committed.

    Kafka keeps the order of one producer's records in a partition. So the first and the last offset tell all others,
    unless another producer wrote between them, and only two of many records need a callback.
    """

    __slots__ = ("_count", "_lie")

    def __init__(self, count: int) -> None:
        self._count = count
        self._lie: list[tuple[int, int]] = []

    def report(self, error: KafkaError | None, message: Message) -> None:
        """The delivery callback of the first and of the last record; a record that failed fails the commit too."""
        offset = message.offset()
        if error is None and offset is not None:
            self._lie.append((offset, message.timestamp()[1]))

    def placed(self) -> Placed:
        """After the commit. Scattered when the offsets between the first and the last do not follow from them."""
        if not self._count:
            return Placed(range(0), 0, 0)
        if not self._lie:
            raise Scattered("nobody reported where the records lie")
        (first, begun), (last, ended) = self._lie[0], self._lie[-1]
        if last - first + 1 != self._count:
            raise Scattered(f"{self._count} records lie between the offsets {first} and {last}: another producer writes there")
        return Placed(range(first, last + 1), begun, ended)


class Transactions:
    """Transactions under one stable `transactional.id`.

    librdkafka has no KIP-890: after a request that timed out, or an abort, `discard` and `open` anew. The broker
    aborts what an earlier producer of the same id left open as soon as the new one opens.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._settings = settings
        self._id = transactional_id
        self._producer: Producer | None = None
        self._committing: Future[None] | None = None

    def open(self) -> None:
        """Start a producer; fences every other one of the same id."""
        producer = made(
            Producer,
            self._settings,
            self._settings.producer(
                **{
                    "transactional.id": self._id,
                    "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                    "queue.buffering.max.messages": 200_000,
                    "message.max.bytes": LARGEST_RECORD,
                }
            ),
        )
        self._checked(producer.init_transactions, _TIMEOUT_S)
        self._producer = producer

    def begin(self) -> None:
        self._checked(self._open.begin_transaction)

    def produce(self, partition: int, records: Sequence[ProducerRecord]) -> Delivered:
        """Add records, all of one topic; what comes back tells after the commit where they lie."""
        delivered, last, produce = Delivered(len(records)), len(records) - 1, self._open.produce
        for index, (topic, key, value, headers, _) in enumerate(records):
            report = delivered.report if index in (0, last) else None
            while True:
                try:
                    produce(topic, value, key, partition, headers=headers, on_delivery=report)
                    break
                except BufferError:
                    self._checked(self._open.poll, 0.1)
                except KafkaException as error:
                    raise self._fault(error) from error
        return delivered

    def commit(self, offsets: Mapping[Place, int], metadata: Any, notes: Mapping[Place, str] | None = None) -> None:
        """Begin to commit records and consumed offsets together, in a thread of its own; `settle` tells what came of it.

        notes: what the group is to remember beside an offset. Without offsets, the records alone are committed.
        """
        producer = self._open
        noted = notes or {}
        positions = [TopicPartition(*place, offset, noted.get(place, "")) for place, offset in offsets.items()]
        committing: Future[None] = Future()

        def run() -> None:
            try:
                # Flushed before the offsets are added: the broker finishes the last transaction of these partitions
                # meanwhile, which makes it answer to both three times as fast.
                self._checked(producer.flush, _TIMEOUT_S)
                if positions:
                    self._checked(producer.send_offsets_to_transaction, positions, metadata, _TIMEOUT_S)
                self._checked(producer.commit_transaction, _TIMEOUT_S)
                committing.set_result(None)
            except BaseException as fault:
                committing.set_exception(fault)

        self._committing = committing
        # A daemon, since nobody can end it when librdkafka never returns: see `settle`.
        threading.Thread(target=run, name="commit", daemon=True).start()

    def settle(self) -> None:
        """Wait for the commit under way; a fault when nothing, or nothing certain, was done.

        Unanswered after 12 s, when the broker has aborted it for being open too long: of a coordinator that went away in
        the midst of it librdkafka may wait for an answer for ever, whatever time-out it was given. Such a producer is
        left alone.
        """
        if self._committing is not None:
            committing, self._committing = self._committing, None
            try:
                committing.result(_GIVEN_UP_S)
            except TimeoutError:
                self._producer = None
                raise Unanswered(f"the transaction of {self._id!r} has no answer for {_GIVEN_UP_S} s") from None

    @property
    def committing(self) -> bool:
        """Whether a commit is under way."""
        return self._committing is not None

    def discard(self) -> None:
        """Abort what is open, if that can be done, and drop the producer."""
        # What is not committed is aborted, and what is can be found in the log.
        with suppress(KafkaException, EventfoldError):
            self.settle()
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            self._checked(producer.abort_transaction, _TIMEOUT_S)
        except (KafkaException, EventfoldError):
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
        except SystemError as error:
            # The client raises a fatal error from within a call that then goes on to delivery callbacks, and Python
            # complains of a function that returned with an exception set.
            if not isinstance(error.__cause__, KafkaException):
                raise
            raise self._fault(error.__cause__) from error

    def _fault(self, error: KafkaException) -> Exception:
        kind = kind_of(error)
        if kind is Kind.ENDED:
            return Fenced(
                f"another instance took the transactional id {self._id!r} (give each its own --instance), or a transaction "
                f"was not finished within {TRANSACTION_TIMEOUT_MS // 1000} s"
            )
        if kind in _REJECTED:
            return Rejected(f"Kafka does not take what {self._id!r} writes: {said(error)}")
        return error
