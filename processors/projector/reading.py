"""From records to events, those of topics that others write among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from eventfold.processors.projector.foreign_topic import ForeignEvent, ForeignTopic
from eventfold.processors.projector.one_by_one import decoded, placed
from eventfold.projections.foreign import Foreign
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.event import Event
from eventfold.schemas.names import Names
from eventfold.schemas.record import Record


class Keyed:
    """A record of a topic that others write, under the key of its event; all else is as it was written.

    fault: why it is no event; its key is that of the record then, as far as that cannot be told either.
    """

    __slots__ = ("_key", "event", "fault", "headers", "offset", "partition", "raw_key", "timestamp", "topic", "value")

    def __init__(self, record: Record, key: bytes, event: Event | None, fault: DecodeError | None) -> None:
        self._key = key
        self.event = event
        self.fault = fault
        self.raw_key = record.key
        self.topic, self.partition, self.offset = record.topic, record.partition, record.offset
        self.value, self.headers, self.timestamp = record.value, record.headers, record.timestamp

    def key(self) -> bytes:
        return self._key


class Reading:
    """What a projection reads, as it declares it. Topics of eventfold's own pay nothing for the others."""

    def __init__(self, projection: Projection, codec: Codec, names: Names) -> None:
        """UsageError for a field, or a type or version of bare values, that the catalog does not have."""
        self._decode = codec.reader(projection.reads)
        self.flat = codec.flat(projection.reads)
        """The types whose events hold neither lists nor objects."""
        self._foreign = {names.topic(of.topic): _Taking(of, projection, codec) for of in projection.foreign}

    def is_foreign(self, topic: str) -> bool:
        """Whether others write a topic (with the prefix)."""
        return topic in self._foreign

    def taken(self, records: Sequence[Record]) -> Sequence[Record]:
        """Of records of one topic those that are events, under the keys of these; of our own topics just the records."""
        foreign = self._foreign.get(records[0].topic() or "") if self._foreign and records else None
        return records if foreign is None else cast(Sequence[Record], foreign.taken(records))

    def foreign_event(self, record: Record) -> ForeignEvent | None:
        """What a record of a topic that others write is; None for one of our own. DecodeError says why it is no event."""
        foreign = self._foreign.get(record.topic() or "")
        return None if foreign is None else foreign.topic.event(record)

    def events(self, taken: Sequence[Record]) -> list[Event]:
        """The events, of the types that are folded, in what was `taken`; DecodeError says where the first bad one lies."""
        if not taken or not isinstance(taken[0], Keyed):
            return decoded(self._decode, taken)
        return [event for record in cast(Sequence[Keyed], taken) if (event := _event(record)) is not None]


def is_of(record: Record, key: bytes) -> bool:
    """Whether a record could have been parked under this key: that of the event, or where none could be told the record's."""
    if isinstance(record, Keyed):
        return key in (record.key(), _raw(record.raw_key()))
    return _raw(record.key()) == key


class _Taking:
    """Takes the events from one topic that others write."""

    def __init__(self, declared: Foreign, projection: Projection, codec: Codec) -> None:
        self.topic = ForeignTopic(declared, codec)
        self._reads = projection.reads
        # A key that is in the data is needed of every type.
        self._by_data = declared.data_key is not None
        self._wanted = None if self._by_data else self._reads

    def taken(self, records: Sequence[Record]) -> list[Keyed]:
        return [taken for record in records if (taken := self._taken(record)) is not None]

    def _taken(self, record: Record) -> Keyed | None:
        topic, key, event, fault = self.topic, None, None, None
        try:
            if not topic.is_event(record):
                return None
            if not self._by_data:
                key = topic.key(record)
            message = topic.message(record, self._wanted)
            if message is not None:
                type_, data = message
                if self._by_data:
                    key = topic.data_key(data)
                if type_ in self._reads:
                    names = self._reads[type_]
                    read = data if names is None else {name: of for name, of in data.items() if name in names}
                    event = Event(type_, cast(str, key), read, record)
        except DecodeError as error:
            fault = error
        return Keyed(record, _raw(record.key()) if key is None else key.encode(), event, fault)


def _event(record: Keyed) -> Event | None:
    if record.fault is not None:
        raise placed(record.fault, cast(Record, record)) from record.fault
    return record.event


def _raw(key: str | bytes | None) -> bytes:
    return key.encode() if isinstance(key, str) else key or b""
