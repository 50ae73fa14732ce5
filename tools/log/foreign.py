"""The records of a topic that others write, as projections declare them (`Foreign`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eventfold.processors.projector.foreign_topic import ForeignTopic
from eventfold.processors.runtime import Runtime
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.record import Record
from eventfold.tools.log.told import about


class ForeignEvent(NamedTuple):
    """What a record is by a declaration. version: of the schema it was written with. data: as JSON for people."""

    key: str
    type: str
    version: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ForeignRecords:
    """Reads records by the first of some declarations, each with its projection's name, that can."""

    codec: Codec
    declared: Sequence[tuple[str, ForeignTopic]]

    def event(self, record: Record) -> ForeignEvent:
        """The event that a record is; DecodeError says why it is none for the first of the declarations."""
        faults = []
        for name, topic in self.declared:
            try:
                return self._event(name, topic, record)
            except DecodeError as error:
                faults.append(error)
        raise faults[0]

    def key(self, record: Record) -> str | bytes | None:
        """The key of the event that a record is, or the record's own where it is none."""
        try:
            return self.event(record).key
        except DecodeError:
            key: str | bytes | None = record.key()
            return key

    def told(self, record: Record) -> dict[str, Any]:
        """As `eventfold.tools.log.told.told`, with the event's key."""
        row = about(record)
        try:
            event = self.event(record)
            row |= {"type": event.type, "schema_version": event.version, "data": event.data, "key": event.key}
        except DecodeError as error:
            row["error"] = str(error)
        return row

    def _event(self, name: str, topic: ForeignTopic, record: Record) -> ForeignEvent:
        if not topic.is_event(record):
            raise DecodeError(f"it is no event for the projection {name!r}")
        message = topic.message(record)
        assert message is not None
        type_, data = message
        key = topic.key(record) if topic.declared.data_key is None else topic.data_key(data)
        return ForeignEvent(key, type_, topic.version(record), self.codec.to_json(type_, data))


def foreign_records(runtime: Runtime, codec: Codec, topic: str) -> ForeignRecords | None:
    """How the records of a topic are read where projections declare that others write it; else None."""
    declared = [
        (name, ForeignTopic(of, codec))
        for name, projection in sorted(runtime.projections.items())
        for of in projection.foreign
        if runtime.names.topic(of.topic) == topic
    ]
    return ForeignRecords(codec, declared) if declared else None
