"""The records of a topic that others write, as projections declare them (`Foreign`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventfold.processors.projector.foreign_topic import ForeignEvent, ForeignTopic
from eventfold.processors.runtime import Runtime
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.jsonable import json_bytes
from eventfold.schemas.record import Record
from eventfold.tools.log.told import about


@dataclass(frozen=True, slots=True)
class ForeignRecords:
    """Reads records by the first of some declarations that can."""

    declared: Sequence[ForeignTopic]

    def event(self, record: Record) -> ForeignEvent:
        """The event that a record is; DecodeError says why it is none by the first of the declarations."""
        faults = []
        for topic in self.declared:
            try:
                return topic.event(record)
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
            json_bytes(event.data)
            row |= {"type": event.type, "schema_version": event.version, "data": event.data, "key": event.key}
        except (DecodeError, TypeError) as error:
            row["error"] = str(error)
        return row


def foreign_records(runtime: Runtime, codec: Codec, topic: str) -> ForeignRecords | None:
    """How the records of a topic are read where projections declare that others write it; else None."""
    declared = [
        ForeignTopic(of, codec)
        for _, projection in sorted(runtime.projections.items())
        for of in projection.foreign
        if runtime.names.topic(of.topic) == topic
    ]
    return ForeignRecords(declared) if declared else None
