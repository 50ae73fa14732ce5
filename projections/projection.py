"""How a projection is declared: which events it folds into which rows, and which query reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventfold.projections.foreign import Foreign
from eventfold.projections.query import MemberOf, Param, Query, index_query, itself, row_query
from eventfold.schemas.errors import UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.failure import Policy, Stop, may_park
from eventfold.schemas.names import checked_name
from eventfold.store.builds import Generation
from eventfold.store.index_members import ESCAPED_MEMBERS, Parts
from eventfold.store.rows import Row
from eventfold.store.slices import CHANGES, META, PARKED, PARKED_EVENTS

KeyOf = Callable[[Event], str | None]
Step = Callable[[Row | None, Event], Row | None]
Merge = Callable[[Row, Row], Row]


def event_key(event: Event) -> str | None:
    """The aggregate's id: the key of rows that belong to one aggregate."""
    return event.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Rows in an order, found by their first parts.

    member: (key, row) -> the parts that the row is found under (`("JFK", "2013-02-08", "10:15")`; a text is one part), or
    None to leave it out. Rows are sorted by the first part, then by the second, and so on, each by its bytes in UTF-8, so
    numbers are to be written with equally many digits. A part may hold any text.
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
    changes: about how many of its last commits each partition keeps what they changed of, so that it can be followed as it
    changes (`eventfold serve`); by default none.
    on_failure: what to do about an event that cannot be decoded or folded.
    """

    name: str
    version: int
    topics: tuple[str, ...]
    tables: tuple[Table, ...]
    query: Query | None = None
    foreign: tuple[Foreign, ...] = ()
    from_any_point: bool = False
    changes: int = 0
    on_failure: Policy = field(default_factory=Stop)
    routes: dict[str, list[Route]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_name(self.name, "projection")
        if not self.topics or not self.tables:
            raise UsageError(f"the projection {self.name!r} needs at least one topic and one table")
        self._check_foreign()
        parts = [META, CHANGES, *self.parts]
        for part in parts:
            if parts.count(part) > 1:
                raise UsageError(f"the projection {self.name!r}: more than one part of a slice would be called {part!r}")

    def _check_foreign(self) -> None:
        topics = [of.topic for of in self.foreign]
        for declared in self.foreign:
            if declared.topic not in self.topics or topics.count(declared.topic) > 1:
                what = "is none of its topics" if declared.topic not in self.topics else "stands twice"
                raise UsageError(f"the projection {self.name!r}: the foreign topic {declared.topic!r} {what}")
            if declared.types and declared.bare is not None:
                raise UsageError(
                    f"the projection {self.name!r} declares `bare` and `types` of {declared.topic!r}: a value that is nothing "
                    "but a body does not say what its owner calls it"
                )
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

    @property
    def whole_rows(self) -> list[str]:
        """The tables whose rows cannot be put together from several slices: without a merge, or with an index, which would list
        each partial row.
        """
        return [table.name for table in self.tables if table.merge is None or table.indexes]

    def table(self, name: str) -> Table:
        """The table called so; UsageError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise UsageError(f"the projection {self.name!r} has no table {name!r}")

    def indexes_of_now(self, generation: Generation) -> bool:
        """Whether the members of a generation's indexes have the form in which they are written and read now."""
        return generation.members == ESCAPED_MEMBERS or not any(table.indexes for table in self.tables)

    def made(self, generation: Generation) -> bool:
        """Whether a generation is of this version of the projection, so that it may be folded on."""
        return generation.version == self.version and self.indexes_of_now(generation)

    def made_by(self, generation: Generation) -> str:
        """What made a generation, for a sentence."""
        return f"version {generation.version}" + ("" if self.indexes_of_now(generation) else " with indexes of an older form")

    @property
    def reads(self) -> dict[str, frozenset[str] | None]:
        """The types it folds, each with the fields that any of its steps reads; None for all."""
        return {type_: _union([route.reads for route in routes]) for type_, routes in self.routes.items()}

    def on(
        self, *types: str, table: str | None = None, key: KeyOf = event_key, reads: Collection[str] | None = None
    ) -> Callable[[Step], Step]:
        """Fold events of these types with the decorated step: (row or None, event) -> row, or None to delete it.

        The step owns the row it is given and may change it. The next event meets what is read back of the row that it
        returns (see eventfold.store.rows.read_back); what JSON cannot hold is a FoldError that names the field. The step
        does no I/O and reads no clock; it is called for each event in the log's order within a partition, and called again
        where a batch is folded again. Without `table`, the projection's first is meant; a `key` that gives None leaves the
        event out.

        reads: the fields of the event's data that step and key read (`()` for none); without it, all. What no step of a
        type reads is not decoded, which is worth a lot. The data of an event then lacks it: a step that reads a field
        that was not declared fails with KeyError, so the fold stops with FoldError at that event, and no row is wrong.
        Only `.get` would hide it. `eventfold.testing` leaves the same fields out, so tests show what was forgotten.
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
        """Let `eventfold query <name>` run `query(reader, **params)`; at most one parameter names an aggregate."""
        self._answers(Query(run=query, params=tuple(params), columns=tuple(columns), help=query.__doc__ or "", paged=paged))

    def gets(
        self, table: str, param: Param, *, help: str, columns: Sequence[str] = (), show: Callable[[Row], Row | None] = itself
    ) -> None:
        """Let `eventfold query <name>` answer with the row of `table` that the parameter is the key of.

        show: what a row is shown as, by default as it is; None for one that is as if it were not there.
        """
        self.table(table)
        self._answers(row_query(table, param, help=help, columns=columns, show=show))

    def lists(
        self,
        table: str,
        index: str,
        prefix: Callable[..., Parts],
        *,
        params: Sequence[Param],
        help: str,
        columns: Sequence[str] = (),
        show: Callable[[Row], Row] = itself,
        limit: int = 50,
        most: int = 1_000,
    ) -> None:
        """Let `eventfold query <name>` answer with the rows that an index has under `prefix(**params)`, in pages.

        prefix: the first parts of each of them in the index, whole ones (a text is one part, `()` are all rows). limit, most:
        how many a page has by default, and may have.
        There is no answer, not an empty one, where the first page would be empty.
        """
        declared = next((of for of in self.table(table).indexes if of.name == index), None)
        if declared is None:
            raise UsageError(f"the projection {self.name!r}: the table {table!r} has no index {index!r}")
        self._answers(
            index_query(
                table,
                index,
                declared.member,
                prefix,
                params=params,
                help=help,
                columns=columns,
                show=show,
                limit=limit,
                most=most,
            )
        )

    def _answers(self, query: Query) -> None:
        params = query.params
        if any(param.aggregate for param in params) and (sum(p.aggregate for p in params) > 1 or len(self.topics) > 1):
            raise UsageError(f"the projection {self.name!r}: a query is of one aggregate of one topic, or of none")
        self.query = query


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
