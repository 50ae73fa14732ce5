"""`flights`: a row per flight."""

from __future__ import annotations

from eventfold import Event, Param, Projection, Row, Table
from eventfold.schemas.times import iso, iso_day

flights = Projection(name="flights", version=2, topics=("flights.events",), tables=(Table(name="flights"),), changes=1_000)


@flights.on("flights.FlightScheduled")
def scheduled(row: Row | None, event: Event) -> Row:
    data = event.data
    return {
        "id": event.key,
        "version": 1,
        "status": "scheduled",
        "carrier": data["carrier"],
        "flight_number": data["flight_number"],
        "flight_date": iso_day(data["flight_date"]),
        "origin": data["origin"],
        "destination": data["destination"],
        "tail_number": data["tail_number"],
        "distance_mi": data["distance_mi"],
        "scheduled_departure": iso(data["scheduled_departure"]),
        "scheduled_arrival": iso(data["scheduled_arrival"]),
        "departed_at": None,
        "departure_delay_min": None,
        "arrived_at": None,
        "arrival_delay_min": None,
        "air_time_min": None,
        "diverted_to": None,
    }


@flights.on("flights.FlightDeparted", reads=("tail_number", "departed_at", "departure_delay_min"))
def departed(row: Row | None, event: Event) -> Row:
    row, data = _next(row, "departed"), event.data
    row["tail_number"] = data["tail_number"]
    row["departed_at"] = iso(data["departed_at"])
    row["departure_delay_min"] = data["departure_delay_min"]
    return row


@flights.on("flights.FlightArrived", reads=("arrived_at", "arrival_delay_min", "air_time_s"))
def arrived(row: Row | None, event: Event) -> Row:
    row, data = _next(row, "arrived"), event.data
    row["arrived_at"] = iso(data["arrived_at"])
    row["arrival_delay_min"] = data["arrival_delay_min"]
    row["air_time_min"] = None if data["air_time_s"] is None else data["air_time_s"] // 60
    return row


@flights.on("flights.FlightDiverted", reads=("diverted_to",))
def diverted(row: Row | None, event: Event) -> Row:
    row = _next(row, "diverted")
    row["diverted_to"] = event.data["diverted_to"]
    return row


@flights.on("flights.FlightCancelled", reads=())
def cancelled(row: Row | None, event: Event) -> Row:
    return _next(row, "cancelled")


def _next(row: Row | None, status: str) -> Row:
    if row is None:
        raise ValueError("it was never scheduled")
    row["version"] += 1
    row["status"] = status
    return row


flights.gets(
    "flights",
    Param(name="id", positional=True, aggregate=True, help="e.g. UA1545:2013-01-01:EWR"),
    help="One flight by its id, <carrier><number>:<date>:<origin>.",
    columns=[
        *("id", "status", "carrier", "flight_number", "flight_date", "origin", "destination", "tail_number"),
        *("scheduled_departure", "departed_at", "departure_delay_min"),
        *("scheduled_arrival", "arrived_at", "arrival_delay_min", "air_time_min", "diverted_to", "distance_mi", "version"),
    ],
)
