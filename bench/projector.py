"""The projector against the raw loop, on the same topic and the same Redis; its memory; and the truth of what it made."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench import truth
from bench.log import Log
from bench.measure import Result, run
from bench.report import Figure, against
from eventfold.installation import Installation
from eventfold.store.slice_store import SliceStore

PROJECTIONS = ("flights", "board", "punctuality", "aircraft")
# The raw loops: with all that makes eventfold fast but its way to write; with the schemas taken as they are, so that times
# become objects; and with redis-py as `pip install redis` brings it. What was promised is judged against the fastest.
FAST, PLAIN, BARE = "raw loop", "raw loop, times as objects", "raw loop, times as objects, no hiredis"
RAW: dict[str, dict[str, bool]] = {
    FAST: {"times": False, "hiredis": True},
    PLAIN: {"times": True, "hiredis": True},
    BARE: {"times": True, "hiredis": False},
}
LEAST_RATIO = 1.5
MOST_GROWTH = 1.1


def measure(
    environ: Mapping[str, str], installation: Installation, log: Log, events: int, rounds: int
) -> dict[str, list[Result]]:
    """Rounds of the raw loop and each projection in turn, each from offset zero and in a process of its own."""
    results: dict[str, list[Result]] = {name: [] for name in (*RAW, *PROJECTIONS)}
    for _ in range(rounds):
        installation.redis.flushall()
        for name, how in RAW.items():
            results[name].append(run("raw_fold", environ, events=events, **how))
        for name in PROJECTIONS:
            results[name].append(_fold(environ, name, log, events))
    return results


def throughput(results: Mapping[str, Sequence[Result]]) -> Iterator[Figure]:
    """Events a second and peak memory of each projection, against the raw loop's."""
    rates = {name: [result.rate for result in of] for name, of in results.items()}
    peaks = {name: [result.peak_mb for result in of] for name, of in results.items()}
    for name in PROJECTIONS:
        yield against(f"projector {name}", "events/s", rates[name], rates[FAST], LEAST_RATIO)
    for baseline in (PLAIN, BARE):
        for name in PROJECTIONS:
            yield against(f"projector {name} : {baseline}", "events/s", rates[name], rates[baseline], None)
    for name in PROJECTIONS:
        yield against(f"projector {name}, peak memory", "MB", peaks[name], peaks[FAST], None)


def memory(
    environ: Mapping[str, str],
    installation: Installation,
    log: Log,
    sizes: tuple[int, int],
    measured: Mapping[str, Sequence[Result]],
) -> Iterator[Figure]:
    """Peak memory after many events against that after few; `measured` are results of the whole log, if there are any."""
    few, many = sizes
    for name in PROJECTIONS:
        installation.redis.flushall()
        small = _fold(environ, name, log, few).peak_mb
        installation.redis.flushall()
        large = measured.get(name) or [_fold(environ, name, log, many)]
        peak = statistics.median(result.peak_mb for result in large)
        yield Figure(
            name=f"memory {name}, {many:,} events against {few:,}",
            value=peak,
            unit="MB",
            baseline=small,
            ratio=peak / small,
            target=f"<= {MOST_GROWTH:g} x",
            met=peak <= small * MOST_GROWTH,
        )


def check_truth(installation: Installation, log: Log, months: Iterable[int]) -> Iterator[Figure]:
    """Whether log and read models hold exactly what the CSV says; after `measure` over the whole log."""
    counts = truth.expected(months)
    generation = installation.readers.open("flights").generation
    store = SliceStore(installation.redis)
    rows = sum(store.count(slice_, "flights") for slice_ in generation.slices())
    shown = installation.readers.query("punctuality", {"by": "carrier"})
    same = sum({name: row[name] for name in truth.COUNTS} == counts.get(row["carrier"]) for row in shown)
    for name, found, wanted in (
        ("events in the log, read committed", log.events, truth.events(counts)),
        ("rows in flights", rows, truth.flights(counts)),
        ("carriers whose punctuality is the CSV's", same, max(len(counts), len(shown))),
    ):
        yield Figure(name=f"truth: {name}", value=found, unit="", target=f"= {wanted:,}", met=found == wanted)


def _fold(environ: Mapping[str, str], projection: str, log: Log, events: int) -> Result:
    return run("fold", environ, projection=projection, log=log.to_json(), events=events)
