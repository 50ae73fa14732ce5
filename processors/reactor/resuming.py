"""Where a process manager goes on: at its group's offsets, once the log is known to be the one that they are of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.processors.sources import refuse_added
from eventfold.schemas.errors import BeginningGoneError, OtherLogError
from eventfold.schemas.record import Place

# Names in a note that no topic can have.
_KNOWN = "known"
_PARTITIONS = "partitions:"
log = structlog.get_logger("process-manager")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where to go on in one partition.

    offset: the next one. known: up to where everything may have been reacted to before: a group that lost its offsets
    begins anew, and what is older there than a command lives is not reacted to again. committed: the group has it so.
    """

    offset: int
    known: int = 0
    committed: bool = True


class Resuming:
    """Takes partitions up for one group.

    Beside each offset the group remembers the ids of ALL topics, since Kafka forgets the offsets of a topic that is
    deleted, and with them that it was another one; and how many partitions each had.
    """

    def __init__(self, topics: Topics, group: str, sources: Collection[str], expiring: Collection[str]) -> None:
        self._topics = topics
        self._group = group
        self._sources = sorted(sources)
        self._expiring = frozenset(expiring)
        self._ids: dict[str, str] = {}
        self._partitions: dict[str, int] = {}

    def take(self, consumer: BatchConsumer, places: Collection[Place]) -> dict[Place, Stand]:
        """Where each partition stands.

        LogError when a topic was deleted and made again, was cut short, or no longer reaches back to where to go on; of a
        topic that is expiring, what is gone by age is not missed. PartitionsAddedError when it has more of them than it had.
        """
        info = self._topics.describe(self._sources)
        noted = consumer.noted([(name, p) for name, topic in info.items() for p in range(topic.partitions)])
        for note in {note for _, note in noted.values()}:
            self._check(info, _ids(note), _partitions(note))
        self._check(info, {}, self._partitions)
        self.know(info)
        starts, ends = self._topics.starts(places), self._topics.ends(places, committed=False)
        return {place: self._stand(place, noted.get(place), starts[place], ends[place]) for place in places}

    def know(self, info: Mapping[str, TopicInfo]) -> None:
        """From now on the group's offsets are of these topics."""
        self._partitions = {name: topic.partitions for name, topic in info.items()}
        self._ids = {name: topic.id for name, topic in info.items()}

    def check(self) -> None:
        """LogError when a topic was deleted and made again meanwhile, PartitionsAddedError when it has more partitions."""
        self._check(self._topics.describe(self._sources), self._ids, self._partitions)

    def note(self, stand: Stand) -> str:
        """What the group is to remember beside an offset."""
        known = {_KNOWN: stand.known} if stand.known > stand.offset else {}
        counts = {_PARTITIONS + name: count for name, count in self._partitions.items()}
        return " ".join(f"{name}={value}" for name, value in {**known, **self._ids, **counts}.items())

    def _check(self, info: Mapping[str, TopicInfo], ids: Mapping[str, str], partitions: Mapping[str, int]) -> None:
        for name, id_ in ids.items():
            if name in info and (topic := info[name]).id != id_:
                raise OtherLogError(
                    f"the topic {name!r} was deleted and made again (its id is {topic.id}, reacted to was {id_})"
                )
        refuse_added(f"{self._group!r} reacted to it", partitions, {name: topic.partitions for name, topic in info.items()})

    def _stand(self, place: Place, noted: tuple[int, str] | None, start: int, end: int) -> Stand:
        where, expires = f"{place[0]}/{place[1]}", place[0] in self._expiring
        if noted is None:
            if start > 0 and not expires:
                raise BeginningGoneError(
                    f"{where}: the log begins at offset {start}, and the group {self._group!r} has no offset in it"
                )
            if end > start:
                log.warning("the group has no offset, beginning anew", group=self._group, topic=place[0], partition=place[1])
            return Stand(offset=start, known=end, committed=False)
        offset, note = noted
        if offset > end:
            raise OtherLogError(f"{where}: the log was cut short: it ends at offset {end}, reacted to is up to {offset}")
        if offset < start:
            if not expires:
                raise BeginningGoneError(f"{where}: the log begins at offset {start}, but reacted to is only up to {offset}")
            log.warning("refusals expired unread", topic=place[0], partition=place[1], from_=offset, to=start)
        return Stand(offset=max(offset, start), known=int(_read(note).get(_KNOWN, "0")))


def begin_at(topics: Topics, group: str, sources: Collection[str]) -> dict[Place, tuple[int, str]]:
    """The offsets and notes with which a group begins with what its topics still have, as one that lost its offsets."""
    info = topics.describe(sorted(sources))
    places = [(name, p) for name, topic in info.items() for p in range(topic.partitions)]
    resuming = Resuming(topics, group, sources, ())
    resuming.know(info)
    ends = topics.ends(places, committed=False)
    stands = {place: Stand(offset=start, known=ends[place]) for place, start in topics.starts(places).items()}
    return {place: (stand.offset, resuming.note(stand)) for place, stand in stands.items()}


def _read(note: str) -> dict[str, str]:
    """The pairs of a note; one that something else wrote has none."""
    pairs = [part.partition("=") for part in note.split() if "=" in part]
    return {name: value for name, _, value in pairs}


def _ids(note: str) -> dict[str, str]:
    """The ids in a note, by topic."""
    return {name: value for name, value in _read(note).items() if name != _KNOWN and not name.startswith(_PARTITIONS)}


def _partitions(note: str) -> dict[str, int]:
    """How many partitions each topic had, by a note."""
    pairs = _read(note).items()
    return {name.removeprefix(_PARTITIONS): int(value) for name, value in pairs if name.startswith(_PARTITIONS)}
