"""Verify: fold the log beside the live generation and compare every row, without touching the live one."""

from __future__ import annotations

import time

from eventfold.processors.rebuild.compare import Comparing, Comparison
from eventfold.processors.rebuild.job import Job
from eventfold.schemas.errors import EventfoldError, OtherLogError
from eventfold.store.builds import SCRATCH, Build
from eventfold.store.memory import room

# A verify that was killed leaves its rows behind for at most so long.
_FORGOTTEN_MS = 6 * 3600 * 1000


def verify(job: Job, *, show: int, workers: int, rate: float | None, check_memory: bool) -> Comparison:
    """What differs between the live read model and what the log says, both at the same offsets.

    EventfoldError when the live generation was made by another version, or is not of the whole history.
    """
    with job.claim("verify"), job.display:
        live = job.needed_live()
        if not job.projection.made(live.generation):
            raise EventfoldError(
                f"the live generation of {job.projection.name!r} was made by {job.projection.made_by(live.generation)}, this "
                f"is version {job.projection.version}: it can be verified by that version alone"
            )
        if not live.whole:
            raise EventfoldError(f"the live generation {live.id} is not of the whole history")
        if not job.of_this_log(live):
            raise OtherLogError(f"the live generation {live.id} of {job.projection.name!r} was folded from another log")
        job.refuse_cut({})
        # Only one verify runs at a time, so what is there was left by one that was killed.
        for left in job.generations.all(job.projection.name):
            if left.state == SCRATCH:
                job.generations.drop(left, job.store)
        found = room(job.runtime.redis, job.store, live, 1, 1)
        job.display.say(str(found))
        if check_memory:
            found.check()
        scratch = job.begin(SCRATCH, {}, {}, expires=int(time.time() * 1000) + _FORGOTTEN_MS)
        try:
            return _compared(job, live, scratch, show, workers, rate)
        finally:
            job.generations.drop(scratch, job.store)


def _compared(job: Job, live: Build, scratch: Build, show: int, workers: int, rate: float | None) -> Comparison:
    if workers > 1:
        job.build_by_workers(scratch, job.offsets(live.generation), workers, rate)
    with job.builder(scratch, job.places, rate) as builder:
        job.chase(builder, live)
        job.display.say("comparing every row")
        comparing = Comparing(job.projection, live, scratch, builder, job.store, limit=show, stopped=job.stopped)
        for place in job.places:
            comparing.slice(place, read=True)
    return comparing.found
