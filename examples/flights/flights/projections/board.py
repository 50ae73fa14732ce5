"""`board`: an airport's departures of one day in the order of their scheduled time."""

from __future__ import annotations

from eventfold import Event, Index, Param, Projection, Row, Table
from eventfold.schemas.times import day, iso, iso_day


def _place(key: str, row: Row) -> tuple[str, str, str]:
    return row["origin"], row["flight_date"], row["scheduled_departure"]


board = Projection(
    name="board",
    version=2,
    topics=("flights.events",),
    tables=(Table(name="departures", indexes=(Index(name="by_time", member=_place),)),),
    changes=1_000,
)


@board.on(
    "flights.FlightScheduled",
    reads=("carrier", "flight_number", "flight_date", "origin", "destination", "scheduled_departure"),
)
def scheduled(row: Row | None, event: Event) -> Row:
    data = event.data
    return {
        "id": event.key,
        "flight": f"{data['carrier']} {data['flight_number']}",
        "origin": data["origin"],
        "destination": data["destination"],
        "flight_date": iso_day(data["flight_date"]),
        "scheduled_departure": iso(data["scheduled_departure"]),
        "departed_at": None,
        "delay_min": None,
        "status": "scheduled",
    }


@board.on("flights.FlightDeparted", reads=("departed_at", "departure_delay_min"))
def departed(row: Row | None, event: Event) -> Row:
    row = _became(row, "departed")
    row["departed_at"] = iso(event.data["departed_at"])
    row["delay_min"] = event.data["departure_delay_min"]
    return row


@board.on("flights.FlightArrived", reads=())
def arrived(row: Row | None, event: Event) -> Row:
    return _became(row, "arrived")


@board.on("flights.FlightDiverted", reads=())
def diverted(row: Row | None, event: Event) -> Row:
    return _became(row, "diverted")


@board.on("flights.FlightCancelled", reads=())
def cancelled(row: Row | None, event: Event) -> Row:
    return _became(row, "cancelled")


def _became(row: Row | None, status: str) -> Row:
    if row is None:
        raise ValueError("it was never scheduled")
    row["status"] = status
    return row


def _day_of(airport: str, date: int) -> tuple[str, str]:
    return airport.upper(), iso_day(date)


board.lists(
    "departures",
    "by_time",
    _day_of,
    help="Departures of one airport on one local day, all times UTC.",
    limit=500,
    params=[
        Param(name="airport", positional=True, help="IATA code, e.g. JFK"),
        Param(name="date", help="the local day, e.g. 2013-02-08", check=day, form={"format": "date"}),
    ],
    columns=["scheduled_departure", "flight", "destination", "status", "departed_at", "delay_min", "id"],
)
