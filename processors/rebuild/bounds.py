"""The offsets at which a partial replay begins and ends."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eventfold.processors.rebuild.job import Job
from eventfold.schemas.errors import UsageError
from eventfold.schemas.record import Place
from eventfold.schemas.times import millis

BEGINNING = "beginning"
"""The first offset that each partition still has."""
_OFFSET = re.compile(r"(?:(\d{1,9}):)?(\d{1,18})", re.ASCII)


def bounds(
    job: Job, from_offset: Sequence[str], from_time: str | None, to_time: str | None
) -> tuple[dict[Place, int], dict[Place, int]]:
    """Where to begin and where to end, by partition; an end that is not asked for is empty.

    UsageError for a projection that makes no sense without its first events, and for points that cannot be.
    """
    first: dict[Place, int] = {}
    last: dict[Place, int] = {}
    if from_offset or from_time:
        if not job.projection.from_any_point:
            raise UsageError(
                f"the projection {job.projection.name!r} can only be folded from the first event (it does not declare "
                "from_any_point)"
            )
        if from_offset and from_time:
            raise UsageError("use either --from-offset or --from-time")
        first = _at(job, from_time) if from_time else _offsets(job, from_offset)
    if to_time:
        last = _at(job, to_time)
        if all(last[place] <= first.get(place, 0) for place in job.places):
            raise UsageError(f"nothing was recorded before {to_time}" + (", from where it begins" if first else ""))
    return first, last


def _at(job: Job, time: str) -> dict[Place, int]:
    """Of each partition the first offset recorded at that time or later; its end, where there is none."""
    ends = job.ends()
    return {place: min(offset, ends[place]) for place, offset in job.topics.at(job.places, millis(time), ends).items()}


def _offsets(job: Job, texts: Sequence[str]) -> dict[Place, int]:
    if BEGINNING in texts:
        if len(texts) > 1:
            raise UsageError(f"--from-offset {BEGINNING} is of all partitions: leave the others out")
        return {place: start for place, start in job.starts().items() if start}
    ends = job.ends()
    wanted: dict[int | None, int] = {}
    for text in texts:
        match = _OFFSET.fullmatch(text)
        if match is None:
            raise UsageError(f"--from-offset {text[:100]!r}: write OFFSET, PARTITION:OFFSET, or {BEGINNING}")
        partition = None if match[1] is None else int(match[1])
        if partition is not None and partition not in {p for _, p in job.places}:
            raise UsageError(f"--from-offset {text!r}: there is no partition {partition}")
        if partition in wanted:
            raise UsageError(f"--from-offset {text!r}: that was said already")
        wanted[partition] = int(match[2])
    found = {(topic, p): wanted.get(p, wanted.get(None, 0)) for topic, p in job.places}
    for place, offset in found.items():
        if wanted.get(place[1]) is not None and offset > ends[place]:
            raise UsageError(f"--from-offset: {place[0]}/{place[1]} ends at offset {ends[place]}")
    return {place: min(offset, ends[place]) for place, offset in found.items()}
