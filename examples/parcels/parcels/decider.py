"""What may happen to one parcel: posted once, then delivered or returned, once; a returned one may be kept for good."""

from __future__ import annotations

from eventfold import Decider, Decision, Message, Refusal, State

HEAVIEST_G = 30_000


def initial() -> State:
    return {}


def decide(state: State, command: Message) -> Decision:
    """The event that follows from a command, or why there is none."""
    data, status = command.data, state.get("status")
    if command.type == "parcels.PostParcel":
        if status is not None:
            return Refusal(code="already-posted", message="the parcel was posted already")
        if not 0 < data["weight_g"] <= HEAVIEST_G:
            return Refusal(code="too-heavy", message=f"a parcel weighs 1 to {HEAVIEST_G} g, not {data['weight_g']} g")
        return [Message("parcels.ParcelPosted", data)]
    if command.type == "parcels.KeepParcel":
        if status != "returned":
            return Refusal(code="not-returned", message=f"the parcel is {status or 'not posted'}")
        return [Message("parcels.ParcelKept", data)]
    if status != "posted":
        return Refusal(code="not-on-its-way", message=f"the parcel is {status or 'not posted'}")
    if command.type == "parcels.PromiseParcel":
        return [Message("parcels.ParcelPromised", data)]
    if command.type == "parcels.DeliverParcel":
        return [Message("parcels.ParcelDelivered", data)]
    return [Message("parcels.ParcelReturned", data)]


def evolve(state: State, event: Message) -> State:
    """The state after an event: no more than the next decision needs."""
    if event.type == "parcels.ParcelPromised":
        return state
    return {"status": event.type.removeprefix("parcels.Parcel").lower()}


decider = Decider(version=1, initial=initial, decide=decide, evolve=evolve)
