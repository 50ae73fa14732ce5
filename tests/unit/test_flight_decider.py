"""The rules of a flight, by given/when/then; and that no sequence of commands breaks them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from eventfold.producers.decider import Refusal
from eventfold.producers.testing import given
from eventfold.schemas.codec import Codec
from eventfold.schemas.message import Message
from flights.decider import decider

MINUTE = 60_000
DEPARTURE, ARRIVAL = 1_360_324_800_000, 1_360_346_400_000
FLIGHT = {
    "carrier": "UA",
    "flight_number": 15,
    "flight_date": 15_744,
    "origin": "JFK",
    "destination": "LAX",
    "tail_number": "N14228",
}
PLAN = {**FLIGHT, "scheduled_departure": DEPARTURE, "scheduled_arrival": ARRIVAL, "distance_mi": 2475}


def schedule(**other: Any) -> Message:
    return Message("flights.ScheduleFlight", {**PLAN, **other})


def depart(delay: int = 5, stated: int | None = None, tail: str | None = None, seconds: int = 0) -> Message:
    at = DEPARTURE + delay * MINUTE + seconds * 1000
    return Message("flights.DepartFlight", {"departed_at": at, "departure_delay_min": stated, "tail_number": tail})


def arrive(delay: int = 20, stated: int | None = None, air_time: int | None = None) -> Message:
    at = ARRIVAL + delay * MINUTE
    return Message("flights.ArriveFlight", {"arrived_at": at, "arrival_delay_min": stated, "air_time_min": air_time})


def divert(after: int = 100, to: str | None = None) -> Message:
    return Message("flights.DivertFlight", {"diverted_at": DEPARTURE + after * MINUTE, "diverted_to": to})


CANCEL = Message("flights.CancelFlight", {"cancelled_at": DEPARTURE})

SCHEDULED = Message("flights.FlightScheduled", PLAN)
DEPARTED = Message("flights.FlightDeparted", {**FLIGHT, "departed_at": DEPARTURE + 5 * MINUTE, "departure_delay_min": 5})
ARRIVED = Message(
    "flights.FlightArrived", {**FLIGHT, "arrived_at": ARRIVAL + 20 * MINUTE, "arrival_delay_min": 20, "air_time_s": None}
)
DIVERTED = Message("flights.FlightDiverted", {**FLIGHT, "diverted_at": DEPARTURE + 100 * MINUTE, "diverted_to": "ORD"})
CANCELLED = Message("flights.FlightCancelled", {**FLIGHT, "cancelled_at": DEPARTURE})

BEGUN = [SCHEDULED]
FLYING = [SCHEDULED, DEPARTED]


def test_a_flight_that_arrives() -> None:
    given(decider).when(schedule()).then(SCHEDULED).when(depart()).then(DEPARTED).when(arrive()).then(ARRIVED)


def test_a_flight_that_is_diverted() -> None:
    given(decider, *FLYING).when(divert(to="ORD")).then(DIVERTED)


def test_a_flight_that_is_cancelled() -> None:
    given(decider, *BEGUN).when(CANCEL).then(CANCELLED)


def test_a_delay_is_worked_out_or_agrees_with_the_times() -> None:
    early = Message("flights.FlightDeparted", {**FLIGHT, "departed_at": DEPARTURE - 3 * MINUTE, "departure_delay_min": -3})
    given(decider, *BEGUN).when(depart(-3)).then(early)
    given(decider, *BEGUN).when(depart(-3, stated=-3)).then(early)
    given(decider, *FLYING).when(arrive(20, stated=20)).then(ARRIVED)


def test_another_aircraft_may_fly_than_planned() -> None:
    other = {"tail_number": "N99999"}
    swapped = Message(DEPARTED.type, {**DEPARTED.data, **other})
    arrived = Message(ARRIVED.type, {**ARRIVED.data, **other})
    given(decider, *BEGUN).when(depart(tail="N99999")).then(swapped).when(arrive()).then(arrived)


def test_the_longest_air_time_is_from_departure_to_arrival() -> None:
    minutes = (ARRIVAL - DEPARTURE) // MINUTE + 15
    longest = Message(ARRIVED.type, {**ARRIVED.data, "air_time_s": minutes * 60})
    given(decider, *FLYING).when(arrive(air_time=minutes)).then(longest)
    given(decider, *FLYING).when(arrive(air_time=minutes + 1)).then_refused("air-time-impossible")
    given(decider, *FLYING).when(arrive(air_time=0)).then_refused("air-time-impossible")


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        ([], Message("flights.PaintFlight", {}), "unknown-command"),
        ([], schedule(scheduled_arrival=DEPARTURE), "times-reversed"),
        ([], schedule(destination="JFK"), "no-journey"),
        ([], schedule(distance_mi=0), "no-distance"),
        (BEGUN, schedule(), "already-scheduled"),
        ([*BEGUN, CANCELLED], schedule(), "already-scheduled"),
        ([], depart(), "not-scheduled"),
        ([], arrive(), "not-scheduled"),
        ([], divert(), "not-scheduled"),
        ([], CANCEL, "not-scheduled"),
        (BEGUN, arrive(), "not-departed"),
        (BEGUN, divert(), "not-departed"),
        (FLYING, depart(), "already-departed"),
        (FLYING, CANCEL, "already-departed"),
        (BEGUN, depart(5, stated=6), "delay-contradicts-times"),
        (BEGUN, depart(seconds=30), "not-a-whole-minute"),
        (FLYING, arrive(20, stated=-20), "delay-contradicts-times"),
        (FLYING, arrive(-355), "arrival-before-departure"),
        (FLYING, divert(after=5), "diversion-before-departure"),
        *(
            ([*way, end], command, f"already-{state}")
            for way, end, state in (
                (FLYING, ARRIVED, "arrived"),
                (FLYING, DIVERTED, "diverted"),
                (BEGUN, CANCELLED, "cancelled"),
            )
            for command in (depart(), arrive(), divert(), CANCEL)
        ),
    ],
)
def test_what_is_refused(before: list[Message], command: Message, code: str) -> None:
    given(decider, *before).when(command).then_refused(code)


def test_an_event_that_a_decider_does_not_know_changes_nothing() -> None:
    assert decider.evolve({"status": "scheduled"}, Message("flights.FlightPainted", {})) == {"status": "scheduled"}


minutes = st.integers(-400, 800)
stated = st.none() | st.integers(-3, 3)
any_command = st.one_of(
    st.builds(schedule, scheduled_arrival=minutes.map(lambda m: DEPARTURE + m * MINUTE)),
    st.builds(depart, minutes, stated, st.sampled_from([None, "N1"]), st.sampled_from([0, 0, 0, 30])),
    st.builds(depart, st.integers(-3, 3), stated),
    st.builds(arrive, minutes, stated, st.none() | minutes),
    st.builds(arrive, st.integers(-3, 3), stated),
    st.builds(divert, minutes),
    st.just(CANCEL),
)


@for_all(st.lists(any_command, max_size=12))
def test_no_sequence_of_commands_breaks_a_rule(codec: Codec, commands: list[Message]) -> None:
    state, events = decider.initial(), []
    for command in commands:
        decision = decider.decide(state, command)
        if not isinstance(decision, Refusal):
            for event in decision:
                state = decider.evolve(state, event)
                events.append(event)
                assert codec.decode(codec.encode(*event)) == event
    names = [event.type.removeprefix("flights.Flight") for event in events]
    ends = (["Departed", "Arrived"], ["Departed", "Diverted"], ["Departed"], ["Cancelled"], [])
    assert names in ([], *(["Scheduled", *end] for end in ends))
    found = {name: event.data for name, event in zip(names, events, strict=True)}
    if "Departed" in found:
        plan, departed = found["Scheduled"], found["Departed"]
        assert departed["departed_at"] - plan["scheduled_departure"] == departed["departure_delay_min"] * MINUTE
    if "Arrived" in found:
        arrived = found["Arrived"]
        assert arrived["arrived_at"] > departed["departed_at"]
        assert arrived["arrived_at"] - plan["scheduled_arrival"] == arrived["arrival_delay_min"] * MINUTE
        assert (arrived["air_time_s"] or 1) * 1000 <= arrived["arrived_at"] - departed["departed_at"]
    if "Diverted" in found:
        assert found["Diverted"]["diverted_at"] > departed["departed_at"]
