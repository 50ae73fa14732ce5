"""Goes on with the rows of a live generation although the log no longer reaches back to where they begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from eventfold.processors.rebuild.job import Job, named_offsets
from eventfold.schemas.errors import BeginningGoneError, EventfoldError, OtherLogError
from eventfold.schemas.record import Place


def keep_live_rows(job: Job) -> Mapping[Place, int]:
    """Note in the live generation where the log begins now, so that it is fed on; where that is, of partitions that were cut.

    It is not of the whole history from then on: what is gone cannot be folded anew. BeginningGoneError when it lacks events
    that are gone, OtherLogError when it was folded from another log, TornError when rows are missing from it, EventfoldError
    when nothing is gone.
    """
    with job.claim("replay"):
        live, starts = job.needed_live(), job.starts()
        if not job.of_this_log(live):
            raise OtherLogError(f"the live generation {live.id} of {job.projection.name!r} was folded from another log")
        folded, before = job.offsets(live.generation), live.first_of()
        cut = {place: start for place, start in starts.items() if start > before.get(place, 0)}
        if not cut:
            raise EventfoldError(f"nothing that {job.projection.name!r} was folded from is gone: there is nothing to keep")
        for (topic, partition), start in cut.items():
            if (reached := folded[topic, partition]) < start:
                raise BeginningGoneError(
                    f"{topic}/{partition}: the log begins at offset {start}, and {job.projection.name!r} has folded it up to "
                    f"{reached}: its rows lack what is gone"
                )
        for slice_ in live.generation.slices():
            job.store.check(slice_, live.parts)
        job.generations.begin(replace(live, first=named_offsets({**before, **cut})))
        return cut
