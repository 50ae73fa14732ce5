"""The offsets of a consumer group, read and written without joining it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from eventfold.kafka.clients import made
from eventfold.kafka.errors import Kind, kind_of, timed_out
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.errors import EventfoldError
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

    def commit(self, noted: Mapping[Place, tuple[int, str]]) -> None:
        """Commit an offset and what is noted beside it, of a group that has no member; KafkaException when it was not taken."""
        if noted:
            offsets = [TopicPartition(*place, offset, metadata=note) for place, (offset, note) in noted.items()]
            self._consumer.commit(offsets=offsets, asynchronous=False)


def delete_group(settings: KafkaSettings, group: str) -> None:
    """Delete a group with all its offsets, if there is one; EventfoldError while it has members."""
    try:
        # By a name of its own: what a client that is gone was asked is never answered.
        admin = AdminClient(settings.client())
        admin.delete_consumer_groups([group], request_timeout=_TIMEOUT_S)[group].result(_TIMEOUT_S + 5)
    except TimeoutError as error:
        raise timed_out() from error
    except KafkaException as error:
        kind = kind_of(error)
        if kind is Kind.GROUP_IN_USE:
            raise EventfoldError(f"the group {group!r} is in use: stop its daemons first") from error
        if kind is not Kind.GROUP_UNKNOWN:
            raise
