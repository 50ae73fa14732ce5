"""Puts records into topics: an idempotent Kafka producer with a bounded queue."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.settings import KafkaSettings
from schemas.envelope import Headers
from schemas.errors import LogfoldError
from schemas.position import Position

_FLUSH_S = 30
Delivered = Callable[[Position], None]


class PublishError(LogfoldError):
    """A record was not acknowledged; whether the log has it is unknown. Sending it again with its id is harmless."""


class Publisher:
    """Sends records in the order given, a partition's order kept also across retries.

    At most `queue` records wait to be acknowledged: `send` then blocks, so memory is bounded.
    """

    def __init__(self, settings: KafkaSettings, queue: int = 20_000, linger_ms: float = 5) -> None:
        self._producer = Producer(settings.producer(**{"queue.buffering.max.messages": queue, "linger.ms": linger_ms}))
        self._failed: KafkaError | None = None
        self._timeout_s = _FLUSH_S

    def send(self, topic: str, key: str, value: bytes, headers: Headers, delivered: Delivered | None = None) -> None:
        """Queue one record; PublishError as soon as an earlier one is known to have failed."""

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed = self._failed or error
            elif delivered is not None:
                delivered(_position(message))

        while True:
            self._check()
            try:
                self._producer.produce(topic, value=value, key=key, headers=headers, on_delivery=report)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise PublishError(f"{topic} key {key!r}: {error.args[0].str()}") from error

    def flush(self) -> None:
        """Return when every record is acknowledged; PublishError when one is not, or not in time."""
        left = self._producer.flush(self._timeout_s)
        self._check()
        if left:
            raise PublishError(f"{left} records were not acknowledged within {self._timeout_s} s")

    def poll(self, timeout_s: float) -> None:
        """Serve acknowledgements for so long."""
        self._producer.poll(timeout_s)
        self._check()

    def _check(self) -> None:
        if self._failed is not None:
            raise PublishError(f"Kafka did not take a record: {self._failed.str()}")


def _position(message: Message) -> Position:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    return Position(topic, partition, offset)
