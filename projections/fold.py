"""The pure part of a projector: a batch of events of one partition becomes the rows they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eventfold.projections.projection import Projection, Step, Table, event_key
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.event import Event
from eventfold.store.commits import Changes
from eventfold.store.digests import row_digest
from eventfold.store.rows import Row, Rows, to_json
from eventfold.store.slices import member


class FoldError(EventfoldError):
    """A projection's step failed on an event; the text says which, and where the event lies."""

    def __init__(self, owner: str, event: Event, error: Exception) -> None:
        self.position = event.position
        self.reason = f"{owner} cannot fold {event.type}: {type(error).__name__}: {error}"
        super().__init__(f"{self.position} key {event.key!r}: {self.reason}")

    @property
    def offset(self) -> int:
        return self.position.offset


Read = Callable[[str, list[str]], list[bytes | None]]
_Planned = tuple[str, Step, Event]


class Fold:
    """The fold of one projection over one slice, with the rows it touched last.

    After an exception the held rows may be half changed: throw the fold away and begin from the stored slice.
    """

    def __init__(self, projection: Projection, held_rows: int) -> None:
        self._projection = projection
        self._rows = {table.name: Rows(held_rows, table.name) for table in projection.tables}
        # For the usual key, that of the event, no function is called.
        self._routes = {
            type_: [(r.table, None if r.key_of is event_key else r.key_of, r.step) for r in routes]
            for type_, routes in projection.routes.items()
        }

    def apply(self, events: Iterable[Event], read: Read) -> Changes:
        """Fold the events in their order and return every changed row in its final form.

        read: (table, keys) -> the stored JSON of each row or None, called at most once a table.
        """
        work = [(name, steps, _keys(steps)) for name, steps in self._plan(events).items() if steps]
        for name, _, keys in work:
            rows = self._rows[name]
            missing = rows.missing(keys)
            if missing:
                for key, stored in zip(missing, read(name, missing), strict=True):
                    rows.hold(key, stored)
        changes = Changes()
        for name, steps, keys in work:
            rows = self._rows[name]
            _fold_table(self._projection.table(name), rows, steps, keys, changes)
            rows.trim()
        return changes

    def hold(self, changes: Changes) -> None:
        """Hold the rows that these changes leave; for a fold that holds none yet."""
        for name, rows in changes.rows.items():
            for key, row in rows.items():
                self._rows[name].hold(key, row)

    def _plan(self, events: Iterable[Event]) -> dict[str, list[_Planned]]:
        routes = self._routes
        work: dict[str, list[_Planned]] = {name: [] for name in self._rows}
        event: Event | None = None
        try:
            for event in events:
                for table, key_of, step in routes.get(event.type, ()):
                    if key_of is None:
                        key: str | None = event.key
                    elif (key := key_of(event)) is None:
                        continue
                    elif key.__class__ is not str:
                        raise TypeError(f"a row's key must be text, not {key!r}")
                    work[table].append((key, step, event))  # type: ignore[arg-type]
        except Exception as error:
            if event is None:
                raise
            raise FoldError(self._projection.name, event, error) from error
        return work


def _fold_table(table: Table, held: Rows, steps: list[_Planned], keys: dict[str, None], changes: Changes) -> None:
    rows, digests = held.young, held.digests
    before = _all_members(table, rows, steps, keys)
    event = steps[0][2]
    try:
        for key, step, event in steps:
            rows[key] = step(rows[key], event)
    except Exception as error:
        raise FoldError(table.name, event, error) from error
    # Only when something fails is it worth while to know which event a row's form comes from: its last one.
    steps.reverse()
    written: dict[str, bytes | None] = {}
    difference = 0
    key = ""
    try:
        for key in keys:
            row = rows[key]
            if row is None:
                written[key], digest = None, 0
            else:
                written[key] = stored = to_json(row)
                digest = row_digest(key, stored)
            difference += digest - digests[key]
            digests[key] = digest
    except Exception as error:
        raise FoldError(table.name, _first(steps, key), error) from error
    changes.rows[table.name] = written
    changes.digests[table.name] = difference
    after = _all_members(table, rows, steps, keys)
    for index, olds, news in zip(table.indexes, before, after, strict=True):
        for old, new in zip(olds, news, strict=True):
            if old != new:
                changes.move(index.name, old, new)


def _all_members(
    table: Table, rows: dict[str, Row | None], steps: list[_Planned], keys: dict[str, None]
) -> list[list[str | None]]:
    """What each index of the table holds of each row; an error is that of the first of `steps` that has the row."""
    found: list[list[str | None]] = []
    for index in table.indexes:
        members: list[str | None] = []
        key = ""
        try:
            for key in keys:
                row = rows[key]
                text = None if row is None else index.member(key, row)
                members.append(None if text is None else member(text, key))
        except Exception as error:
            raise FoldError(table.name, _first(steps, key), error) from error
        found.append(members)
    return found


def _keys(steps: list[_Planned]) -> dict[str, None]:
    return dict.fromkeys([key for key, _, _ in steps])


def _first(steps: Iterable[_Planned], key: str) -> Event:
    return next(event for of, _, event in steps if of == key)
