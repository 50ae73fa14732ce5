"""The pure part of a projector: a batch of events of one partition becomes the rows they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from eventfold.projections.projection import Projection, Step, Table
from eventfold.projections.trial import NotPlainError, Routed, Steps, are_scalars, is_plain
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.event import Event
from eventfold.store.commits import Changes
from eventfold.store.digests import row_digest
from eventfold.store.index_members import Parts, member
from eventfold.store.rows import Row, Rows, parsed, to_json


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
    """The fold of one projection over one slice, with the rows it touched last, as they are stored.

    A step meets what the store gives back, also where the event before lies in the same batch; what that costs, and where it
    ends, says eventfold.projections.trial. After an exception, what is held is as it was before.
    """

    def __init__(self, projection: Projection, held_rows: int, steps: Steps | None = None) -> None:
        """steps: those of the projection, which folds of several slices may share."""
        self._projection = projection
        self._rows = {table.name: Rows(held_rows) for table in projection.tables}
        self._steps = steps or Steps(projection)

    def apply(self, events: Sequence[Event], read: Read) -> Changes:
        """Fold the events in their order and return every changed row in its final form.

        read: (table, keys) -> the stored JSON of each row or None, called at most once a table and key.
        """
        try:
            changes = self._folded(self._steps.routes, events, read)
        except (NotPlainError, FoldError) as error:
            # A step may also fail on what another one, which was trusted, left of a row.
            if isinstance(error, NotPlainError):
                self._steps.distrust(error.table)
            return self._folded(self._steps.strict, events, read)
        self._steps.trust()
        return changes

    def _folded(self, routes: Mapping[str, list[Routed]], events: Sequence[Event], read: Read) -> Changes:
        work = [(name, steps, _keys(steps)) for name, steps in self._plan(routes, events).items() if steps]
        for name, _, keys in work:
            rows = self._rows[name]
            missing = rows.missing(keys)
            if missing:
                for key, stored in zip(missing, read(name, missing), strict=True):
                    rows.hold(key, stored)
        changes, done = Changes(), []
        seen: dict[int, object] = {}
        for name, steps, keys in work:
            rows = self._rows[name]
            digests = _fold_table(self._projection.table(name), rows, steps, keys, changes, seen)
            done.append((rows, changes.rows[name], digests))
        for rows, written, digests in done:
            rows.young.update(written)
            rows.digests.update(digests)
            rows.trim()
        return changes

    def hold(self, changes: Changes) -> None:
        """Hold the rows that these changes leave; for a fold that holds none yet."""
        for name, rows in changes.rows.items():
            for key, row in rows.items():
                self._rows[name].hold(key, row)

    def _plan(self, routes: Mapping[str, list[Routed]], events: Iterable[Event]) -> dict[str, list[_Planned]]:
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


def _fold_table(
    table: Table, held: Rows, steps: list[_Planned], keys: dict[str, None], changes: Changes, seen: dict[int, object]
) -> dict[str, int]:
    """Fold a table's steps into `changes`; the digests of the rows. seen: the containers that are in rows of this batch."""
    young, name = held.young, table.name
    rows: dict[str, Row | None] = {key: None if (stored := young[key]) is None else parsed(stored, name, key) for key in keys}
    before = _found_under(table, rows, steps)
    event = steps[0][2]
    try:
        for key, step, event in steps:
            rows[key] = step(rows[key], event)
    except Exception as error:
        raise FoldError(name, event, error) from error
    # Only when something fails is it worth while to know which event a row's form comes from: its last one.
    steps.reverse()
    changes.rows[name], digests, changes.digests[name] = _written(name, rows, held.digests, steps, seen)
    _move(table, rows, steps, before, changes)
    return digests


def _written(
    table: str, rows: Mapping[str, Row | None], held: Mapping[str, int], steps: list[_Planned], seen: dict[int, object]
) -> tuple[dict[str, bytes | None], dict[str, int], int]:
    """How the rows are stored, their digests, and by how much these move that of the table.

    NotPlainError where what is read back of one would be another row, or none can be stored.
    """
    written: dict[str, bytes | None] = {}
    digests: dict[str, int] = {}
    difference = 0
    key = ""
    try:
        for key, row in rows.items():
            if row is None:
                written[key], digest = None, 0
            else:
                written[key] = stored = to_json(row)
                if not (type(row) is dict and (are_scalars(map(type, row.values())) or is_plain(row, seen))):
                    raise NotPlainError(table)
                digest = row_digest(key, stored)
            difference += digest - held[key]
            digests[key] = digest
    except TypeError:
        raise NotPlainError(table) from None
    except UnicodeEncodeError as error:
        raise FoldError(table, _first(steps, key), error) from error
    return written, digests, difference


def _found_under(table: Table, rows: dict[str, Row | None], steps: list[_Planned]) -> list[list[Parts | None]]:
    """The parts that each row is found under, by index; an error is that of the first of `steps` that has the row."""
    found: list[list[Parts | None]] = []
    key = ""
    try:
        for index in table.indexes:
            of = index.member
            of_rows: list[Parts | None] = []
            found.append(of_rows)
            for key, row in rows.items():
                of_rows.append(None if row is None else of(key, row))
    except Exception as error:
        raise FoldError(table.name, _first(steps, key), error) from error
    return found


def _move(
    table: Table, rows: dict[str, Row | None], steps: list[_Planned], before: list[list[Parts | None]], changes: Changes
) -> None:
    """Move the members of rows that are found under other parts than before; errors likewise."""
    key = ""
    try:
        for index, olds in zip(table.indexes, before, strict=True):
            of = index.member
            for (key, row), old in zip(rows.items(), olds, strict=True):
                new = None if row is None else of(key, row)
                if old != new:
                    changes.move(
                        index.name, None if old is None else member(old, key), None if new is None else member(new, key)
                    )
    except Exception as error:
        raise FoldError(table.name, _first(steps, key), error) from error


def _keys(steps: list[_Planned]) -> dict[str, None]:
    return dict.fromkeys([key for key, _, _ in steps])


def _first(steps: Iterable[_Planned], key: str) -> Event:
    return next(event for of, _, event in steps if of == key)
