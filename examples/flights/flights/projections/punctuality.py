"""`punctuality`: counts, sums and histograms of delays per carrier, per origin and per month."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from eventfold import Event, Param, Projection, Reader, Row, Table, sum_fields
from eventfold.schemas.times import iso_day

LATE_MIN = 15
_PERCENTILES = (50, 90, 99)


@lru_cache(maxsize=4096)
def _month(days: int) -> str:
    return iso_day(days)[:7]


# The field that a table's key is made of, and how.
_BY: dict[str, tuple[str, Callable[[Event], str | None]]] = {
    "carrier": ("carrier", lambda event: event.data["carrier"]),
    "origin": ("origin", lambda event: event.data["origin"]),
    "month": ("flight_date", lambda event: _month(event.data["flight_date"])),
}

punctuality = Projection(
    name="punctuality",
    version=1,
    topics=("flights.events",),
    tables=tuple(Table(name=by, merge=sum_fields) for by in _BY),
    from_any_point=True,
)


_COUNTERS = (
    "scheduled",
    "departed",
    "arrived",
    "cancelled",
    "diverted",
    "arrived_late",
    "dep_delay_sum_min",
    "arr_delay_sum_min",
)


def _new() -> Row:
    return {**dict.fromkeys(_COUNTERS, 0), "dep_delays": {}, "arr_delays": {}}


def scheduled(row: Row | None, event: Event) -> Row:
    row = row or _new()
    row["scheduled"] += 1
    return row


def departed(row: Row | None, event: Event) -> Row:
    row = row or _new()
    row["departed"] += 1
    delay = event.data["departure_delay_min"]
    row["dep_delay_sum_min"] += delay
    _count(row["dep_delays"], delay)
    return row


def arrived(row: Row | None, event: Event) -> Row:
    row, delay = row or _new(), event.data["arrival_delay_min"]
    row["arrived"] += 1
    if delay >= LATE_MIN:
        row["arrived_late"] += 1
    row["arr_delay_sum_min"] += delay
    _count(row["arr_delays"], delay)
    return row


def diverted(row: Row | None, event: Event) -> Row:
    row = row or _new()
    row["diverted"] += 1
    return row


def cancelled(row: Row | None, event: Event) -> Row:
    row = row or _new()
    row["cancelled"] += 1
    return row


for _table, (_field, _key) in _BY.items():
    punctuality.on("flights.FlightScheduled", table=_table, key=_key, reads=(_field,))(scheduled)
    punctuality.on("flights.FlightDeparted", table=_table, key=_key, reads=(_field, "departure_delay_min"))(departed)
    punctuality.on("flights.FlightArrived", table=_table, key=_key, reads=(_field, "arrival_delay_min"))(arrived)
    punctuality.on("flights.FlightDiverted", table=_table, key=_key, reads=(_field,))(diverted)
    punctuality.on("flights.FlightCancelled", table=_table, key=_key, reads=(_field,))(cancelled)


def _count(histogram: dict[str, int], delay: int) -> None:
    minutes = str(delay)
    histogram[minutes] = histogram.get(minutes, 0) + 1


def percentile(histogram: dict[str, int], percent: int) -> int | None:
    """The nearest-rank percentile of a histogram of whole minutes; None when it is empty."""
    rank = -(-sum(histogram.values()) * percent // 100)
    for minutes, count in sorted((int(m), n) for m, n in histogram.items()):
        rank -= count
        if rank <= 0:
            return minutes
    return None


def by(reader: Reader, by: str) -> list[Row]:
    """Flights, delays and their percentiles per carrier, origin or month."""
    return [{by: key, **_shown(row)} for key, row in reader.all(by).items()]


def _shown(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {name: row[name] for name in _COUNTERS}
    for which in ("dep", "arr"):
        for percent in _PERCENTILES:
            shown[f"{which}_delay_p{percent}_min"] = percentile(row[f"{which}_delays"], percent)
    return shown


punctuality.answers(
    by,
    params=[Param(name="by", choices=tuple(_BY), default="carrier", help="what to group by")],
    columns=[*_BY, *_COUNTERS[:6], "dep_delay_p50_min", "dep_delay_p90_min", "arr_delay_p50_min", "arr_delay_p90_min"],
)
