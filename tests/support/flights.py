"""Flights to try things on: JFK to LAX on 8 February 2013, an hour after the other hour."""

from __future__ import annotations

from typing import Any

from eventfold.schemas.partitioner import partition_of

MINUTE_MS = 60_000
DAY = 15_744  # 2013-02-08, in days since 1970
DEPARTURE = 1_360_324_800_000  # 2013-02-08T12:00:00Z
ARRIVAL = DEPARTURE + 360 * MINUTE_MS


def flight_id(number: int) -> str:
    return f"UA{number}:2013-02-08:JFK"


def numbers_on(partition: int, partitions: int, count: int, first: int = 1) -> list[int]:
    """Flight numbers, from `first` on, whose ids belong to a partition."""
    found = (number for number in range(first, 10_000) if partition_of(flight_id(number), partitions) == partition)
    return [next(found) for _ in range(count)]


def scheduled(number: int) -> dict[str, Any]:
    """The data of ScheduleFlight and of FlightScheduled."""
    return {
        "carrier": "UA",
        "flight_number": number,
        "flight_date": DAY,
        "origin": "JFK",
        "destination": "LAX",
        "tail_number": "N14228",
        "scheduled_departure": DEPARTURE,
        "scheduled_arrival": ARRIVAL,
        "distance_mi": 2475,
    }


def departing(delay_min: int = 5) -> dict[str, Any]:
    """The data of DepartFlight."""
    return {"departed_at": DEPARTURE + delay_min * MINUTE_MS, "departure_delay_min": delay_min, "tail_number": None}


def arriving(delay_min: int = 20) -> dict[str, Any]:
    """The data of ArriveFlight."""
    return {"arrived_at": ARRIVAL + delay_min * MINUTE_MS, "arrival_delay_min": delay_min, "air_time_min": 330}


def departed(number: int, delay_min: int = 5) -> dict[str, Any]:
    """The data of FlightDeparted."""
    identity = ("carrier", "flight_number", "flight_date", "origin", "destination", "tail_number")
    kept = {name: scheduled(number)[name] for name in identity}
    return {**kept, "departed_at": DEPARTURE + delay_min * MINUTE_MS, "departure_delay_min": delay_min}


SCHEDULE_OPTIONS = (
    *("--carrier", "UA", "--date", "2013-02-08", "--origin", "JFK", "--destination", "LAX"),
    *("--departure", "2013-02-08T12:00:00Z", "--arrival", "2013-02-08T18:00:00Z", "--distance", "2475", "--tail", "N14228"),
)
