"""The public testing modules: they must let good domains pass and catch bad ones, with a readable difference."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from eventfold.processors.testing import given as managing
from eventfold.producers.decider import Decider, Refusal, State
from eventfold.producers.process_manager import Emit, ProcessManager, Refused
from eventfold.producers.testing import given
from eventfold.projections.fold import FoldError
from eventfold.projections.projection import Index, Projection, Table, sum_fields
from eventfold.projections.testing import assert_folds_alike, folded
from eventfold.projections.testing import given as given_rows
from eventfold.schemas.codec import Codec
from eventfold.schemas.event import Event
from eventfold.schemas.faults import WrongDataError
from eventfold.schemas.message import Message
from eventfold.store.rows import Row
from tests.support import flights

PUT = Message("shop.Put", {"count": 1})
WAS_PUT = Message("shop.WasPut", {"count": 1})


def decider(**other: Any) -> Decider:
    """A shelf that holds up to three."""

    def decide(state: State, command: Message) -> Any:
        if state["held"] + command.data["count"] > 3:
            return Refusal(code="full", message="the shelf is full")
        return [Message("shop.WasPut", {"count": command.data["count"]})]

    def evolve(state: State, event: Message) -> State:
        return {"held": state["held"] + event.data["count"]}

    return Decider(**{"version": 1, "initial": lambda: {"held": 0}, "decide": decide, "evolve": evolve, **other})


def test_given_when_then() -> None:
    given(decider()).when(PUT).then(WAS_PUT)
    given(decider(), WAS_PUT, WAS_PUT).when(PUT).then(WAS_PUT).when(PUT).then_refused("full")


def test_other_events_than_expected_are_shown_line_by_line() -> None:
    with pytest.raises(AssertionError, match=r"(?s)shop\.Put gave other events.*\n- .*'count': 2.*\n\+ .*'count': 1"):
        given(decider()).when(PUT).then(Message("shop.WasPut", {"count": 2}))
    with pytest.raises(AssertionError, match="gave other events"):
        given(decider()).when(PUT).then()


def test_a_refusal_where_events_were_expected_and_the_other_way_round() -> None:
    with pytest.raises(AssertionError, match=r"shop\.Put was refused: the shelf is full \(full\)"):
        given(decider(), WAS_PUT, WAS_PUT, WAS_PUT).when(PUT).then(WAS_PUT)
    with pytest.raises(AssertionError, match=r"(?s)was not refused, it gave:.*WasPut"):
        given(decider()).when(PUT).then_refused("full")
    with pytest.raises(AssertionError, match="was refused as 'full', not as 'closed'"):
        given(decider(), WAS_PUT, WAS_PUT, WAS_PUT).when(PUT).then_refused("closed")


def test_a_refusal_may_be_expected_whole() -> None:
    full = Refusal(code="full", message="the shelf is full")
    given(decider(), WAS_PUT, WAS_PUT).when(PUT).then(WAS_PUT).when(PUT).then(full).when(PUT).then(full)
    with pytest.raises(AssertionError, match=r"(?s)shop\.Put was refused otherwise than expected.*message='no'"):
        given(decider(), WAS_PUT, WAS_PUT, WAS_PUT).when(PUT).then(Refusal(code="full", message="no"))
    with pytest.raises(AssertionError, match="was not refused"):
        given(decider()).when(PUT).then(full)
    with pytest.raises(AssertionError, match="either events or one refusal"):
        given(decider()).when(PUT).then(WAS_PUT, full)


def test_a_decide_that_changes_the_state_is_caught() -> None:
    def decide(state: State, command: Message) -> Any:
        state["held"] += 1
        return []

    with pytest.raises(AssertionError, match=r"decide changed the state it was given \(shop\.Put\)"):
        given(decider(decide=decide)).when(PUT)


def test_a_decide_that_is_not_pure_is_caught() -> None:
    with pytest.raises(AssertionError, match="asked twice"):
        given(decider(decide=lambda state, command: [Message("shop.WasPut", {"count": random.random()})])).when(PUT)


def test_an_evolve_that_changes_the_state_is_caught() -> None:
    def evolve(state: State, event: Message) -> State:
        state["held"] += 1
        return state

    with pytest.raises(AssertionError, match=r"evolve changed the state it was given \(shop\.WasPut\)"):
        given(decider(evolve=evolve), WAS_PUT)
    with pytest.raises(AssertionError, match="evolve changed the state"):
        given(decider(evolve=evolve)).when(PUT).then(WAS_PUT)


# -- projections ---------------------------------------------------------------------------------------------------------


def shelf(step: Any, *, merge: Any = None, index: Any = None) -> Projection:
    indexes = (Index(name="by_count", member=index),) if index else ()
    table = Table(name="shelf", merge=merge, indexes=indexes)
    projection = Projection(name="shelf", version=1, topics=("shop.events",), tables=(table, Table(name="other")))
    projection.on("shop.WasPut")(step)
    return projection


def count(row: Row | None, event: Event) -> Row:
    row = row or {"count": 0}
    row["count"] += event.data["count"]
    return row


EVENTS = [Event("shop.WasPut", key, {"count": number}) for number in range(1, 8) for key in "abc"]


def test_rows_and_empty_tables() -> None:
    assert folded(shelf(count), EVENTS[:4]) == {"shelf": {"a": {"count": 3}, "b": {"count": 1}, "c": {"count": 1}}, "other": {}}
    assert folded(shelf(lambda row, event: None), EVENTS) == {"shelf": {}, "other": {}}


def test_a_step_that_fails_is_a_fold_error() -> None:
    with pytest.raises(FoldError, match="shelf cannot fold"):
        folded(shelf(lambda row, event: row["count"]), EVENTS)


def test_a_field_that_is_read_but_not_declared_is_caught() -> None:
    events = [Event("shop.WasPut", "a", {"count": 1, "shelf": "x"})]

    def declared(*reads: str) -> Projection:
        projection = Projection(name="shelf", version=1, topics=("shop.events",), tables=(Table(name="shelf"),))
        projection.on("shop.WasPut", key=lambda event: event.data["shelf"], reads=reads)(count)
        return projection

    assert folded(declared("count", "shelf"), events) == {"shelf": {"x": {"count": 1}}}
    assert_folds_alike(declared("count", "shelf"), events)
    for missing, projection in (("count", declared("shelf")), ("shelf", declared("count"))):
        with pytest.raises(FoldError, match=f"KeyError: '{missing}'"):
            folded(projection, events)
        with pytest.raises(FoldError, match=f"KeyError: '{missing}'"):
            assert_folds_alike(projection, events)
    assert events[0].data == {"count": 1, "shelf": "x"}


def test_good_projections_fold_alike() -> None:
    assert_folds_alike(shelf(count), EVENTS)
    assert_folds_alike(shelf(count, merge=sum_fields), EVENTS)
    assert_folds_alike(shelf(count, index=lambda key, row: f"{row['count']:03d}"), EVENTS)
    assert_folds_alike(shelf(count, merge=sum_fields), [])


def test_a_step_that_remembers_more_than_its_row_is_caught() -> None:
    seen = []

    def step(row: Row | None, event: Event) -> Row:
        seen.append(event)
        return {"seen": len(seen)}

    with pytest.raises(AssertionError, match="other batches give other rows"):
        assert_folds_alike(shelf(step), EVENTS)


def test_a_step_that_depends_on_the_order_of_arrival_is_caught_where_rows_are_merged() -> None:
    def last(row: Row | None, event: Event) -> Row:
        return {"last": event.data["count"]}

    def higher(left: Row, right: Row) -> Row:
        return max(left, right, key=lambda row: row["last"])

    assert_folds_alike(shelf(last), EVENTS)
    with pytest.raises(AssertionError, match=r"table shelf: another order, or other slices, give other rows \(seed=5\)"):
        assert_folds_alike(shelf(last, merge=higher), EVENTS, seed=5)


@pytest.mark.parametrize(
    "merge",
    [
        lambda left, right: left,
        lambda left, right: {"count": left["count"] - right["count"]},
        lambda left, right: {"count": (left["count"] + right["count"]) / 2},
    ],
    ids=["left", "minus", "mean"],
)
def test_a_merge_that_is_not_commutative_and_associative_is_caught(merge: Any) -> None:
    with pytest.raises(AssertionError, match="another order, or other slices"):
        assert_folds_alike(shelf(count, merge=merge), EVENTS)


def test_an_index_that_depends_on_more_than_the_row_is_caught() -> None:
    calls = []

    def member(key: str, row: Row) -> str:
        calls.append(key)
        return str(len(calls))

    with pytest.raises(AssertionError, match="index by_count"):
        assert_folds_alike(shelf(count, index=member), EVENTS)


def test_the_same_seed_makes_the_same_choices() -> None:
    def told(seed: int) -> str:
        with pytest.raises(AssertionError) as raised:
            assert_folds_alike(shelf(count, merge=lambda left, right: left), EVENTS, seed=seed)
        return str(raised.value)

    assert told(1) == told(1)
    assert "seed=1" in told(1)


def test_a_row_and_no_row() -> None:
    given_rows(shelf(count), *EVENTS[:4]).then("shelf", "a", {"count": 3}).then_none("shelf", "d").then_none("other", "a")
    with pytest.raises(AssertionError, match=r"(?s)the row 'a' of 'shelf' is another one.*-{'count': 4}.*\+{'count': 3}"):
        given_rows(shelf(count), *EVENTS[:4]).then("shelf", "a", {"count": 4})
    with pytest.raises(AssertionError, match="'shelf' has no row 'd'; there is: 'a', 'b', 'c'"):
        given_rows(shelf(count), *EVENTS[:4]).then("shelf", "d", {"count": 4})
    with pytest.raises(AssertionError, match="has a row 'a'"):
        given_rows(shelf(count), *EVENTS[:4]).then_none("shelf", "a")


def test_rows_that_are_others_the_second_time_are_caught() -> None:
    seen = []

    def remembers(row: Row | None, event: Event) -> Row:
        seen.append(event)
        return {"seen": len(seen)}

    with pytest.raises(AssertionError, match="folded twice, events give other rows"):
        given_rows(shelf(remembers), *EVENTS)


# -- process managers ------------------------------------------------------------------------------------------------------

CANCEL = Emit("flights.CancelFlight", "F-2", {"cancelled_at": 1})
HAPPENED = Event("flights.FlightDiverted", "F-1", {"minutes": 5, "to": {"stops": []}})
REFUSED = Refused(command="flights.CancelFlight", key="F-2", process="F-1", code="no", message="no")


def manager(react: Any, *, reads: Any = None) -> ProcessManager:
    made = ProcessManager(name="rebooking", domains=("flights",))
    made.on("flights.FlightDiverted", reads=reads)(react)
    made.refused("flights.CancelFlight")(react)
    made.deadline("late", starts="flights.FlightDiverted", ends="flights.FlightArrived", due="minutes")(react)
    return made


def test_given_when_then_of_a_process_manager(codec: Codec) -> None:
    rebooking = managing(manager(lambda happened: [CANCEL]), codec)
    rebooking.when(HAPPENED).then(CANCEL)
    rebooking.when_refused(REFUSED).then(CANCEL)
    rebooking.at_deadline("late", HAPPENED).then(CANCEL)
    rebooking.when(HAPPENED._replace(type="flights.FlightArrived")).then_nothing()
    rebooking.when_refused(REFUSED._replace(command="flights.DepartFlight")).then_nothing()
    managing(manager(lambda happened: [])).when(HAPPENED).then_nothing()


def test_other_commands_than_expected_are_shown() -> None:
    with pytest.raises(AssertionError, match=r"(?s)other commands follow flights\.FlightDiverted.*\+ .*CancelFlight"):
        managing(manager(lambda happened: [CANCEL])).when(HAPPENED).then_nothing()
    with pytest.raises(AssertionError, match="other commands follow"):
        managing(manager(lambda happened: [CANCEL])).when(HAPPENED).then(CANCEL._replace(key="F-3"))


@pytest.mark.parametrize(
    ("emit", "says"),
    [
        (CANCEL._replace(type="flights.Nothing"), "no schema is called"),
        (CANCEL._replace(type="flights.FlightArrived"), "is no command"),
        (CANCEL._replace(data={}), "'cancelled_at' is missing"),
        (CANCEL._replace(key=""), "is not an aggregate's id"),
        (CANCEL._replace(key=None), "is not an aggregate's id"),
        ("flights.CancelFlight", "which is no Emit"),
    ],
)
def test_what_cannot_be_sent_is_caught(codec: Codec, emit: Any, says: str) -> None:
    for act in ("when", "when_refused"):
        with pytest.raises(AssertionError, match=says):
            getattr(managing(manager(lambda happened: [emit]), codec), act)(HAPPENED if act == "when" else REFUSED)


def test_a_reaction_that_is_not_pure_is_caught() -> None:
    with pytest.raises(AssertionError, match="asked twice"):
        managing(manager(lambda happened: [CANCEL._replace(key=str(random.random()))])).when(HAPPENED)
    with pytest.raises(AssertionError, match=r"changed flights\.FlightDiverted"):
        managing(manager(lambda happened: [CANCEL] * len(happened.data["to"]["stops"].append(1) or [1]))).when(HAPPENED)
    with pytest.raises(AssertionError, match="returned None, not a list"):
        managing(manager(lambda happened: None)).when(HAPPENED)


def test_a_reaction_sees_only_the_fields_that_it_declares() -> None:
    def react(event: Event) -> list[Emit]:
        return [CANCEL._replace(key=event.data["to"])]

    with pytest.raises(KeyError, match="to"):
        managing(manager(react, reads=("minutes",))).when(HAPPENED)


def test_a_deadline_that_is_not_started_so_is_caught() -> None:
    rebooking = managing(manager(lambda happened: [CANCEL]))
    with pytest.raises(AssertionError, match=r"declares no deadline 'early', but \['late'\]"):
        rebooking.at_deadline("early", HAPPENED)
    with pytest.raises(AssertionError, match=r"flights\.FlightArrived does not start the deadline 'late'"):
        rebooking.at_deadline("late", HAPPENED._replace(type="flights.FlightArrived"))
    with pytest.raises(AssertionError, match="its 'minutes' is None"):
        rebooking.at_deadline("late", HAPPENED._replace(data={"minutes": None}))


def test_evolve_meets_an_event_as_the_log_gives_it_back() -> None:
    keeps = Decider(version=1, initial=dict, decide=lambda *_: [], evolve=lambda _, event: dict(event.data))
    when = datetime(2013, 2, 8, 12, tzinfo=UTC)
    event = Message("flights.FlightScheduled", {**flights.scheduled(1), "scheduled_departure": when})
    assert given(keeps, event).state["scheduled_departure"] == int(when.timestamp() * 1000)
    with pytest.raises(WrongDataError, match="scheduled_departure"):
        given(keeps, Message("flights.FlightScheduled", {**flights.scheduled(1), "scheduled_departure": "soon"}))
    # Where no domain of this name is installed there is no log to ask.
    assert given(keeps, Message("nowhere.Happened", {"at": 1})).state == {"at": 1}
