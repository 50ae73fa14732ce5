"""What a projection answers: a query, its parameters, and the two that most read models have, by key and by an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventfold.projections.paging import NO_PAGE, Page, fitting, page_of, page_start
from eventfold.schemas.errors import UsageError
from eventfold.store.index_members import Parts, member
from eventfold.store.rows import Row

MemberOf = Callable[[str, Row], Parts | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter of a query. `positional` ones are its arguments, the others options.

    check: turns text into what the query takes, raising UsageError; by default the text itself. form: which texts those are,
    as JSON Schema, for who reads the description of what is served; by default any.
    aggregate: it is the id of the one aggregate that the query is about, which can then be asked about its past too
    (`--as-of` and its like).
    """

    name: str
    help: str = ""
    positional: bool = False
    choices: tuple[str, ...] = ()
    default: str | None = None
    check: Callable[[str], Any] | None = None
    form: Mapping[str, Any] = field(default_factory=dict)
    aggregate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The rows of one table that a query answers with, and how it shows them.

    index, prefix: those whose parts in the index begin with `prefix(**params)`. key: without an index, the one under the
    value of this parameter. show: the row as it is shown, None for one that is not.
    """

    table: str
    index: str = ""
    prefix: Callable[..., Parts] | None = None
    key: str = ""
    show: Callable[[Row], Row | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a projection answers: `run(reader, **params)` returns a row, or rows for a list.

    columns: the fields, in order, that a person is shown; programs get all. paged: it returns a page (see
    eventfold.projections.paging), and its parameter `page` takes the token of one. rows: which rows it answers with, of
    those that can be followed.
    """

    run: Callable[..., Any]
    params: tuple[Param, ...] = ()
    columns: tuple[str, ...] = ()
    help: str = ""
    paged: bool = False
    rows: Answered | None = None

    @property
    def aggregate(self) -> Param | None:
        """The parameter that names one aggregate, where there is one."""
        return next((param for param in self.params if param.aggregate), None)


def itself(row: Row) -> Row:
    """A row, shown as it is."""
    return row


def at_most(most: int) -> Callable[[str], int]:
    """A parameter's check: a whole number from 1 to `most`."""

    def check(given: str) -> int:
        if not given.isascii() or not given.isdigit() or len(given) > len(str(most)) or not 1 <= int(given) <= most:
            raise UsageError(f"limit must be between 1 and {most:,}, not {given[:40]!r}")
        return int(given)

    return check


def row_query(table: str, param: Param, *, help: str, columns: Sequence[str], show: Callable[[Row], Row | None]) -> Query:
    """The row of a table that the parameter is the key of; see Projection.gets."""

    def run(reader: Any, **given: Any) -> Row | None:
        row = reader.get(table, given[param.name])
        return None if row is None else show(row)

    rows = Answered(table=table, key=param.name, show=show)
    return Query(run=run, params=(param,), columns=tuple(columns), help=help, rows=rows)


def index_query(
    table: str,
    index: str,
    member_of: MemberOf,
    prefix: Callable[..., Parts],
    *,
    params: Sequence[Param],
    help: str,
    columns: Sequence[str],
    show: Callable[[Row], Row],
    limit: int,
    most: int,
) -> Query:
    """The rows that an index has under a prefix, in pages; see Projection.lists. member_of: that of the index."""

    def run(reader: Any, limit: int = limit, page: str = NO_PAGE, **given: Any) -> Page | None:
        begin = prefix(**given)
        found = reader.entries(table, index, begin, limit=limit + 1, start=page_start(reader, page, begin))
        if not found and not page:
            return None
        count = fitting([row for _, row in found[:limit]])
        rest = found[count:]
        shown = [show(row) for _, row in found[:count]]
        # With its key: many rows may be found under the same parts.
        return page_of(reader, shown, member(member_of(*rest[0]) or "", rest[0][0]) if rest else None)

    paging = (
        Param(
            name="limit",
            default=str(limit),
            check=at_most(most),
            form={"type": "integer", "minimum": 1, "maximum": most},
            help="how many at most",
        ),
        Param(name="page", default=NO_PAGE, help="where to go on: what the page before gave as next"),
    )
    rows = Answered(table=table, index=index, prefix=prefix, show=show)
    return Query(run=run, params=(*params, *paging), columns=tuple(columns), help=help, paged=True, rows=rows)
