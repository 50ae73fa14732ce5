"""Rollback: make the generation that was live before live again. It is kept fed, so it is as new as the live one."""

from __future__ import annotations

import time

from processors.rebuild.job import Job
from processors.rebuild.switching import NotYet, Switched, switch
from processors.topics import Place
from projections.generations import KEPT, Build
from schemas.errors import LogfoldError, NotFoundError

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

        def behind(offsets: dict[Place, int]) -> int:
            mine = job.offsets(to.generation)
            return sum(max(0, offset - mine[place]) for place, offset in offsets.items())

        def reach(offsets: dict[Place, int], left_s: float) -> None:
            deadline = time.monotonic() + left_s
            while not stale and behind(offsets):
                if time.monotonic() > deadline:
                    raise NotYet(f"the generation {to.id} did not come to where the live one is held")
                time.sleep(_LOOK_S)

        _wait_until_fed(job, to, live, behind, stale)
        return to, switch(job.generations, job.store, live, to, reach, keep_ms=keep_ms)


def _wait_until_fed(job: Job, to: Build, live: Build, behind: object, stale: bool) -> None:
    """Before anything is held: the generation must come to where the live one is now."""
    goal, deadline = job.offsets(live.generation), time.monotonic() + _FED_S
    assert callable(behind)
    while not stale and (left := behind(goal)):
        if time.monotonic() > deadline:
            raise LogfoldError(
                f"the generation {to.id} is {left} offsets behind the live one and is not fed: run a projector of version "
                f"{to.generation.version} of {job.projection.name!r}, or go back to it as it is with --stale"
            )
        time.sleep(_LOOK_S)
