"""A Kafka producer for code on an event loop: each record is waited for without holding up the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from eventfold.kafka.clients import made
from eventfold.kafka.errors import said
from eventfold.kafka.publisher import UNKNOWN_TOPIC_MS, Delivered, NotSentError, PublishError, not_taken, position_of
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.envelope import Headers
from eventfold.schemas.errors import UnavailableError
from eventfold.schemas.position import Position

ACKNOWLEDGED_S = 15.0
_QUEUE = 20_000
_POLL_S = 0.1
_CLOSE_S = 5


class LoopPublisher:
    """Sends records in the order given, with `wait` for what an event loop brings; `send` returns once Kafka has the record.

    A thread serves the producer's reports; `close` ends it.
    """

    def __init__(self, settings: KafkaSettings, wait: Callable[[Awaitable[Position]], Position]) -> None:
        self._wait = wait
        self._producer = made(
            Producer,
            settings,
            settings.producer(
                **{
                    "queue.buffering.max.messages": _QUEUE,
                    "linger.ms": 0,
                    "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_MS,
                }
            ),
        )
        self._bootstrap = settings.bootstrap
        self._closed = threading.Event()
        self._serving = threading.Thread(target=self._serve, name="reports", daemon=True)
        self._serving.start()

    def send(
        self, topic: str, key: str | bytes | None, value: bytes | None, headers: Headers, delivered: Delivered | None = None
    ) -> None:
        """Send one record; NotSentError when it is not taken, UnavailableError when too many wait already.

        PublishError when nothing is known of it: it is not acknowledged within 15 s, and may be yet.
        """
        position = self._wait(self._sent(topic, key, value, headers))
        if delivered is not None:
            delivered(position)

    def flush(self, still_s: float = ACKNOWLEDGED_S) -> None:
        """Nothing waits: what was sent is acknowledged."""

    def close(self) -> None:
        """Wait a little for what is under way, and end."""
        self._producer.flush(_CLOSE_S)
        self._closed.set()
        self._serving.join()

    async def _sent(self, topic: str, key: str | bytes | None, value: bytes | None, headers: Headers) -> Position:
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[Position] = loop.create_future()

        def settle(error: KafkaError | None, position: Position | None) -> None:
            if sent.done():
                return
            if error is not None:
                sent.set_exception(not_taken(error))
            elif position is not None:
                sent.set_result(position)

        def report(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(settle, error, None if error is not None else position_of(message))

        try:
            self._producer.produce(topic, value, key, headers=headers, on_delivery=report)
        except BufferError:
            raise UnavailableError(f"{_QUEUE:,} records wait for Kafka at {self._bootstrap} already") from None
        except KafkaException as error:
            raise NotSentError(f"nothing was sent to {topic} for the key {key!r}: {said(error)}") from error
        try:
            async with asyncio.timeout(ACKNOWLEDGED_S):
                return await sent
        except TimeoutError:
            raise PublishError(f"Kafka at {self._bootstrap} did not acknowledge it within {ACKNOWLEDGED_S:g} s") from None

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)
