"""An event as a fold sees it."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventfold.schemas.envelope import Envelope, actor_of, as_mapping, header
from eventfold.schemas.message import Message
from eventfold.schemas.position import Position
from eventfold.schemas.record import Record


class Event(NamedTuple):
    """One decoded event.

    type: the Avro full name. key: the aggregate's id. data: the fields (see eventfold.schemas.message.Message). record: what it
    was read from, for position and envelope.
    """

    type: str
    key: str
    data: dict[str, Any]
    record: Record | None = None

    @property
    def position(self) -> Position:
        """Where it lies (`none/0@0` for one that a test made). Rows must not hold it, an index of positions aside."""
        record = self.record
        if record is None:
            return Position("none", 0, 0)
        return Position(record.topic(), record.partition(), record.offset())

    @property
    def recorded(self) -> int:
        """When the log took it, milliseconds since 1970 UTC: the record's timestamp (0 for one that a test made)."""
        recorded: int = 0 if self.record is None else self.record.timestamp()[1]
        return recorded

    @property
    def envelope(self) -> Envelope:
        """The CloudEvents envelope, read only when asked for; DecodeError when it cannot be."""
        return Envelope.from_headers(None if self.record is None else self.record.headers())

    @property
    def message(self) -> Message:
        """It as an aggregate's state is made of it, with who asked for the command that it follows from."""
        actor = None if self.record is None else actor_of(as_mapping(self.record.headers()))
        return Message(self.type, self.data).by(actor)

    def header(self, name: str) -> bytes | None:
        """One header of its record; None where the record has none of that name, or there is no record."""
        return None if self.record is None else header(self.record.headers(), name)

    def reading(self, names: frozenset[str] | None) -> Event:
        """The event as it is decoded for who declares to read these fields of its data alone; None: all."""
        if names is None:
            return self
        return self._replace(data={name: value for name, value in self.data.items() if name in names})

    def __repr__(self) -> str:
        return f"Event({self.type!r}, {self.key!r}, {self.data!r}, {self.position})"
