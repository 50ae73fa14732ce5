"""A rebuild against the raw loop: events a second and peak memory, with one worker and two, and for logs of several sizes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from bench.log import Log, repeated, scan, with_prefix
from bench.measure import Result, run
from bench.report import Figure, against
from eventfold.installation import Installation

WORKERS = (1, 2)
PROJECTIONS = ("punctuality", "flights")
LEAST = {"punctuality": 2.0, "flights": 1.5}
MOST_GROWTH = 1.1
_RAW = "raw loop"


def measure(
    environ: Mapping[str, str], installation: Installation, log: Log, events: int, rounds: int
) -> dict[str, list[Result]]:
    """Rounds of the raw loop and each rebuild in turn, each from offset zero and in a process of its own."""
    names = [_name(projection, workers) for projection in PROJECTIONS for workers in WORKERS]
    results: dict[str, list[Result]] = {name: [] for name in (_RAW, *names)}
    for _ in range(rounds):
        installation.redis.flushall()
        results[_RAW].append(run("raw_fold", environ, events=events, times=False, hiredis=True))
        for projection in PROJECTIONS:
            for workers in WORKERS:
                results[_name(projection, workers)].append(_rebuild(environ, projection, log, events, workers))
    return results


def throughput(results: Mapping[str, Sequence[Result]]) -> Iterator[Figure]:
    """Events a second and peak memory of each rebuild, against the raw loop's."""
    rates = {name: [result.rate for result in of] for name, of in results.items()}
    peaks = {name: [result.peak_mb for result in of] for name, of in results.items()}
    for projection in PROJECTIONS:
        for workers in WORKERS:
            name = _name(projection, workers)
            least = LEAST[projection] if workers == 1 else None
            yield against(name, "events/s", rates[name], rates[_RAW], least)
        one, two = (rates[_name(projection, workers)] for workers in WORKERS)
        yield against(f"rebuild {projection}, 2 workers against 1", "events/s", two, one, None)
    for projection in PROJECTIONS:
        for workers in WORKERS:
            name = _name(projection, workers)
            yield against(f"{name}, peak memory", "MB", peaks[name], peaks[_RAW], None)


def sizes(
    environ: Mapping[str, str], installation: Installation, log: Log, few: int, rounds: int, times: int
) -> Iterator[Figure]:
    """Whether time grows as the log does, and memory does not: some events, the whole log, the log so many times over."""
    prefix = installation.names.prefix
    large = with_prefix(environ, f"{prefix}repeated.")
    repeated(installation, Installation(large), times)
    whole = scan(Installation(large), Installation(large).names.events("flights"))
    for projection in PROJECTIONS:
        found: dict[int, list[Result]] = {few: [], log.events: [], whole.events: []}
        for _ in range(rounds):
            for events in found:
                installation.redis.flushall()
                of, where = (whole, large) if events == whole.events else (log, environ)
                found[events].append(_rebuild(where, projection, of, events, 1))
        small = found[few]
        for events, results in found.items():
            rate = statistics.median(result.rate for result in results)
            yield Figure(name=f"rebuild {projection} of {events:,} events", value=rate, unit="events/s")
            peak, least = (statistics.median(result.peak_mb for result in of) for of in (results, small))
            if events != few:
                yield Figure(
                    name=f"rebuild {projection} of {events:,} events, peak memory",
                    value=peak,
                    unit="MB",
                    baseline=least,
                    ratio=peak / least,
                    target=f"<= {MOST_GROWTH:g} x",
                    met=peak <= least * MOST_GROWTH,
                )


def _rebuild(environ: Mapping[str, str], projection: str, log: Log, events: int, workers: int) -> Result:
    return run("rebuild", environ, projection=projection, log=log.to_json(), events=events, workers=workers)


def _name(projection: str, workers: int) -> str:
    return f"rebuild {projection}, {workers} worker{'s' if workers > 1 else ''}"
