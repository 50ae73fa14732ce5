"""`returns`: a parcel that comes back is posted anew, to its sender; one that was promised and is not delivered comes back."""

from __future__ import annotations

from collections.abc import Sequence

from eventfold import Emit, Event, ProcessManager, Refused, Stop

BACK_G = 1_000

returns = ProcessManager(name="returns", domains=("parcels",), on_failure=Stop())


@returns.on("parcels.ParcelReturned", reads=("reason",))
def back(event: Event) -> Sequence[Emit]:
    return [Emit("parcels.PostParcel", f"{event.key}-back", {"depot": event.data["reason"], "weight_g": BACK_G})]


@returns.refused("parcels.PostParcel")
def not_sent_back(refused: Refused) -> Sequence[Emit]:
    return [Emit("parcels.KeepParcel", refused.process, {"parcel": refused.key, "reason": refused.code})]


@returns.deadline(
    "undelivered",
    starts="parcels.ParcelPromised",
    ends=("parcels.ParcelDelivered", "parcels.ParcelReturned"),
    due="deliver_by",
)
def undelivered(event: Event) -> Sequence[Emit]:
    return [Emit("parcels.ReturnParcel", event.key, {"reason": "not delivered in time"})]
