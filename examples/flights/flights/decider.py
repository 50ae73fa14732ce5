"""What may happen to one scheduled flight.

A flight is scheduled once, departs once, and ends once: arrived or diverted after departure, cancelled before it.
"""

from __future__ import annotations

from eventfold import Decider, Decision, Message, Refusal, State
from eventfold.schemas.times import iso

SCHEDULED, DEPARTED, ARRIVED, DIVERTED, CANCELLED = "scheduled", "departed", "arrived", "diverted", "cancelled"
MINUTE_MS = 60_000

_IDENTITY = ("carrier", "flight_number", "flight_date", "origin", "destination", "tail_number")


def initial() -> State:
    return {}


def decide(state: State, command: Message) -> Decision:
    try:
        rule = _RULES[command.type]
    except KeyError:
        return Refusal(code="unknown-command", message=f"a flight takes no {command.type}")
    return rule(state, command)


def evolve(state: State, event: Message) -> State:
    data = event.data
    match event.type:
        case "flights.FlightScheduled":
            kept = (*_IDENTITY, "scheduled_departure", "scheduled_arrival")
            return {"status": SCHEDULED, **{name: data[name] for name in kept}}
        case "flights.FlightDeparted":
            return {**state, "status": DEPARTED, "tail_number": data["tail_number"], "departed_at": data["departed_at"]}
        case "flights.FlightArrived":
            return {"status": ARRIVED}
        case "flights.FlightDiverted":
            return {"status": DIVERTED}
        case "flights.FlightCancelled":
            return {"status": CANCELLED}
        case _:
            return state


def _schedule(state: State, command: Message) -> Decision:
    data = command.data
    if state:
        return Refusal(code="already-scheduled", message="the flight is on the schedule already")
    if data["scheduled_arrival"] <= data["scheduled_departure"]:
        return Refusal(code="times-reversed", message="the scheduled arrival is not after the scheduled departure")
    if data["origin"] == data["destination"]:
        return Refusal(code="no-journey", message=f"origin and destination are both {data['origin']}")
    if data["distance_mi"] <= 0:
        return Refusal(code="no-distance", message="the distance must be positive")
    return [Message("flights.FlightScheduled", data)]


def _depart(state: State, command: Message) -> Decision:
    if refusal := _unless(state, SCHEDULED, "depart"):
        return refusal
    data = command.data
    delay = _delay(state["scheduled_departure"], data["departed_at"], data["departure_delay_min"], "departure")
    if isinstance(delay, Refusal):
        return delay
    return [
        Message(
            "flights.FlightDeparted",
            {
                **_identity(state),
                "tail_number": data["tail_number"] or state["tail_number"],
                "departed_at": data["departed_at"],
                "departure_delay_min": delay,
            },
        )
    ]


def _arrive(state: State, command: Message) -> Decision:
    if refusal := _unless(state, DEPARTED, "arrive"):
        return refusal
    data = command.data
    if data["arrived_at"] <= state["departed_at"]:
        return Refusal(
            code="arrival-before-departure",
            message=f"it cannot arrive at {iso(data['arrived_at'])}: it departed at {iso(state['departed_at'])}",
        )
    delay = _delay(state["scheduled_arrival"], data["arrived_at"], data["arrival_delay_min"], "arrival")
    if isinstance(delay, Refusal):
        return delay
    minutes = data["air_time_min"]
    if minutes is not None and not 0 < minutes * MINUTE_MS <= data["arrived_at"] - state["departed_at"]:
        return Refusal(
            code="air-time-impossible", message=f"{minutes} minutes in the air do not fit between departure and arrival"
        )
    return [
        Message(
            "flights.FlightArrived",
            {
                **_identity(state),
                "arrived_at": data["arrived_at"],
                "arrival_delay_min": delay,
                "air_time_s": None if minutes is None else minutes * 60,
            },
        )
    ]


def _divert(state: State, command: Message) -> Decision:
    if refusal := _unless(state, DEPARTED, "be diverted"):
        return refusal
    at = command.data["diverted_at"]
    if at <= state["departed_at"]:
        return Refusal(
            code="diversion-before-departure",
            message=f"it cannot be diverted at {iso(at)}: it departed at {iso(state['departed_at'])}",
        )
    diverted = {**_identity(state), "diverted_at": at, "diverted_to": command.data["diverted_to"]}
    return [Message("flights.FlightDiverted", diverted)]


def _cancel(state: State, command: Message) -> Decision:
    if refusal := _unless(state, SCHEDULED, "be cancelled"):
        return refusal
    return [Message("flights.FlightCancelled", {**_identity(state), "cancelled_at": command.data["cancelled_at"]})]


_RULES = {
    "flights.ScheduleFlight": _schedule,
    "flights.DepartFlight": _depart,
    "flights.ArriveFlight": _arrive,
    "flights.DivertFlight": _divert,
    "flights.CancelFlight": _cancel,
}


def _identity(state: State) -> dict[str, object]:
    return {name: state[name] for name in _IDENTITY}


def _unless(state: State, status: str, verb: str) -> Refusal | None:
    now = state.get("status")
    if now == status:
        return None
    if now is None:
        return Refusal(code="not-scheduled", message=f"the flight cannot {verb}: it was never scheduled")
    if now == SCHEDULED:
        return Refusal(code="not-departed", message=f"the flight cannot {verb}: it has not departed")
    return Refusal(code=f"already-{now}", message=f"the flight cannot {verb}: it has {_PAST[now]} already")


_PAST = {DEPARTED: "departed", ARRIVED: "arrived", DIVERTED: "been diverted", CANCELLED: "been cancelled"}


def _delay(scheduled: int, actual: int, stated: int | None, what: str) -> int | Refusal:
    """The whole minutes from scheduled to actual, or a refusal when the command states another number."""
    delay, rest = divmod(actual - scheduled, MINUTE_MS)
    if rest:
        return Refusal(code="not-a-whole-minute", message=f"the {what} {iso(actual)} is not on a whole minute of delay")
    if stated is not None and stated != delay:
        return Refusal(
            code="delay-contradicts-times",
            message=f"a {what} at {iso(actual)} is {delay} minutes after the schedule, not {stated}",
        )
    return delay


decider = Decider(version=1, initial=initial, decide=decide, evolve=evolve)
