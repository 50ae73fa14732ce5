"""Looks back into the log: an aggregate's events, or one event by its id, through an index of offsets or by a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import cached_property

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.processors.projector.one_by_one import placed
from eventfold.processors.sources import refuse_added_since
from eventfold.projections.index import Indexed, LogIndex
from eventfold.projections.past import Aggregate
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import header
from eventfold.schemas.errors import DecodeError, EventfoldError, NotFoundError, OtherLogError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import Place, Record
from eventfold.store.connection import Redis, RedisError
from eventfold.store.generations import Generations

_AHEAD_KB = 1_024


class TooMuchError(EventfoldError):
    """An aggregate has more bytes of events than may be held in memory for one question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The records of an aggregate, in the order of the log, that lie before `end`."""

    place: Place
    end: int
    records: list[Record]


class History:
    """A `eventfold.projections.past.Past` that reads Kafka.

    What an index knows is read offset by offset; what lies behind the index, up to the end of what is committed, is
    scanned. So an answer is whole whether the index is up to date, behind, or not there, and only its speed differs.
    Redis is needed only where there is an index. Where it answers, partitions that were added to a topic since it was folded
    are refused: the events of a key may not lie where it hashes to now.
    """

    def __init__(
        self,
        *,
        kafka: KafkaSettings,
        redis: Redis,
        names: Names,
        codec: Callable[[], Codec],
        domains: Iterable[str],
        indexes: Callable[[], Mapping[str, Projection]],
        owners: Callable[[str], Iterable[str]],
    ) -> None:
        """owners: whose generations fold a topic (without the prefix), projections and ledgers of handlers."""
        self._kafka = kafka
        self._redis = redis
        self._names = names
        self._codec = codec
        self._domains = list(domains)
        self._indexes = indexes
        self._owners = owners
        self._generations = Generations(redis, names.prefix)
        self._log = RangeReader(kafka, names.topic("eventfold.history"), _AHEAD_KB)
        self._most_bytes: int | None = None

    def bounded(self, check: Callable[[], None], most_bytes: int) -> History:
        """The same log, for questions of others: TooMuchError for an aggregate with more than `most_bytes` of events.

        check: called between two batches of records; what it raises ends the reading.
        """
        other = copy(self)
        other._log = RangeReader(self._kafka, self._names.topic("eventfold.history"), _AHEAD_KB, check)
        other._most_bytes = most_bytes
        return other

    @property
    def codec(self) -> Codec:
        """What its records are decoded by."""
        return self._codec()

    @cached_property
    def _topics(self) -> Topics:
        return Topics(self._kafka)

    def aggregate(self, topic: str, key: str, before: int | None = None) -> Aggregate:
        """The events under `key`, decoded, of those that lie before an offset; DecodeError for the first that cannot be."""
        found = self.records(topic, key)
        codec = self.codec
        return Aggregate(
            topic=found.place[0],
            partition=found.place[1],
            end=found.end,
            events=[_event(codec, record, key) for record in found.records if before is None or record.offset() < before],
        )

    def of_domain(self, domain: str, key: str) -> Found:
        """The records of an aggregate; NotFoundError when there is none, UsageError for a domain that is not enabled."""
        found = self.records(self._topic(domain), key)
        if not found.records:
            raise NotFoundError(f"{key!r} has no event in {found.place[0]}/{found.place[1]}")
        return found

    def records(self, topic: str, key: str) -> Found:
        """The committed records under `key` in the partition that it belongs to; `topic` without the prefix."""
        name, raw = self._names.topic(topic), key.encode()
        info = self._topics.describe([name])[name]
        self._refuse_added(topic, info)
        place = (name, partition_of(raw, info.partitions))
        end = self._topics.ends([place], committed=True)[place]
        index = self._index(topic)
        known = Indexed() if index is None else index.aggregate(*place, info.id, key)
        records = self._held(key, self._read(place, raw, index, known, end))
        return Found(place=place, end=max(end, known.until), records=records)

    def _read(self, place: Place, raw: bytes, index: LogIndex | None, known: Indexed, end: int) -> Iterator[Record]:
        for record in self._log.at(place, known.offsets):
            if record.key() != raw and index is not None:
                raise _unfit(index, record, f"an event of {raw.decode()!r}")
            yield record
        for record in self._log.scan({place: (known.until, end)}, f"{place[0]}/{place[1]}"):
            if record.key() == raw:
                yield record

    def _held(self, key: str, records: Iterable[Record]) -> list[Record]:
        if self._most_bytes is None:
            return [*records]
        found, size = [], 0
        for record in records:
            found.append(record)
            size += len(record.value() or b"")
            if size > self._most_bytes:
                raise TooMuchError(
                    f"the events of {key!r} have more than {self._most_bytes:,} bytes: read them with `eventfold history` or "
                    "`eventfold query`, which have no such limit"
                )
        return found

    def event(self, id_: str, domain: str | None = None) -> Record:
        """The event whose id is `id_`, in small letters, of one domain or of any; the first one where a fact was published
        twice. NotFoundError when there is none, UsageError for a domain that is not enabled.
        """
        topics = [self._topic(name) for name in (self._domains if domain is None else [domain])]
        infos = self._topics.existing([self._names.topic(topic) for topic in topics])
        if not infos:
            self._topics.describe([self._names.topic(topic) for topic in topics])
        starts: dict[Place, int] = {}
        for topic in topics:
            info = infos.get(self._names.topic(topic))
            if info is not None:
                found = self._indexed_event(topic, info, id_, starts)
                if found is not None:
                    return found
        ends = self._topics.ends(starts, committed=True)
        spans = {place: (start, ends[place]) for place, start in starts.items()}
        for record in self._log.scan(spans, f"looking for {id_}"):
            if _id(record) == id_:
                return record
        raise NotFoundError(f"no event has the id {id_} in {', '.join(infos)}")

    def _indexed_event(self, topic: str, info: TopicInfo, id_: str, starts: dict[Place, int]) -> Record | None:
        """The event, if an index knows it; else `starts` is given from where on each partition is to be scanned."""
        index = self._index(topic)
        for place in ((info.name, partition) for partition in range(info.partitions)):
            known = Indexed() if index is None else index.event(*place, info.id, id_)
            for record in self._log.at(place, known.offsets):
                if _id(record) != id_ and index is not None:
                    raise _unfit(index, record, f"the event {id_}")
                return record
            starts[place] = known.until
        return None

    def _refuse_added(self, topic: str, info: TopicInfo) -> None:
        with suppress(RedisError):
            refuse_added_since(self._generations, self._owners(topic), {info.name: info.partitions})

    def _topic(self, domain: str) -> str:
        if domain not in self._domains:
            raise UsageError(f"no domain is called {domain!r}; there are: {', '.join(self._domains)}")
        return f"{domain}.events"

    def _index(self, topic: str) -> LogIndex | None:
        index = next((index for index in self._indexes().values() if index.topics == (topic,)), None)
        return None if index is None else LogIndex(self._redis, self._names, index)


def _event(codec: Codec, record: Record, key: str) -> Event:
    try:
        type_, data = codec.decode(record.value())
    except DecodeError as error:
        raise placed(error, record) from error
    return Event(type_, key, data, record)


def _id(record: Record) -> str:
    return (header(record.headers(), "ce_id") or b"").decode(errors="replace").lower()


def _unfit(index: LogIndex, record: Record, what: str) -> OtherLogError:
    return OtherLogError(
        f"{record.topic()}/{record.partition()}@{record.offset()} is not {what}, as the index {index.name} has it: the index "
        f"is not of this log; fold it anew: `eventfold replay {index.name} --switch always`"
    )
