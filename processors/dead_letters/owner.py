"""Who owns dead letters: a projection, a domain's handler, a process manager; and what can be done about theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eventfold.processors.projector.foreign_topic import ForeignEvent
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Headers, as_mapping
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place
from eventfold.schemas.times import iso
from eventfold.store.parked import shown

RETRY, DISCARD, SKIP = "retry", "discard", "skip-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What waits of one key in one partition.

    origin: the first of the records. events: how many. since: when the log took the first, milliseconds since 1970 UTC.
    """

    owner: str
    domain: str
    key: bytes
    origin: Position
    events: int
    error: str
    since: int

    @property
    def place(self) -> Place:
        return self.origin.topic, self.origin.partition

    def to_json(self) -> dict[str, Any]:
        return {
            "owner": self.owner,
            "domain": self.domain,
            "key": shown(self.key),
            "origin": str(self.origin),
            "events": self.events,
            "error": self.error,
            "since": iso(self.since),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One record that waits. recorded: when the log took it, in milliseconds. foreign: of a topic that others write, the event
    that it is, or why it is none.
    """

    position: Position
    recorded: int
    headers: Headers
    value: bytes | None
    foreign: ForeignEvent | DecodeError | None = None

    def to_json(self, codec: Codec) -> dict[str, Any]:
        """With its data, in the form of the newest version, as far as it can be decoded today; else with its bytes as
        hexadecimal digits, and why. `schema_version` is the one it was written with, where that is known.
        """
        row: dict[str, Any] = {
            "position": str(self.position),
            "recorded": iso(self.recorded),
            "headers": {name: text.decode(errors="backslashreplace") for name, text in as_mapping(self.headers).items()},
        }
        try:
            if isinstance(self.foreign, DecodeError):
                raise self.foreign
            if self.foreign is not None:
                return {**row, "schema_version": self.foreign.version, "type": self.foreign.type, "data": self.foreign.data}
            row["schema_version"] = codec.written(self.value).version
            type_, data = codec.shown(self.value)
        except DecodeError as error:
            return {**row, "bytes": None if self.value is None else self.value.hex(), "undecodable": error.reason}
        return {**row, "type": type_, "data": data}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What came of a retry, a discard or a skip of one key.

    done: how many records were worked on. dropped: how many were thrown away. left: how many still wait. error: why they do.
    note: what else there is to know.
    """

    key: bytes
    done: int = 0
    dropped: int = 0
    left: int = 0
    error: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        row = {"key": shown(self.key), "done": self.done, "dropped": self.dropped, "left": self.left}
        return {**row, **({"error": self.error} if self.error else {}), **({"note": self.note} if self.note else {})}


class Owner(Protocol):
    """The letters of one owner."""

    name: str

    def entries(self) -> Sequence[Entry]:
        """What waits, by partition and in the order in which it began to."""
        ...

    def items(self, entry: Entry) -> Sequence[Item]:
        """The records of a key, in their order."""
        ...

    def resolve(self, entry: Entry, how: str) -> Resolved:
        """Do what `how` says (retry, discard, skip-key) about a key; EventfoldError when it cannot be done."""
        ...
