"""What a measuring process runs: the real daemons until they have done their work, and the raw loops."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from bench.baselines import raw_decide, raw_fold
from bench.ledgers import Ledgers
from bench.log import DOMAIN, Log
from eventfold.installation import Installation
from eventfold.processors.collector import calm_collector
from eventfold.processors.rebuild.display import Silent
from eventfold.processors.rebuild.job import Job
from eventfold.processors.running import run_handler, run_projectors
from eventfold.store.builds import SCRATCH
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId


class Until(threading.Event):
    """The `stop` of a daemon that is set once its work is done: a daemon asks it between two batches."""

    def __init__(self, done: Callable[[], bool]) -> None:
        super().__init__()
        self._done = done
        self.at = 0.0

    def is_set(self) -> bool:
        if not super().is_set() and self._done():
            self.at = time.monotonic()
            self.set()
        return super().is_set()


class Clock:
    """Starts when a daemon logs that it has its partitions, as the raw loops start with theirs; shows its warnings."""

    def __init__(self) -> None:
        self.started = 0.0
        structlog.configure(processors=[structlog.processors.add_log_level, self._note])

    def _note(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        if event["event"] == "assigned" and not self.started:
            self.started = time.monotonic()
        if event["level"] != "info":
            print(dict(event), file=sys.stderr)
        raise structlog.DropEvent


def fold(environ: Mapping[str, str], *, projection: str, log: dict[str, Any], events: int) -> tuple[int, float]:
    """The real projector, from the offset zero of the log until that many events are folded."""
    installation, measured = Installation(environ), Log(**log)
    generations = Generations(installation.redis, installation.names.prefix)
    store = SliceStore(installation.redis)
    slices: list[SliceId] = []
    folded = 0

    def done() -> bool:
        nonlocal folded
        if not slices:
            live = generations.live(projection)
            if live is None:
                return False
            slices.extend(live.slices())
        folded = measured.folded([progress.offset for progress in store.progress(slices)])
        return folded >= events

    clock, stop = Clock(), Until(done)
    run_projectors(installation.runtime, [projection], None, stop)
    return folded, stop.at - clock.started


def rebuild(
    environ: Mapping[str, str], *, projection: str, log: dict[str, Any], events: int, workers: int
) -> tuple[int, float]:
    """The real rebuild of a generation that never goes live, from offset zero until that many events are folded."""
    os.environ.update(environ)
    runtime, measured = Installation(environ).runtime, Log(**log)
    calm_collector()
    job = Job(runtime, runtime.projection(projection), Silent(), threading.Event())
    share = min(1.0, events / measured.events)
    targets = {(measured.topic, partition): int(end * share) for partition, end in enumerate(measured.ends)}
    started = time.monotonic()
    build = job.begin(SCRATCH, {}, {})
    if workers > 1:
        job.build_by_workers(build, targets, workers, None)
    with job.builder(build, job.places) as builder:
        builder.advance(targets)
        seconds = time.monotonic() - started
        folded = measured.folded([builder.offsets()[place] for place in sorted(targets)])
    job.generations.drop(build, job.store)
    return folded, seconds


def decide(environ: Mapping[str, str], *, commands: int) -> tuple[int, float]:
    """The real handler, until so many commands are decided, remembered and, where wanted, answered."""
    installation = Installation(environ)
    ledgers = Ledgers(installation)
    decided = 0

    def done() -> bool:
        nonlocal decided
        decided = ledgers.decided()
        return decided >= commands

    clock, stop = Clock(), Until(done)
    run_handler(installation.runtime, DOMAIN, stop)
    return decided, stop.at - clock.started


JOBS: dict[str, Callable[..., tuple[int, float]]] = {
    "fold": fold,
    "rebuild": rebuild,
    "raw_fold": raw_fold,
    "decide": decide,
    "raw_decide": raw_decide,
}
