"""Repair: make the rows of one aggregate what its events say, in the live generation and in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from eventfold.processors.lookup.history import History
from eventfold.processors.rebuild.job import Job
from eventfold.projections.difference import Difference, between
from eventfold.projections.feed import fed
from eventfold.projections.fold import Fold
from eventfold.projections.projection import Projection, Table, event_key
from eventfold.schemas.errors import EventfoldError, NotFoundError, Transient, UsageError
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import Place
from eventfold.store.builds import Generation
from eventfold.store.commits import Changes, Commit
from eventfold.store.index_members import parts_and_key
from eventfold.store.parked import marks
from eventfold.store.slices import Progress, SliceId
from eventfold.store.turns import Turns


@dataclass(slots=True)
class Repaired:
    """What was mended: rows and members of indexes, as they were and as they should be; and what could not be looked at."""

    events: int = 0
    differences: list[Difference] = field(default_factory=list)
    left_alone: tuple[str, ...] = ()


def repair(job: Job, history: History, key: str) -> Repaired:
    """Fold the events of one aggregate up to where its slice stands, and write what differs, under compare-and-set.

    A projector that runs is refused at its next write, and reloads. Only tables that are keyed by the aggregate: UsageError
    when the projection has none. NotFoundError when the aggregate has neither events nor rows.
    """
    if job.projection.foreign:
        what = "reads a topic that others write, where an aggregate may lie in any partition"
        raise UsageError(f"{job.projection.name!r} {what}: rebuild it with `eventfold replay`")
    tables = _keyed(job.projection)
    if not tables:
        raise UsageError(f"no table of {job.projection.name!r} is keyed by the aggregate: rebuild it with `eventfold replay`")
    with job.claim("replay"):
        live = job.needed_live()
        if not job.projection.made(live.generation) or not live.whole:
            what = f"of {job.projection.made_by(live.generation)}, this is version {job.projection.version}"
            raise EventfoldError(f"the live generation {live.id} is {what if live.whole else 'not of the whole history'}")
        others = tuple(table.name for table in job.projection.tables if table not in tables)
        repaired, there = Repaired(left_alone=others), False
        for topic in job.projection.topics:
            there |= _repair(job, history, live.generation, topic, key, tables, repaired)
        if not there:
            raise NotFoundError(f"{key!r} has neither events nor rows in {job.projection.name!r}")
    return repaired


def _repair(
    job: Job, history: History, live: Generation, topic: str, key: str, tables: Sequence[Table], repaired: Repaired
) -> bool:
    """One topic's slice; whether there was anything of the aggregate."""
    name = job.runtime.names.topic(topic)
    place = (name, partition_of(key, live.partitions[name]))
    slice_ = live.slice(*place)
    with Turns(job.store) as turns:
        while turns.left:
            job.stopped()
            before = turns.look(slice_)
            if before is None:
                continue
            # What is parked is not folded, so it is not to be mended either.
            parked = marks(job.store, [slice_])[0].get(key.encode())
            until = before.offset if parked is None else min(before.offset, parked.origin)
            events = history.aggregate(topic, key, until).events
            folded = Fold(job.projection, 1).apply(events, lambda _table, keys: [None] * len(keys))
            differences, changes, there = _differences(job, live, place, key, tables, folded)
            if not differences or turns.write(fed(job.projection, _commit(slice_, before, changes))):
                repaired.events += len(events)
                repaired.differences += differences
                return there or bool(events)
    raise Transient(f"{place[0]}/{place[1]} is written all the time: it could not be mended, try again")


def _differences(
    job: Job, live: Generation, place: Place, key: str, tables: Sequence[Table], folded: Changes
) -> tuple[list[Difference], Changes, bool]:
    """What differs from what was folded, the changes that mend it, and whether any row is stored."""
    slice_, changes, found, there = live.slice(*place), Changes(), [], False
    for table in tables:
        is_ = job.store.as_it_is(slice_, table.name, [key], index=False)[1].get(key)
        should = folded.rows.get(table.name, {}).get(key)
        there |= is_ is not None
        difference = between(*place, table.name, key, is_, should)
        if difference is not None:
            found.append(difference)
            changes.put(table.name, key, should)
        for index in table.indexes:
            wanted = {held for held, stays in folded.members.get(index.name, {}).items() if stays}
            for held in {*wanted, *_members(job, slice_, index.name, key)}:
                has = job.store.as_it_is(slice_, index.name, [held], index=True)[1]
                difference = between(*place, index.name, held, b"" if has else None, b"" if held in wanted else None)
                if difference is not None:
                    found.append(difference)
                    changes.move(index.name, *((None, held) if held in wanted else (held, None)))
    return found, changes, there


def _members(job: Job, slice_: SliceId, index: str, key: str) -> list[str]:
    """Whatever an index holds of a row; a scan, since a member is found by its parts and not by its key."""
    return [m for members in job.store.scan(slice_, index, index=True) for m in members if parts_and_key(m)[1] == key]


def _commit(slice_: SliceId, before: Progress, changes: Changes) -> Commit:
    # Whether the digests were of the row as it was or as it should have been cannot be told, so they are not known from now
    # on: who compares this slice reads its rows.
    after = replace(before, digests=None if changes.rows else before.digests)
    return Commit(slice=slice_, before=before, after=after, changes=changes)


def _keyed(projection: Projection) -> list[Table]:
    """The tables whose rows belong to one aggregate each, and are keyed by it."""
    other = {route.table for routes in projection.routes.values() for route in routes if route.key_of is not event_key}
    return [table for table in projection.tables if table.merge is None and table.name not in other]
