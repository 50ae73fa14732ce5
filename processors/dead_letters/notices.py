"""Notices: writes letters to the dead-letter topics, each into the partition that its origin has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from eventfold.kafka.domain_topics import LARGEST_RECORD
from eventfold.kafka.publisher import Publisher, PublishError
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.processors.dead_letters.letters import Letter
from eventfold.schemas.errors import EventfoldError, Transient
from eventfold.schemas.names import Names

# What headers, key and the framing of a record may take besides its value.
_ROOM = 128 << 10


class Notices:
    """Makes letters known before what they tell of is committed. Its producer is opened at the first one."""

    def __init__(self, kafka: KafkaSettings, names: Names) -> None:
        self._kafka = kafka
        self._names = names

    @cached_property
    def _publisher(self) -> Publisher:
        return Publisher(self._kafka, largest=LARGEST_RECORD)

    def topic_of(self, events: str) -> str:
        """The dead-letter topic of the domain whose topic this is."""
        return self._names.letters_of(events)

    def write(self, letters: Iterable[Letter]) -> None:
        """Return once Kafka has them all; Transient when it may not, NotFoundError without a topic.

        A value that leaves no room for the letter's own headers is left out: it stands in the log.
        """
        try:
            for letter in letters:
                topic, key, value, headers, _ = letter.to_record(self.topic_of(letter.origin.topic))
                if value is not None and len(value) > LARGEST_RECORD - _ROOM:
                    value = None
                self._publisher.send(topic, key, value, headers, partition=letter.origin.partition)
            self._publisher.flush()
        except PublishError as error:
            # One that gave up takes no record any more.
            self.__dict__.pop("_publisher", None)
            raise Transient(f"a dead letter was not acknowledged: {error}") from error


def check_topics(kafka: KafkaSettings, names: Names, sources: Sequence[str]) -> None:
    """EventfoldError when a topic that letters of these topics go to is missing, or has fewer partitions than they."""
    notices, topics = Notices(kafka, names), Topics(kafka)
    infos = topics.describe(list(dict.fromkeys([*sources, *map(notices.topic_of, sources)])))
    for source in sources:
        refuse_fewer(infos[notices.topic_of(source)], infos[source])


def refuse_fewer(letters: TopicInfo, source: TopicInfo) -> None:
    """EventfoldError when a dead-letter topic has fewer partitions than a topic whose letters it takes."""
    if letters.partitions < source.partitions:
        raise EventfoldError(
            f"the topic {letters.name!r} has {letters.partitions} partitions, but {source.name!r} has {source.partitions}, and "
            "a dead letter goes to the partition of its origin: give it as many (more do no harm there)"
        )
