"""A step and `evolve` meet what the store gives back, whether the event before lies in the same batch or before a restart."""

from __future__ import annotations

import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from math import inf, nan
from typing import Any, NamedTuple

import orjson
import pytest
from confluent_kafka import Message as Record
from hypothesis import given, settings
from hypothesis import strategies as st

from eventfold.producers.decider import Decider, Refusal, State
from eventfold.producers.testing import given as decided
from eventfold.projections.fold import Fold, FoldError
from eventfold.projections.in_memory import InMemory
from eventfold.projections.projection import Index, Projection, Step, Table
from eventfold.projections.testing import assert_folds_alike
from eventfold.projections.testing import given as folded
from eventfold.projections.trial import TRIAL, Steps, is_plain
from eventfold.schemas.event import Event
from eventfold.schemas.message import Message
from eventfold.store.rows import Row, read_back


class Status(Enum):
    OPEN = "open"


class Level(IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int


class Text(str):
    pass


@dataclass
class Address:
    street: str


ID = uuid.UUID(int=7)
CHANGED = [
    (ID, str(ID)),
    ((1, (2,)), [1, [2]]),
    ([{"at": (ID,)}], [{"at": [str(ID)]}]),
    (inf, None),
    ([nan], [None]),
    (Status.OPEN, "open"),
    (Level.HIGH, 3),
    (Text("x"), "x"),
    (Counter(a=1), {"a": 1}),
    (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
    ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
    (Address("x"), {"street": "x"}),
    (date(2026, 1, 2), "2026-01-02"),
    (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
]
SAME = [-0.0, 1.0, 1e300, 2**64 - 1, -(2**63), True, None, "\0é", [], {}, [[]], {"a": [1, {"b": None}]}]
REFUSED = [
    ({1}, "the field 'kept.0.v' is of the class set"),
    (b"x", "the field 'kept.0.v' is bytes"),
    (Decimal(1), "the field 'kept.0.v' is of the class Decimal"),
    (2**64, "the field 'kept.0.v' is a whole number of more than 64 bits"),
    ("\ud800", "the field 'kept.0.v' has characters that are no Unicode text"),
    ({1: 2}, "the name 1 in the field 'kept.0.v' is no text"),
    ({Status.OPEN: 2}, "the name .* in the field 'kept.0.v' is no text"),
    (Point(1), "the field 'kept.0.v' is of the class Point"),
]


def shop(step: Step, member: Callable[[str, Row], str] | None = None, tables: Sequence[str] = ("stock",)) -> Projection:
    indexes = () if member is None else (Index(name="by", member=member),)
    made = Projection(
        name="shop", version=1, topics=("shop.events",), tables=tuple(Table(name=t, indexes=indexes) for t in tables)
    )
    for table in tables:
        made.on("shop.Put", table=table)(step)
    return made


def put(number: int, key: str = "a", **data: Any) -> Event:
    record = Record(topic="shop.events", partition=0, offset=number)
    return Event("shop.Put", key, {"number": number, **data}, record)


def in_batches(projection: Projection, *batches: Sequence[Event], trial: int | None = TRIAL) -> dict[str, object]:
    slice_, fold = InMemory(projection), Fold(projection, 100, Steps(projection, trial))
    for batch in batches:
        slice_.write(fold.apply(batch, slice_.read))
    return slice_.shown()


def after_restarts(projection: Projection, events: Sequence[Event]) -> dict[str, object]:
    """Each event in a process of its own."""
    slice_ = InMemory(projection)
    for event in events:
        slice_.write(Fold(projection, 100).apply([event], slice_.read))
    return slice_.shown()


def shown(value: Any) -> str:
    """With types, and the order of fields."""
    return repr(value)


def typed(value: Any) -> Any:
    """A value with its types, and without the order of fields."""
    if isinstance(value, dict):
        return type(value), {name: typed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(inner) for inner in value]
    return type(value), repr(value)


# -- rows ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "back"), [*CHANGED, *((value, value) for value in SAME)], ids=shown)
def test_a_step_meets_what_the_store_gives_back(value: Any, back: Any) -> None:
    """In one batch, in several of one process, after restarts; the member of an index is that of the stored row."""

    def step(row: Row | None, event: Event) -> Row:
        return {"v": value, "met": [] if row is None else [*row["met"], shown(row["v"])]}

    projection = shop(step, member=lambda key, row: shown(row["v"]))
    events = [put(number) for number in range(3)]
    expected = after_restarts(projection, events)
    assert orjson.loads(expected["stock"]["a"]) == {"v": back, "met": [shown(back)] * 2}  # type: ignore[index]
    assert expected["index by"] == [f"{shown(back)}\0\0a"]
    assert in_batches(projection, events) == expected
    assert in_batches(projection, events[:1], events[1:]) == expected
    assert in_batches(projection, *([event] for event in events)) == expected


@pytest.mark.parametrize(("value", "says"), REFUSED, ids=shown)
def test_what_json_cannot_hold_is_refused_at_its_event_with_the_fields_name(value: Any, says: str) -> None:
    """Also where the next event of the batch would have mended it."""

    def step(row: Row | None, event: Event) -> Row:
        return {"kept": [{"v": value if event.data["number"] == 1 else 0}]}

    projection = shop(step)
    for batches in (
        [[put(0), put(1), put(2)]],
        [[put(0)], [put(1)]],
        [[put(number, "b") for number in range(2, 40)], [put(1)]],
    ):
        with pytest.raises(FoldError, match=rf"shop\.events/0@1 key 'a': stock cannot fold shop\.Put: TypeError: {says}"):
            in_batches(projection, *batches)


@pytest.mark.parametrize("row", [[1], (1, 2), "text", 7])
def test_a_row_that_is_no_object_is_refused(row: Any) -> None:
    with pytest.raises(FoldError, match="a row must be a dict"):
        in_batches(shop(lambda before, event: row), [put(0)])


def test_a_row_that_holds_itself_is_refused() -> None:
    row: Row = {"in": {}}
    row["in"]["it"] = row
    with pytest.raises(FoldError, match="the field 'in' is nested too deep, or holds itself"):
        in_batches(shop(lambda before, event: row), [put(0)])


def test_rows_and_events_share_nothing() -> None:
    """A step owns its row: what it took over from the event is that row's alone."""

    def step(row: Row | None, event: Event) -> Row:
        if row is None:
            return {"lines": event.data["lines"]}
        row["lines"] += event.data["lines"]
        return row

    projection = shop(step, tables=("orders", "carts"))

    def events() -> list[Event]:
        return [put(number, lines=[number]) for number in range(3)]

    expected = after_restarts(projection, events())
    assert expected == {"orders": {"a": b'{"lines":[0,1,2]}'}, "carts": {"a": b'{"lines":[0,1,2]}'}}
    assert in_batches(projection, events()) == expected
    assert in_batches(projection, events()[:1], events()[1:]) == expected


def test_a_row_that_takes_over_a_part_of_an_event_late_changes_no_event() -> None:
    """Neither the other table, nor a batch that is folded again, meets what a step made of the row meanwhile."""

    def current(row: Row | None, event: Event) -> Row:
        if row is None:
            return {"at": event.data["at"], "moved": 0}
        row["at"]["city"], row["at"]["moved"] = event.data["at"]["city"], row["at"]["moved"] + 1
        return row

    def original(row: Row | None, event: Event) -> Row:
        return row or {"city": event.data["at"] and event.data["at"]["city"]}

    projection = Projection(name="shop", version=1, topics=("shop.events",), tables=(Table(name="now"), Table(name="then")))
    projection.on("shop.Put", table="now")(current)
    projection.on("shop.Put", table="then")(original)

    def batches() -> tuple[list[Event], list[Event]]:
        begin = [put(number, f"{number}", at=None) for number in range(2 * TRIAL)]
        return begin, [put(number, at={"city": city, "moved": 0}) for number, city in enumerate(("Oslo", "Rome"))]

    expected = after_restarts(projection, [*batches()[0], *batches()[1]])
    assert expected["then"]["a"] == b'{"city":"Oslo"}'  # type: ignore[index]
    assert in_batches(projection, *batches()) == expected


# -- steps that are trusted, and no longer are -----------------------------------------------------------------------------


def late(value: Any) -> Step:
    """A step whose row is plain JSON, but for that after an event with `late`."""

    def step(row: Row | None, event: Event) -> Row:
        met = (row or {"met": []})["met"]
        return {"v": value if "late" in event.data else 1, "met": [*met, shown(row and row["v"])][-3:]}

    return step


@pytest.mark.parametrize(("value", "back"), [of for of in CHANGED if typed(of[0]) != typed(of[1])], ids=shown)
def test_a_step_that_was_plain_for_long_is_folded_again_once_it_is_not(value: Any, back: Any) -> None:
    projection = shop(late(value), member=lambda key, row: shown(row["v"]))
    begin = [put(number) for number in range(2 * TRIAL)]
    end = [put(2 * TRIAL, late=1), put(2 * TRIAL + 1, late=1)]
    expected = after_restarts(projection, begin + end)
    assert in_batches(projection, begin, end) == expected
    assert in_batches(projection, begin + end) == expected


def test_a_step_that_fails_on_what_another_one_left_in_memory_does_not_fail() -> None:
    def step(row: Row | None, event: Event) -> Row:
        if row is not None and not isinstance(row["at"], str):
            raise TypeError("no text")
        return {"at": date(2026, 1, 2) if "late" in event.data else "2026-01-01"}

    projection = shop(step)
    events = [*(put(number) for number in range(2 * TRIAL)), put(0, late=1), put(0, late=1)]
    assert in_batches(projection, events) == after_restarts(projection, events)


def test_a_list_that_two_rows_share_is_noticed() -> None:
    shared: list[int] = []

    def step(row: Row | None, event: Event) -> Row:
        return {"lines": shared if "late" in event.data else [], "n": (row or {"n": 0})["n"] + 1}

    projection = shop(step)
    steps = Steps(projection)
    Fold(projection, 10, steps).apply([put(number) for number in range(TRIAL)], lambda table, keys: [None] * len(keys))
    trusted = steps.routes
    Fold(projection, 10, steps).apply([put(1, "a", late=1), put(2, "b", late=1)], lambda table, keys: [None] * len(keys))
    assert steps.routes != trusted


def test_only_a_step_on_trial_is_read_back() -> None:
    """What the fold costs: a trusted step is called plainly."""
    projection = shop(late(0))
    steps = Steps(projection, trial=3, flat=["shop.Put"])
    fold = Fold(projection, 10, steps)
    fold.apply([put(0), put(1)], lambda table, keys: [None])
    assert steps.routes["shop.Put"][0][2] is not projection.routes["shop.Put"][0].step
    fold.apply([put(2)], lambda table, keys: [None])
    assert steps.routes["shop.Put"][0][2] is projection.routes["shop.Put"][0].step


def test_what_failed_leaves_what_is_held_as_it_was() -> None:
    def step(row: Row | None, event: Event) -> Row:
        row = row or {"n": 0}
        row["n"] += event.data["number"]
        return row

    projection = shop(step)
    slice_, fold = InMemory(projection), Fold(projection, 10)
    slice_.write(fold.apply([put(1)], slice_.read))
    with pytest.raises(FoldError):
        fold.apply([put(2), Event("shop.Put", "a", {})], slice_.read)
    slice_.write(fold.apply([put(3)], slice_.read))
    assert slice_.tables["stock"] == {"a": b'{"n":4}'}


# -- the kits --------------------------------------------------------------------------------------------------------------


def test_a_fold_that_depends_on_the_order_of_fields_is_caught() -> None:
    def step(row: Row | None, event: Event) -> Row:
        waiting = {**(row or {"waiting": {}})["waiting"], event.data["name"]: 1}
        return {"waiting": waiting, "next": next(iter(waiting))}

    events = [put(number, name=name) for number, name in enumerate("qwerty")]
    with pytest.raises(AssertionError, match="a step depends on the order of an object's fields"):
        folded(shop(step), *events)
    with pytest.raises(AssertionError, match="other batches give other rows"):
        assert_folds_alike(shop(step), events)


def test_the_kit_meets_what_the_store_gives_back() -> None:
    def step(row: Row | None, event: Event) -> Row:
        seen = (row or {"seen": ()})["seen"]
        return {"seen": (*seen, uuid.UUID(int=event.data["number"])), "list": isinstance(seen, list)}

    events = [put(1), put(2)]
    both = [str(uuid.UUID(int=number)) for number in (1, 2)]
    folded(shop(step), *events).then("stock", "a", {"seen": both, "list": True})
    assert_folds_alike(shop(step), events)


# -- deciders --------------------------------------------------------------------------------------------------------------


def votes(*, as_text: bool) -> Decider:
    """One vote a voter; in the state a voter is a UUID, or its text."""

    def voter(message: Message) -> Any:
        return message.data["voter"] if as_text else uuid.UUID(message.data["voter"])

    def decide(state: State, command: Message) -> Any:
        if voter(command) in state["voters"]:
            return Refusal(code="repeated", message="one vote each")
        return [Message("votes.Voted", command.data)]

    def evolve(state: State, event: Message) -> State:
        return {"voters": [*state["voters"], voter(event)]}

    return Decider(version=1, initial=lambda: {"voters": []}, decide=decide, evolve=evolve)


VOTE, VOTED = Message("votes.Vote", {"voter": str(ID)}), Message("votes.Voted", {"voter": str(ID)})


def test_the_kit_shows_what_a_decider_meets_in_a_handler() -> None:
    decided(votes(as_text=True), VOTED).when(VOTE).then_refused("repeated")
    decided(votes(as_text=False), VOTED).when(VOTE).then(VOTED)
    assert decided(votes(as_text=False), VOTED).state == {"voters": [str(ID)]}


@pytest.mark.parametrize(("value", "says"), REFUSED, ids=shown)
def test_a_state_that_json_cannot_hold_is_refused_by_name(value: Any, says: str) -> None:
    decider = Decider(version=1, initial=dict, decide=lambda state, command: [], evolve=lambda *_: {"kept": [{"v": value}]})
    with pytest.raises(TypeError, match=says):
        decided(decider, VOTED)


# -- what comes back -------------------------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
ANY = st.recursive(
    PLAIN | st.uuids() | st.dates() | st.datetimes() | st.sampled_from([Status.OPEN, Level.HIGH, Text("x")]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_what_is_read_back_is_read_back_the_same(value: Any) -> None:
    """So one pass is enough, and what counts as plain is what does not change."""
    row = {"v": value}
    stored, back = read_back(row)
    assert is_plain(back, {})
    assert read_back(back) == (stored, back)
    assert shown(read_back(back)[1]) == shown(back)
    assert is_plain(row, {}) == (typed(row) == typed(back))
