"""Which steps of a projection are known to return plain JSON, and which are read back after each event.

A row is kept in Redis as JSON, and a step may return what comes back as something else: a UUID (text), a tuple (a list),
infinity (null), fields in another order, a list that another row or the event holds as well. What the next event meets must
not depend on whether the row stayed in memory meanwhile. Between two batches nothing but the stored bytes is held. Within
one, to read a row back after each event would make a large row that many events change several times as slow. So each step
is on trial at first: its results are read back one by one, until so many of them in a row were plain JSON that shares
nothing with an event or another row. From then on the rows are looked at once a batch, in their final form. One that is not
plain ends the trust in all steps of its table for good. Then, and when a step fails, the batch is folded again, and each row
is read back after each event.

So two things are left to the tests of a projection (`eventfold.projections.testing` folds both ways): a step that depends on
the order of an object's fields, and one that after many plain results returns another one, which is gone again at the end of
the batch, and which an event in between met.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import isfinite
from types import NoneType
from typing import Any, cast

from eventfold.projections.projection import KeyOf, Projection, Step, event_key
from eventfold.schemas.branches import branch_of, tagged
from eventfold.schemas.event import Event
from eventfold.store.rows import Row, read_back

TRIAL = 16
are_scalars = frozenset((str, int, bool, NoneType)).issuperset
"""Whether all of these types are of what JSON has; floats are left to a closer look, since some are not finite."""
_HOLDING = frozenset((dict, list, type(tagged({}, ""))))
Routed = tuple[str, KeyOf | None, Step]


class NotPlainError(Exception):
    """A row of this table would be read back as something else."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


class Steps:
    """The steps of a projection by type of event, each with its table and its key; None for the key of the event.

    trial: how many results of each are read back; None: all. flat: the types whose events hold neither lists nor objects; of
    others, each step is given data of its own, since a row may take over a part of it and a later step change that.
    `routes` trusts the steps that are trusted by now, `strict` none.
    """

    def __init__(self, projection: Projection, trial: int | None = TRIAL, flat: Collection[str] = ()) -> None:
        def tried(type_: str, step: Step) -> _Tried:
            return _Tried(step if type_ in flat else _apart(step), trial)

        self._tried = {
            type_: [(r.table, None if r.key_of is event_key else r.key_of, tried(type_, r.step)) for r in routes]
            for type_, routes in projection.routes.items()
        }
        self._trials = [tried for of in self._tried.values() for _, _, tried in of]
        self.strict: dict[str, list[Routed]] = {
            type_: [(table, key_of, tried.read_back) for table, key_of, tried in of] for type_, of in self._tried.items()
        }
        self.routes: dict[str, list[Routed]] = {}
        self._route()

    def trust(self) -> None:
        """After a batch: call those steps plainly whose trial is over."""
        if any(tried.left == 0 for tried in self._trials):
            self._trials = [tried for tried in self._trials if tried.left]
            self._route()

    def distrust(self, table: str) -> None:
        """Read back every result of the steps of this table from now on."""
        for of in self._tried.values():
            for name, _, tried in of:
                if name == table:
                    tried.left = None
        self._route()

    def _route(self) -> None:
        self.routes = {
            type_: [(table, key_of, tried.step if tried.left == 0 else tried) for table, key_of, tried in of]
            for type_, of in self._tried.items()
        }


class _Tried:
    """A step on trial. left: how many more of its results are read back; None: all, for ever."""

    __slots__ = ("_earlier", "left", "step")

    def __init__(self, step: Step, left: int | None) -> None:
        self.step = step
        self.left = left
        # The containers in earlier results: as long as they are held here, no other one has their id.
        self._earlier: dict[int, Any] = {}

    def __call__(self, row: Row | None, event: Event) -> Row | None:
        if self.left is None:
            return self.read_back(row, event)
        after = self.step(row, event)
        if after is None or not self.left:
            return after
        again = _again(after)
        mine = {id(of): of for of in _containers(after)}
        theirs = self._earlier | {id(of): of for of in _containers(event.data)}
        plain = is_plain(after, {}) and mine.keys().isdisjoint(theirs)
        self.left = self.left - 1 if plain else None
        self._earlier = self._earlier | mine if self.left else {}
        return again

    def read_back(self, row: Row | None, event: Event) -> Row | None:
        """What is read back of the row that the step returns."""
        after = self.step(row, event)
        return None if after is None else _again(after)


def _apart(step: Step) -> Step:
    def on_its_own(row: Row | None, event: Event) -> Row | None:
        data = event.data
        return step(row, event if _HOLDING.isdisjoint(map(type, data.values())) else event._replace(data=_copied(data)))

    return on_its_own


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        found = {key: _copied(of) for key, of in value.items()}
        branch = branch_of(value)
        return found if branch is None else tagged(found, branch)
    return [_copied(of) for of in value] if isinstance(value, list) else value


def _again(row: Row) -> Row:
    stored, again = read_back(row)
    if stored[:1] != b"{":
        raise TypeError(f"a row must be a dict, not {row!r}")
    return cast(Row, again)


def is_plain(value: Any, seen: dict[int, Any]) -> bool:
    """Whether JSON that was made of this would be read back as the same, but for the order of an object's fields.

    seen: the containers that were met before, by id, which nothing may hold a second time. What is not for the types to
    tell (a key that is no text, an int of more than 64 bits) is for the encoder to refuse.
    """
    kind = type(value)
    if kind is dict:
        inner = value.values()
    elif kind is list:
        inner = value
    elif kind is float:
        return isfinite(value)
    else:
        return are_scalars((kind,))
    if id(value) in seen:
        return False
    seen[id(value)] = value
    return are_scalars(map(type, inner)) or all(is_plain(of, seen) for of in inner)


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for of in value.values() if isinstance(value, dict) else value:
            yield from _containers(of)
