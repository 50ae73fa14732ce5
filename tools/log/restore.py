"""Writes an exported topic into an empty one: every record with its key, headers, bytes and, where it can be, its timestamp."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from eventfold.kafka.domain_topics import LARGEST_RECORD
from eventfold.kafka.publisher import BULK_S, Publisher
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.producers.cli import Interrupted
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.partitioner import partition_of
from eventfold.tools.log.saved import Saved

_TIMESTAMPS = "message.timestamp.type"
_FOR_EVER = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was written. kept_times: whether records have the timestamps that they had; else that of the restore."""

    topic: str
    partitions: Mapping[int, int]
    kept_times: bool


class Restore:
    """Restores topics of one Kafka.

    To a topic with as many partitions as the exported one each record goes to its old one. To another number it goes where its
    key belongs (schemas.partitioner), one without a key by its old partition; so do, to any number, the records of the topics
    whose keys have one partition each, to which partitions may have been added since. A partition's order is kept, and records
    of different ones are merged by their timestamps.
    """

    def __init__(self, kafka: KafkaSettings, topics: Topics, by_key: Collection[str]) -> None:
        """by_key: the topics whose keys have one partition each."""
        self._kafka = kafka
        self._topics = topics
        self._by_key = frozenset(by_key)

    def refuse_used(self, topic: TopicInfo, partitions: int | None = None) -> None:
        """UsageError when a topic has, or ever had, a record, or is not of so many partitions."""
        if partitions not in (None, topic.partitions):
            raise UsageError(f"{topic.name} is there with {topic.partitions} partitions, and cannot be made with {partitions}")
        ends = self._topics.ends([(topic.name, partition) for partition in range(topic.partitions)], committed=False)
        for (_, partition), end in ends.items():
            if end:
                raise UsageError(
                    f"{topic.name} has, or had, records (its partition {partition} ends at offset {end}): a log is restored "
                    "into one that never had any: name another, or delete this with Kafka's tools if nothing needs it"
                )

    def write(self, saved: Saved, topic: str) -> Restored:
        """Write all records into an existing topic that never had any.

        UsageError as `refuse_used`, and for files of some partitions alone that would have to go to another number of them.
        EventfoldError, saying that the topic is incomplete, when it fails midway.
        """
        info = self._topics.describe([topic])[topic]
        self.refuse_used(info)
        partitions = info.partitions
        if partitions != saved.partitions and len(saved.files) < saved.partitions:
            raise UsageError(f"only part of {saved.topic} is there, which {topic} with its {partitions} partitions cannot take")
        written: Counter[int] = Counter()
        as_it_was = partitions == saved.partitions and topic not in self._by_key
        with self._times_kept(topic) as kept, _whole(topic):
            publisher = Publisher(self._kafka, queue=100_000, linger_ms=20, largest=LARGEST_RECORD)
            for old, record in saved.records():
                new = old if as_it_was else _place(record.key, old, partitions)
                time_ = max(record.timestamp, 0) if kept else 0
                publisher.send(topic, record.key, record.value, [*record.headers], None, new, time_)
                written[new] += 1
            publisher.flush(BULK_S)
            self._compare(topic, partitions, written)
        return Restored(topic=topic, partitions=dict(sorted(written.items())), kept_times=kept)

    @contextmanager
    def _times_kept(self, topic: str) -> Iterator[bool]:
        """Let producers say when records were appended, where nothing is deleted for its age; whether they may."""
        config = self._topics.config(topic)
        if config["retention.ms"] != _FOR_EVER:
            # With their old timestamps Kafka would delete them at once.
            yield False
            return
        before = config[_TIMESTAMPS]
        if before == "CreateTime":
            yield True
            return
        self._topics.configure(topic, _TIMESTAMPS, "CreateTime")
        try:
            yield True
        finally:
            self._topics.configure(topic, _TIMESTAMPS, before)

    def _compare(self, topic: str, partitions: int, written: Mapping[int, int]) -> None:
        ends = self._topics.ends([(topic, partition) for partition in range(partitions)], committed=True)
        for (_, partition), end in ends.items():
            if end != (sent := written.get(partition, 0)):
                raise EventfoldError(f"{sent} records went to the partition {partition}, which now ends at offset {end}")


@contextmanager
def _whole(topic: str) -> Iterator[None]:
    """Say of whatever ends it midway that the topic is incomplete."""
    says = f"{topic} is incomplete: delete it with Kafka's own tools, and restore it again"
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {says}") from None
    except EventfoldError as error:
        raise EventfoldError(f"{error}; {says}") from error


def _place(key: bytes | None, old: int, partitions: int) -> int:
    return old % partitions if key is None else partition_of(key, partitions)
