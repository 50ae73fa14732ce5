"""`sightings`: how many birds of each kind were seen."""

from __future__ import annotations

from eventfold import Event, Projection, Reader, Row, Table, sum_fields

sightings = Projection(
    name="sightings", version=1, topics=("sightings.events",), tables=(Table(name="kinds", merge=sum_fields),)
)


@sightings.on("sightings.BirdSeen", key=lambda event: event.data["kind"])
def seen(row: Row | None, event: Event) -> Row:
    row = row or {"sightings": 0, "birds": 0}
    row["sightings"] += 1
    row["birds"] += event.data["count"]
    return row


def kinds(reader: Reader) -> list[Row]:
    """How often each kind was seen, and how many birds."""
    return [{"kind": kind, **row} for kind, row in reader.all("kinds").items()]


sightings.answers(kinds)

projections = [sightings]
