"""Reading back: one aggregate's own events, folded in memory up to a point, answer its projection's query.

What is folded are the events of that aggregate alone, so a table whose rows many aggregates share shows its part only.
This room does not know where the events come from; whoever reads the log is a `Past`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eventfold.projections.fold import FoldError
from eventfold.projections.in_memory import folded
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import DecodeError, EventfoldError, NotFoundError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.position import Position
from eventfold.schemas.times import iso, millis
from eventfold.store.index_members import Parts, beginning, member
from eventfold.store.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One aggregate's events in the order of the log, as far as that is committed.

    topic, partition: where they lie, the topic with its prefix. end: the partition's first offset that was not looked at.
    """

    topic: str
    partition: int
    end: int
    events: Sequence[Event]


class Past(Protocol):
    """Finds one aggregate's events."""

    def aggregate(self, topic: str, key: str) -> Aggregate:
        """Those under `key` in a topic (without the prefix), each with its record; none is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Up to where an aggregate is folded, inclusive; exactly one of these.

    happened: by `ce_time`, which is not in the log's order: the events that happened until then, in the log's order.
    recorded: by the record's timestamp. position: by the offset, in the partition of the aggregate.
    version: by `ce_sequence`. Times are milliseconds since 1970 UTC.
    """

    happened: int | None = None
    recorded: int | None = None
    position: Position | None = None
    version: int | None = None

    def __str__(self) -> str:
        if self.happened is not None:
            return f"as of {iso(self.happened)}"
        if self.recorded is not None:
            return f"as recorded by {iso(self.recorded)}"
        return f"as of {self.position}" if self.position is not None else f"as of version {self.version}"

    def events(self, aggregate: Aggregate, key: str) -> list[Event]:
        """The aggregate's events up to here.

        NotFoundError when there is none, or when the log has no such version or position yet; UsageError for a position
        of another partition; DecodeError for an event that lacks the header that is asked about.
        """
        where = f"{aggregate.topic}/{aggregate.partition}"
        if not aggregate.events:
            raise NotFoundError(f"{key!r} has no event in {where}")
        if self.position is not None:
            if self.position[:2] != (aggregate.topic, aggregate.partition):
                raise UsageError(f"the events of {key!r} lie in {where}, of which {self.position} says nothing")
            if self.position.offset >= aggregate.end:
                raise NotFoundError(f"{self.position} is not in the log yet: it ends at offset {aggregate.end}")
        found = [event for event in aggregate.events if self._covers(event)]
        if not found:
            raise NotFoundError(f"{key!r} had no event {self}: its first of {len(aggregate.events)} is {_shown(aggregate)}")
        if self.version is not None and (newest := max(map(_version, found))) < self.version:
            raise NotFoundError(f"{key!r} has no version {self.version} yet: it is at version {newest}")
        return found

    def _covers(self, event: Event) -> bool:
        if self.happened is not None:
            return _happened(event) <= self.happened
        if self.recorded is not None:
            return event.recorded <= self.recorded
        if self.position is not None:
            return event.position.offset <= self.position.offset
        assert self.version is not None
        return _version(event) <= self.version


class PastReader:
    """The rows that some events are folded into, with what `eventfold.projections.reader.Reader` offers a query."""

    def __init__(self, projection: Projection, events: Iterable[Event]) -> None:
        self.projection = projection
        self._tables = folded(projection, events)

    def get(self, table: str, key: str) -> Row | None:
        """The row under `key`, or None."""
        return self._tables[self.projection.table(table).name].get(key)

    def all(self, table: str) -> dict[str, Row]:
        """Every row by key, in the order of the keys."""
        return dict(sorted(self._tables[self.projection.table(table).name].items()))

    @property
    def build(self) -> str:
        """What the token of a page holds in place of a generation's id."""
        return "past"

    def find(self, table: str, index: str, prefix: Parts, *, limit: int | None = None, start: str = "") -> list[Row]:
        """As Reader.find."""
        return [row for _, row in self.entries(table, index, prefix, limit=limit, start=start)]

    def entries(
        self, table: str, index: str, prefix: Parts, *, limit: int | None = None, start: str = ""
    ) -> list[tuple[str, Row]]:
        """As Reader.entries."""
        declared = {i.name: i for i in self.projection.table(table).indexes}
        if index not in declared:
            raise UsageError(f"the table {table!r} has no index {index!r}")
        members: list[tuple[bytes, str]] = []
        for key, row in self._tables[table].items():
            parts = declared[index].member(key, row)
            if parts is not None:
                members.append((member(parts, key).encode(), key))
        begin, low = beginning(prefix).encode(), start.encode()
        wanted = [key for text, key in sorted(members) if text.startswith(begin) and text >= low][:limit]
        return [(key, self._tables[table][key]) for key in wanted]


def answer_as_of(projection: Projection, params: dict[str, Any], point: Point, past: Past) -> Any:
    """What the projection's query says of the aggregate that its parameters name, at `point`.

    UsageError when the query is of no aggregate; else as `Point.events`, and FoldError as a projector has it.
    """
    query = projection.query
    param = None if query is None else query.aggregate
    if query is None or param is None:
        raise UsageError(f"{projection.name!r} answers of no single aggregate: it cannot be read as of a point")
    if projection.foreign:
        raise UsageError(f"{projection.name!r} reads a topic that others write: it cannot be read as of a point")
    key = params[param.name]
    aggregate = past.aggregate(projection.topics[0], key)
    events = point.events(aggregate, key)
    try:
        reader = PastReader(projection, events)
    except FoldError as error:
        if list(aggregate.events[: len(events)]) == events:
            raise
        raise EventfoldError(
            f"{error}; {point} an event before it in the log is left out, since it happened later: "
            "ask by --as-of-version or --recorded-as-of"
        ) from error
    return query.run(reader, **params)


def _shown(aggregate: Aggregate) -> str:
    first = aggregate.events[0]
    happened = first.header("ce_time") or b"?"
    return f"{first.position}, happened {happened.decode(errors='replace')}, recorded {iso(first.recorded)}"


def _happened(event: Event) -> int:
    text = _header(event, "ce_time")
    try:
        return millis(text)
    except UsageError as error:
        raise _bad(event, f"its ce_time cannot be read: {error}") from None


def _version(event: Event) -> int:
    text = _header(event, "ce_sequence")
    try:
        return int(text)
    except ValueError:
        raise _bad(event, f"its ce_sequence is no number: {text!r}") from None


def _header(event: Event, name: str) -> str:
    found = event.header(name)
    if found is None:
        raise _bad(event, f"the record has no {name} header, so it cannot be placed by it")
    return found.decode(errors="replace")


def _bad(event: Event, what: str) -> DecodeError:
    return DecodeError(what).at(*event.position, event.key)
