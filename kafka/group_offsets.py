"""The offsets that a consumer group has committed, read without joining it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from confluent_kafka import Consumer, TopicPartition

from eventfold.kafka.clients import made
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.record import Place

_TIMEOUT_S = 10


class GroupOffsets:
    """One group's offsets, as often as they are asked for; used with `with`."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._consumer = made(Consumer, settings, settings.client(**{"group.id": group, "enable.auto.commit": False}))

    def __enter__(self) -> GroupOffsets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._consumer.close()

    def committed(self, places: Iterable[Place]) -> dict[Place, int | None]:
        """The next offset of each partition, None where the group has none; KafkaException when no coordinator tells it."""
        found = self._consumer.committed([TopicPartition(*place) for place in places], timeout=_TIMEOUT_S)
        return {(tp.topic, tp.partition): tp.offset if tp.offset >= 0 else None for tp in found}
