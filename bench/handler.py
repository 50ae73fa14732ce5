"""The command handler against a raw consume-decode-encode-produce loop in transactions of the same size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from bench.log import create_topics, with_prefix
from bench.measure import Result, run
from bench.report import Figure, against
from eventfold.installation import Installation
from flights.dataset import flights
from flights.importer import SOURCE, commands

LEAST_RATIO = 0.5
_KINDS = {"raw": "raw_decide", "noreply": "decide", "wanted": "decide"}


def measure(environ: Mapping[str, str], months: list[int], count: int, rounds: int) -> Iterator[Figure]:
    """Rounds of the raw loop, the handler as the importer uses it, and the handler with every outcome wanted.

    Each run has topics of its own, filled with the same commands before the clock starts.
    """
    results: dict[str, list[Result]] = {kind: [] for kind in _KINDS}
    for number in range(rounds):
        for kind, job in _KINDS.items():
            own = with_prefix(environ, f"bench-{kind}-{number}.")
            filled = _fill(own, months, count, noreply=kind != "wanted")
            results[kind].append(run(job, own, commands=filled))
    raw = [result.rate for result in results["raw"]]
    for kind, name in (("noreply", "handler, no outcome wanted"), ("wanted", "handler, every outcome wanted")):
        yield against(name, "commands/s", [result.rate for result in results[kind]], raw, LEAST_RATIO)


def _fill(environ: Mapping[str, str], months: list[int], count: int, *, noreply: bool) -> int:
    installation = Installation(environ)
    create_topics(installation)
    sender, sent = installation.write_side.sender(SOURCE, linger_ms=20), 0
    for command in islice(commands(flights(months)), count):
        sender.send(replace(command, noreply=noreply))
        sent += 1
    sender.flush()
    return sent
