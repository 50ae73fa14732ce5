"""Rollback: make the generation that was live before live again. It is kept fed, so it is as new as the live one."""

from __future__ import annotations

import time

from eventfold.processors.rebuild.job import Job
from eventfold.processors.rebuild.switching import NotYet, Switched, switch
from eventfold.processors.sources import PartitionsAddedError, added
from eventfold.schemas.errors import EventfoldError, NotFoundError
from eventfold.schemas.record import Place
from eventfold.store.builds import KEPT, Build

_LOOK_S = 0.01
_FED_S = 5.0


def rollback(job: Job, *, keep_ms: int, stale: bool) -> tuple[Build, Switched]:
    """Switch back; what was live is kept in its turn.

    stale: also when nobody feeds the one before, whose rows then are as old as its offsets until a projector of its version
    runs. NotFoundError when none is kept.
    """
    with job.claim("replay"):
        live, now = job.needed_live(), int(time.time() * 1000)
        kept = [build for build in job.generations.all(job.projection.name) if build.state == KEPT]
        kept = [build for build in kept if build.expires is not None and build.expires > now]
        if not kept:
            raise NotFoundError(f"no generation of {job.projection.name!r} is kept: there is nothing to go back to")
        to = kept[-1]
        if lacking := added(to.generation.partitions, live.generation.partitions):
            raise PartitionsAddedError(
                f"partitions were added to {', '.join(lacking)} since the generation {to.id} was live, and it has none of "
                "them: there is nothing to go back to"
            )
        _refuse_torn(job, to)

        def reach(offsets: dict[Place, int], left_s: float) -> None:
            if not stale and _behind(job, to, offsets, left_s):
                raise NotYet(f"the generation {to.id} did not come to where the live one is held")

        # Before anything is held it must come to where the live one is now.
        if not stale and (left := _behind(job, to, job.offsets(live.generation), _FED_S)):
            raise EventfoldError(
                f"the generation {to.id} is {left} offsets behind the live one and is not fed: run a projector of version "
                f"{to.generation.version} of {job.projection.name!r}, or go back to it as it is with --stale"
            )
        return to, switch(job.generations, job.store, live, to, reach, keep_ms=keep_ms)


def _refuse_torn(job: Job, to: Build) -> None:
    """TornError when something of the generation is missing: what its projector would fold anew must not be live meanwhile."""
    for slice_ in to.generation.slices():
        job.store.check(slice_, to.parts)


def _behind(job: Job, to: Build, offsets: dict[Place, int], wait_s: float) -> int:
    """How far the generation still is from these offsets, once it has come there or the time is over."""
    deadline = time.monotonic() + wait_s
    while True:
        mine = job.offsets(to.generation)
        # Of a topic that it does not fold there is nothing to wait for.
        left = sum(max(0, offset - mine[place]) for place, offset in offsets.items() if place in mine)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_LOOK_S)
