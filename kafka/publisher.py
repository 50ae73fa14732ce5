"""Puts records into topics: an idempotent Kafka producer with a bounded queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from eventfold.kafka.clients import made
from eventfold.kafka.errors import Kind, kind_of, said, told
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.envelope import Headers
from eventfold.schemas.errors import UNKNOWN, EventfoldError, NotFoundError
from eventfold.schemas.position import Position

_STILL_S = 15.0
UNKNOWN_TOPIC_MS = 5_000
BULK_S = 120.0
"""For how long who sends many records waits for one acknowledgement: a broker that starts again is back by then."""
Delivered = Callable[[Position], None]


class PublishError(EventfoldError):
    """A record was not acknowledged; whether the log has it is unknown. Sending it again with its id is harmless."""

    exit_code = UNKNOWN


class NotSentError(EventfoldError):
    """A record was refused: the log does not have it, and sending it again would change nothing."""


class Publisher:
    """Sends records in the order given, a partition's order kept also across retries.

    At most `queue` records wait to be acknowledged: `send` then blocks, so memory is bounded. largest: of a record, in bytes;
    without it what the settings say.
    """

    def __init__(self, settings: KafkaSettings, queue: int = 20_000, linger_ms: float = 5, largest: int | None = None) -> None:
        self._producer = made(
            Producer,
            settings,
            settings.producer(
                **{
                    "queue.buffering.max.messages": queue,
                    "linger.ms": linger_ms,
                    "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_MS,
                    **({} if largest is None else {"message.max.bytes": largest}),
                }
            ),
        )
        self._bootstrap = settings.bootstrap
        self._failed: KafkaError | None = None

    def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        headers: Headers,
        delivered: Delivered | None = None,
        partition: int = -1,
        timestamp: int = 0,
    ) -> None:
        """Queue one record; NotSentError when it is not taken, PublishError when an earlier one is known to have failed.

        partition: by default that of the key. timestamp: milliseconds since 1970 UTC, by default now; the broker's own counts
        where the topic says so.
        """

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed = self._failed or error
            elif delivered is not None:
                delivered(position_of(message))

        while True:
            self._check()
            try:
                self._producer.produce(topic, value, key, partition, headers=headers, timestamp=timestamp, on_delivery=report)
            except BufferError:
                self._serve(0.1)
            except KafkaException as error:
                raise NotSentError(f"nothing was sent to {topic} for the key {key!r}: {said(error)}") from error
            else:
                self._serve(0)
                return

    def flush(self, still_s: float = _STILL_S) -> None:
        """Return when every record is acknowledged; PublishError when one is not, or none is for `still_s` seconds."""
        least, moved = len(self._producer), time.monotonic()
        while left := self._flush():
            self._check()
            if left < least:
                least, moved = left, time.monotonic()
            elif time.monotonic() - moved > still_s:
                raise PublishError(f"Kafka at {self._bootstrap} acknowledged none of {left} records for {still_s:g} s")
        self._check()

    def _serve(self, timeout_s: float) -> None:
        with _unknown():
            self._producer.poll(timeout_s)

    def _flush(self) -> int:
        with _unknown():
            # In between, Ctrl-C is heard.
            return self._producer.flush(1)

    def _check(self) -> None:
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise not_taken(failed)


def not_taken(failed: KafkaError) -> EventfoldError:
    """What it means that a record was not acknowledged."""
    kind = kind_of(failed)
    if kind in (Kind.TOPIC_MISSING, Kind.TOPIC_UNKNOWN):
        return NotFoundError("a topic to write to does not exist: make it with `eventfold topics create`")
    error = NotSentError if kind in (Kind.DENIED, Kind.TOO_LARGE, Kind.TOPIC_DENIED) else PublishError
    return error(f"Kafka did not take a record: {told(failed)}")


@contextmanager
def _unknown() -> Iterator[None]:
    """What the client raises here is fatal to it, and says nothing of the records that it holds."""
    try:
        yield
    except KafkaException as error:
        raise PublishError(f"Kafka's client gave up: {said(error)}") from error


def position_of(message: Message) -> Position:
    """Where a record that was acknowledged lies."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    return Position(topic, partition, offset)
