"""How far each daemon's work is behind the log."""

from __future__ import annotations

from dataclasses import dataclass

from eventfold.kafka.group_offsets import GroupOffsets
from eventfold.kafka.range_reader import RangeReader, SilentError
from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import TimedOutError
from eventfold.schemas.record import Place
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore
from eventfold.tools.unowned import works


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """One partition: the next offset to work on, the log's end, and what lies between.

    lag counts offsets, of which some may be transaction markers; it is 0 when nothing but markers is left.
    """

    name: str
    topic: str
    partition: int
    offset: int
    end: int
    lag: int


def lags(runtime: Runtime) -> list[Lag]:
    """The lag of every projection (by its slices), of every handler and process manager (by its group), partition by
    partition.

    Topics that do not exist are left out.
    """
    topics = Topics(runtime.kafka)
    stands = _projections(runtime, topics, runtime.redis)
    groups = {f"{name}.handler": runtime.names.handler_group(name) for name in runtime.domains}
    groups |= {f"{name}.process-manager": runtime.names.process_manager_group(name) for name in runtime.process_managers}
    sources = works(runtime)
    for work, group in groups.items():
        stands |= _group(runtime, topics, work, group, sources[work])
    ends = topics.ends({place for _, place in stands}, committed=True)
    behind = {(place, offset) for (_, place), offset in stands.items() if offset < ends[place]}
    with_records = _with_records(runtime, topics, behind)
    return [
        Lag(
            name=name,
            topic=place[0],
            partition=place[1],
            offset=offset,
            end=ends[place],
            lag=ends[place] - offset if (place, offset) in with_records else 0,
        )
        for (name, place), offset in sorted(stands.items())
    ]


def _projections(runtime: Runtime, topics: Topics, redis: Redis) -> dict[tuple[str, Place], int]:
    generations, store = Generations(redis, runtime.names.prefix), SliceStore(redis)
    stands: dict[tuple[str, Place], int] = {}
    for projection in runtime.projections.values():
        info = topics.existing([runtime.names.topic(topic) for topic in projection.topics])
        live = generations.live(projection.name)
        for topic in info.values():
            places = [(topic.name, p) for p in range(topic.partitions)]
            offsets = [0] * len(places)
            if live is not None:
                offsets = [progress.offset for progress in store.progress([live.slice(*place) for place in places])]
            stands |= {(projection.name, place): offset for place, offset in zip(places, offsets, strict=True)}
    return stands


def _group(runtime: Runtime, topics: Topics, name: str, group: str, sources: list[str]) -> dict[tuple[str, Place], int]:
    """Where a group stands; one without an offset, at the beginning of what is there."""
    places = [(topic.name, p) for topic in topics.existing(sources).values() for p in range(topic.partitions)]
    if not places:
        return {}
    earliest = topics.starts(places)
    with GroupOffsets(runtime.kafka, group) as offsets:
        committed = offsets.committed(places)
    return {(name, place): earliest[place] if (offset := committed[place]) is None else offset for place in places}


def _with_records(runtime: Runtime, topics: Topics, gaps: set[tuple[Place, int]]) -> set[tuple[Place, int]]:
    """Those of the (partition, offset) at or behind which there is a record, of those that the partition still has."""
    if not gaps:
        return gaps
    earliest = topics.starts({place for place, _ in gaps})
    starts = {(place, offset): (place, max(offset, earliest[place])) for place, offset in gaps}
    try:
        found = RangeReader(runtime.kafka, runtime.names.topic("eventfold.lag")).holding(starts.values())
    except SilentError as error:
        raise TimedOutError(str(error)) from error
    return {gap for gap, start in starts.items() if start in found}
