"""How a projection is declared: which events it folds into which rows, and which queries read them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from projections.event import Event
from projections.foreign import Foreign
from projections.slices import META, PARKED, PARKED_EVENTS
from schemas.errors import UsageError
from schemas.failure import Policy, Stop, may_park
from schemas.names import checked_name

Row = dict[str, Any]
KeyOf = Callable[[Event], str | None]
Step = Callable[[Row | None, Event], Row | None]
Merge = Callable[[Row, Row], Row]
MemberOf = Callable[[str, Row], str | None]


def event_key(event: Event) -> str | None:
    """The aggregate's id: the key of rows that belong to one aggregate."""
    return event.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Rows in an order: a sorted set of members, compared byte by byte and read by prefix.

    member: (key, row) -> the text the row is found under (`JFK|2013-02-08|10:15`), or None to leave it out.
    """

    name: str
    member: MemberOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows by key, a JSON object each.

    merge: for rows that many aggregates share. Each slice then holds a partial row, and a query merges them; the
    merge and the fold must be associative and commutative. Without it a row belongs to one aggregate, and its key
    is the aggregate's id.
    """

    name: str
    merge: Merge | None = None
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter of a query. `positional` ones are its arguments, the others options.

    check: turns text into what the query takes, raising UsageError; by default the text itself.
    aggregate: it is the id of the one aggregate that the query is about, which can then be asked about its past too
    (`--as-of` and its like).
    """

    name: str
    help: str = ""
    positional: bool = False
    choices: tuple[str, ...] = ()
    default: str | None = None
    check: Callable[[str], Any] | None = None
    aggregate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a projection answers: `run(reader, **params)` returns a row, or rows for a list.

    columns: the fields, in order, that a person is shown; programs get all. paged: it returns a projections.paging.Page,
    and its parameter `page` takes the token of one.
    """

    run: Callable[..., Any]
    params: tuple[Param, ...] = ()
    columns: tuple[str, ...] = ()
    help: str = ""
    paged: bool = False

    @property
    def aggregate(self) -> Param | None:
        """The parameter that names one aggregate, where there is one."""
        return next((param for param in self.params if param.aggregate), None)


@dataclass(frozen=True, slots=True)
class Route:
    """One step of the fold: the row of `table` under `key_of(event)` becomes `step(row, event)`.

    reads: the fields of the event's data that `key_of` and `step` read; None for all.
    """

    table: str
    key_of: KeyOf
    step: Step
    reads: frozenset[str] | None = None


@dataclass(slots=True, kw_only=True)
class Projection:
    """A pure fold from events to rows. Declared once at import, by `@projection.on(type, table=..., key=...)`.

    version: raise it when the fold or the form of its rows changes.
    topics: without the prefix (`flights.events`).
    foreign: of these topics, those that others write: how to get the type and key of their events.
    from_any_point: whether its rows make sense when folded from a later event than the first, as counts of a year do.
    on_failure: what to do about an event that cannot be decoded or folded.
    """

    name: str
    version: int
    topics: tuple[str, ...]
    tables: tuple[Table, ...]
    query: Query | None = None
    foreign: tuple[Foreign, ...] = ()
    from_any_point: bool = False
    on_failure: Policy = field(default_factory=Stop)
    routes: dict[str, list[Route]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_name(self.name, "projection")
        if not self.topics or not self.tables:
            raise UsageError(f"the projection {self.name!r} needs at least one topic and one table")
        self._check_foreign()
        parts = [META, *self.parts]
        for part in parts:
            if parts.count(part) > 1:
                raise UsageError(f"the projection {self.name!r}: more than one part of a slice would be called {part!r}")

    def _check_foreign(self) -> None:
        topics = [of.topic for of in self.foreign]
        for declared in self.foreign:
            if declared.topic not in self.topics or topics.count(declared.topic) > 1:
                what = "is none of its topics" if declared.topic not in self.topics else "stands twice"
                raise UsageError(f"the projection {self.name!r}: the foreign topic {declared.topic!r} {what}")
            if declared.data_key is not None and may_park(self.on_failure):
                raise UsageError(
                    f"the projection {self.name!r} cannot park events of {declared.topic!r}, whose key is in their data: of "
                    "one that cannot be decoded nobody knows which others must wait for it"
                )

    @property
    def parts(self) -> list[str]:
        """What a slice of it consists of besides its progress: tables, indexes, and what is parked."""
        names = [name for table in self.tables for name in (table.name, *(index.name for index in table.indexes))]
        return [*names, PARKED, PARKED_EVENTS]

    def table(self, name: str) -> Table:
        """The table called so; UsageError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise UsageError(f"the projection {self.name!r} has no table {name!r}")

    @property
    def reads(self) -> dict[str, frozenset[str] | None]:
        """The types it folds, each with the fields that any of its steps reads; None for all."""
        return {type_: _union([route.reads for route in routes]) for type_, routes in self.routes.items()}

    def on(
        self, *types: str, table: str | None = None, key: KeyOf = event_key, reads: Collection[str] | None = None
    ) -> Callable[[Step], Step]:
        """Fold events of these types with the decorated step: (row or None, event) -> row, or None to delete it.

        The step owns the row it is given and may change it. It does no I/O and reads no clock; it is called once an
        event, in the log's order within a partition. Without `table`, the projection's first is meant; a `key` that
        gives None leaves the event out.

        reads: the fields of the event's data that step and key read (`()` for none); without it, all. What no step of a
        type reads is not decoded, which is worth a lot. The data of an event then lacks it: a step that reads a field
        that was not declared fails with KeyError, so the fold stops with FoldError at that event, and no row is wrong.
        Only `.get` would hide it. `projections.testing` leaves the same fields out, so tests show what was forgotten.
        """
        name = self.tables[0].name if table is None else table
        self.table(name)

        def declare(step: Step) -> Step:
            for type_ in types:
                route = Route(name, key, step, None if reads is None else frozenset(reads))
                self.routes.setdefault(type_, []).append(route)
            return step

        return declare

    def answers(
        self,
        query: Callable[..., Any],
        *,
        params: Sequence[Param] = (),
        columns: Sequence[str] = (),
        paged: bool = False,
    ) -> None:
        """Let `logfold query <name>` run `query(reader, **params)`; at most one parameter names an aggregate."""
        if any(param.aggregate for param in params) and (sum(p.aggregate for p in params) > 1 or len(self.topics) > 1):
            raise UsageError(f"the projection {self.name!r}: a query is of one aggregate of one topic, or of none")
        self.query = Query(run=query, params=tuple(params), columns=tuple(columns), help=query.__doc__ or "", paged=paged)


def _union(declared: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    fields = [names for names in declared if names is not None]
    return frozenset().union(*fields) if len(fields) == len(declared) else None


def sum_fields(left: Mapping[str, Any], right: Mapping[str, Any]) -> Row:
    """A merge for counters: numbers are added, objects of numbers are merged field by field."""
    merged: Row = dict(left)
    for name, value in right.items():
        mine = merged.get(name)
        if mine is None:
            merged[name] = value
        elif isinstance(value, dict):
            merged[name] = sum_fields(mine, value)
        else:
            merged[name] = mine + value
    return merged


__all__ = ["Event", "Index", "Param", "Projection", "Query", "Row", "Table", "event_key", "sum_fields"]
