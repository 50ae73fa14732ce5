"""`parcels`: a row per parcel."""

from __future__ import annotations

from eventfold import Event, Param, Projection, Reader, Row, Table

parcels = Projection(name="parcels", version=1, topics=("parcels.events",), tables=(Table(name="parcels"),))


@parcels.on("parcels.ParcelPosted")
def posted(row: Row | None, event: Event) -> Row:
    return {"id": event.key, "status": "posted", "depot": event.data["depot"], "weight_g": event.data["weight_g"]}


@parcels.on("parcels.ParcelDelivered", "parcels.ParcelReturned", "parcels.ParcelKept", reads=())
def ended(row: Row | None, event: Event) -> Row:
    assert row is not None, "it was never posted"
    return {**row, "status": event.type.removeprefix("parcels.Parcel").lower()}


def parcel(reader: Reader, id: str) -> Row | None:
    """One parcel by its id."""
    return reader.get("parcels", id)


parcels.answers(parcel, params=[Param(name="id", positional=True, aggregate=True, help="e.g. P-1")])

projections = [parcels]
