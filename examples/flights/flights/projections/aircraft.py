"""`aircraft`: per tail number the legs flown, the minutes in the air and the last known airport.

The legs of one aircraft lie in many partitions, so a row is a partial one; which airport is the last is decided by
the events' own times, never by the order in which they come.
"""

from __future__ import annotations

from eventfold import Event, Param, Projection, Reader, Row, Table
from eventfold.schemas.times import iso


def merge(left: Row, right: Row) -> Row:
    seen = max((left["last_seen_at"], left["last_airport"]), (right["last_seen_at"], right["last_airport"]))
    return {
        "tail_number": left["tail_number"],
        "legs": left["legs"] + right["legs"],
        "diverted": left["diverted"] + right["diverted"],
        "air_time_min": left["air_time_min"] + right["air_time_min"],
        "last_airport": seen[1],
        "last_seen_at": seen[0],
    }


def _tail(event: Event) -> str | None:
    tail: str | None = event.data["tail_number"]
    return tail


aircraft = Projection(
    name="aircraft",
    version=1,
    topics=("flights.events",),
    tables=(Table(name="aircraft", merge=merge),),
    from_any_point=True,
)


@aircraft.on("flights.FlightDeparted", key=_tail, reads=("tail_number", "origin", "departed_at"))
def departed(row: Row | None, event: Event) -> Row:
    return _seen(row, event, event.data["origin"], event.data["departed_at"])


@aircraft.on("flights.FlightArrived", key=_tail, reads=("tail_number", "destination", "arrived_at", "air_time_s"))
def arrived(row: Row | None, event: Event) -> Row:
    row = _seen(row, event, event.data["destination"], event.data["arrived_at"])
    row["legs"] += 1
    row["air_time_min"] += (event.data["air_time_s"] or 0) // 60
    return row


@aircraft.on("flights.FlightDiverted", key=_tail, reads=("tail_number", "origin"))
def diverted(row: Row | None, event: Event) -> Row:
    """A leg that ended elsewhere: how long it flew the event does not say, and where it landed hardly ever."""
    row = _seen(row, event, event.data["origin"], 0)
    row["legs"] += 1
    row["diverted"] += 1
    return row


def _seen(row: Row | None, event: Event, airport: str, at: int) -> Row:
    if row is None:
        row = {
            "tail_number": event.data["tail_number"],
            "legs": 0,
            "diverted": 0,
            "air_time_min": 0,
            "last_airport": airport,
            "last_seen_at": iso(at),
        }
    if (seen := (iso(at), airport)) > (row["last_seen_at"], row["last_airport"]):
        row["last_seen_at"], row["last_airport"] = seen
    return row


def history(reader: Reader, tail_number: str) -> Row | None:
    """One aircraft by its tail number."""
    return reader.get("aircraft", tail_number.upper())


aircraft.answers(history, params=[Param(name="tail_number", positional=True, help="e.g. N14228")])
