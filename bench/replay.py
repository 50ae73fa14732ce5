"""`eventfold replay` of all four read models with the daemons live and an import running: is nothing lost, and who waits?

A query is asked over and over by its id, and an event is followed from the outcome of its command to its row, as a client
that reads its own writes does; what the longest of each took while a replay ran is reported beside what the replay says of
its switch (how long the live slices were held).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import truth
from bench.log import DOMAIN, create_topics, daemon, import_months, with_prefix
from bench.projector import PROJECTIONS
from bench.report import Figure
from eventfold import Client
from eventfold.installation import Installation

_ID = "UA1545:2013-01-01:EWR"
_PAUSE_S = 0.01
_PATIENCE_S = 300


@dataclass(slots=True)
class _Waits:
    """When something was asked, and how many milliseconds it took."""

    found: list[tuple[float, float]] = field(default_factory=list)

    def longest(self, since: float, until: float) -> float:
        return max((took for at, took in self.found if at + took / 1000 >= since and at <= until), default=0.0)


def measure(environ: Mapping[str, str], months: Sequence[int]) -> Iterator[Figure]:
    """The replays' events a second, the longest waits, and whether everything is right in the end."""
    own = with_prefix(environ, "bench-replay.")
    installation = Installation(own)
    create_topics(installation)
    half = max(1, len(months) // 2)
    first, rest = months[:half], months[half:] or months
    import_months(own, f"{first[0]}-{first[-1]}")
    with daemon(own, "run", "all"):
        _caught_up(own)
        importing = subprocess.Popen(
            [sys.executable, "-m", "eventfold", "flights", "import", "--months", f"{rest[0]}-{rest[-1]}"],
            env=dict(own),
            stdout=subprocess.DEVNULL,
        )
        ended = threading.Event()
        queries, events = _Waits(), _Waits()
        watchers = [
            threading.Thread(target=_query, args=(own, queries, ended)),
            threading.Thread(target=_follow, args=(own, events, ended)),
        ]
        for watcher in watchers:
            watcher.start()
        for name in PROJECTIONS:
            started = time.monotonic()
            found = _json(own, "replay", name)
            until = time.monotonic()
            running = "an import running" if importing.poll() is None else "THE IMPORT HAD ENDED"
            note = f"{found['events']:,} events, {running}"
            yield Figure(name=f"replay {name}", value=found["events_per_s"], unit="events/s", note=note)
            yield Figure(name=f"replay {name}: the live slices were held", value=found["held_ms"], unit="ms")
            if name == "flights":
                yield Figure(name="longest query during its replay", value=queries.longest(started, until), unit="ms")
                yield Figure(
                    name="longest from outcome to row, during its replay and switch",
                    value=events.longest(started, until + 2),
                    unit="ms",
                )
        importing.wait()
        ended.set()
        for watcher in watchers:
            watcher.join()
        yield Figure(
            name="longest query of all, without a replay or with one", value=queries.longest(0, time.monotonic()), unit="ms"
        )
        _caught_up(own)
        equal = sum(_json(own, "verify", name)["equal"] for name in PROJECTIONS)
        yield Figure(
            name="truth: read models that equal the log, row by row", value=equal, unit="", target="= 4", met=equal == 4
        )
    counts = truth.expected(months)
    shown = installation.readers.query("punctuality", {"by": "carrier"})
    scheduled = sum(row["scheduled"] for row in shown)
    wanted = truth.flights(counts) + len(events.found)
    yield Figure(name="truth: flights scheduled", value=scheduled, unit="", target=f"= {wanted:,}", met=scheduled == wanted)


def _query(environ: Mapping[str, str], waits: _Waits, ended: threading.Event) -> None:
    readers = Installation(environ).readers
    while not ended.wait(_PAUSE_S):
        started = time.monotonic()
        assert readers.query("flights", {"id": _ID})["status"] == "arrived"
        waits.found.append((started, (time.monotonic() - started) * 1000))


def _follow(environ: Mapping[str, str], waits: _Waits, ended: threading.Event) -> None:
    client, number = Client(environ), 0
    while not ended.wait(_PAUSE_S):
        number += 1
        outcome = client.submit("flights.ScheduleFlight", f"ZZ{number}:2013-01-01:EWR", _scheduled(number), timeout_s=120)
        started = time.monotonic()
        client.query("flights", after=outcome, timeout_s=120, id=f"ZZ{number}:2013-01-01:EWR")
        waits.found.append((started, (time.monotonic() - started) * 1000))


def _scheduled(number: int) -> dict[str, Any]:
    return {
        "carrier": "ZZ",
        "flight_number": number,
        "flight_date": 15_706,
        "origin": "EWR",
        "destination": "LAX",
        "tail_number": None,
        "scheduled_departure": 1_357_041_600_000,
        "scheduled_arrival": 1_357_063_200_000,
        "distance_mi": 2454,
    }


def _caught_up(environ: Mapping[str, str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while any(row["lag"] for row in _json(environ, "lag") if row["name"] in (*PROJECTIONS, f"{DOMAIN}.handler")):
        if time.monotonic() > deadline:
            raise TimeoutError("the daemons do not catch up")
        time.sleep(1)


def _json(environ: Mapping[str, str], *args: str) -> Any:
    command = [sys.executable, "-m", "eventfold", *args, "--json"]
    done = subprocess.run(command, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return json.loads(done.stdout)
