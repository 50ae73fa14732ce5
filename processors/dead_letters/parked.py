"""The parked events of a projection: the live generation's slices say which they are, the log has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile

from eventfold.kafka.range_reader import RangeReader
from eventfold.processors.dead_letters.letters import DISCARDED, RETRIED, Letter
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.dead_letters.owner import DISCARD, SKIP, Entry, Item, Resolved
from eventfold.processors.projector.foreign_topic import ForeignEvent
from eventfold.processors.projector.one_by_one import OneByOne
from eventfold.processors.projector.reading import Reading, is_of
from eventfold.processors.runtime import Runtime
from eventfold.projections.feed import fed
from eventfold.projections.fold import FoldError
from eventfold.projections.projection import Projection
from eventfold.schemas.envelope import as_mapping
from eventfold.schemas.errors import DecodeError, EventfoldError, NotFoundError, OtherLogError, Transient
from eventfold.schemas.position import Position
from eventfold.schemas.record import Record
from eventfold.store.builds import Generation
from eventfold.store.commits import Commit
from eventfold.store.digests import moved
from eventfold.store.generations import Generations
from eventfold.store.parked import Mark, marks, offsets, shown, written
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId
from eventfold.store.turns import Turns

_HELD_ROWS = 2_048
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What one look at the slice came to: offsets that were folded, dropped, or are left; what failed; what to write."""

    commit: Commit | None
    folded: Sequence[int] = ()
    dropped: Sequence[int] = ()
    left: int = 0
    fault: DecodeError | FoldError | None = None


class ParkedEvents:
    """The owner of what a projection parked.

    A key's events are folded onto the stored rows and taken out of what is parked, some at a time, each time in one
    compare-and-set. Whoever wrote the slice meanwhile, and may have parked more of the key, makes it be refused and done
    again; a projector that runs is refused at its next write, and reloads. So their order is kept with whatever comes. Only
    events that were read from the log before are folded, so that nothing slow lies between the look and the write. Where
    the slice is written all the time, it is held from the look to the write.
    """

    def __init__(self, runtime: Runtime, projection: Projection) -> None:
        self.name = projection.name
        self._runtime = runtime
        self._projection = projection
        self._store = SliceStore(runtime.redis)
        self._generations = Generations(runtime.redis, runtime.names.prefix)
        self._log = RangeReader(runtime.kafka, runtime.names.topic("eventfold.dead-letters"))
        self._notices = Notices(runtime.kafka, runtime.names)

    def entries(self) -> list[Entry]:
        live = self._generations.live(self.name)
        slices = [] if live is None else live.slices()
        return [
            self._entry(slice_, key, mark)
            for slice_, found in zip(slices, marks(self._store, slices), strict=True)
            for key, mark in sorted(found.items(), key=lambda pair: pair[1].origin)
        ]

    def items(self, entry: Entry) -> list[Item]:
        slice_ = self._live().slice(*entry.place)
        return [
            Item(
                position=Position(*entry.place, record.offset() or 0),
                recorded=record.timestamp()[1],
                headers=list(as_mapping(record.headers()).items()),
                value=record.value(),
                foreign=self._foreign(record),
            )
            for record in self._log.at(entry.place, offsets(self._store, slice_, entry.key))
        ]

    def resolve(self, entry: Entry, how: str) -> Resolved:
        """What is folded before an event that fails again stays folded; that one and what follows stay parked."""
        self._store.refuse_eviction()
        known: dict[int, Record] = {}
        done, dropped, notes = 0, 0, ""
        with Turns(self._store) as turns:
            while turns.left:
                live = self._live()
                slice_ = live.slice(*entry.place)
                if how != SKIP:
                    self._read(slice_, entry.key, known)
                # Whatever is read after the progress belongs to it, or the write is refused.
                before = turns.look(slice_)
                if before is None:
                    continue
                attempt = self._attempt(slice_, entry, "" if dropped else how, known, before)
                if attempt is None and (done or dropped):
                    # The rest was worked on by another, or is not parked in the generation that is live now.
                    return Resolved(key=entry.key, done=done, dropped=dropped, note=notes)
                if attempt is None:
                    raise NotFoundError(f"nothing of the key {shown(entry.key)!r} is parked in {self.name!r}")
                if attempt.commit is not None and not turns.write(attempt.commit):
                    continue
                turns.leave()
                notes = self._tell(slice_, entry.key, attempt) or notes
                done, dropped = done + len(attempt.folded), dropped + len(attempt.dropped)
                if attempt.fault is not None or not attempt.left:
                    error = "" if attempt.fault is None else str(attempt.fault)
                    return Resolved(key=entry.key, done=done, dropped=dropped, left=attempt.left, error=error, note=notes)
                if not attempt.folded and not attempt.dropped:
                    turns.pause()
        where = f"{entry.place[0]}/{entry.place[1]}"
        raise Transient(f"{where} is written all the time: {done} events of {shown(entry.key)!r} were folded, try again")

    def _attempt(
        self, slice_: SliceId, entry: Entry, how: str, known: Mapping[int, Record], before: Progress
    ) -> _Attempt | None:
        """Fold onto what is stored now; None where nothing of the key is parked."""
        mark = marks(self._store, [slice_])[0].get(entry.key)
        if mark is None:
            return None
        parked = offsets(self._store, slice_, entry.key)
        if how == DISCARD and parked[:1] != [entry.origin.offset]:
            raise EventfoldError(f"{entry.origin} is not what waits first of {shown(entry.key)!r} by now: look again")
        drop = len(parked) if how == SKIP else 1 if how == DISCARD else 0
        rest = parked[drop:]
        one = OneByOne(
            self._projection, self._reading.events, lambda table, keys: self._store.rows(slice_, table, keys), _HELD_ROWS
        )
        folded, fault = _folded(one, [known[offset] for offset in takewhile(known.__contains__, rest[:_AT_ONCE])])
        left = rest[folded:]
        after: dict[bytes, Mark] = {}
        if left:
            first = known.get(left[0])
            after[entry.key] = Mark(
                origin=left[0],
                recorded=mark.recorded if first is None else first.timestamp()[1],
                error=mark.error if fault is None else fault.reason,
                count=len(left),
            )
        attempt = _Attempt(commit=None, folded=rest[:folded], dropped=parked[:drop], left=len(left), fault=fault)
        if after == {entry.key: mark}:
            return attempt
        one.done.parked = written({entry.key: mark}, after, {}, parked[: drop + folded])
        progress = replace(before, digests=moved(before.digests, one.done.digests))
        commit = Commit(slice=slice_, before=before, after=progress, changes=one.done)
        return replace(attempt, commit=fed(self._projection, commit))

    def _read(self, slice_: SliceId, key: bytes, known: dict[int, Record]) -> None:
        """Read the parked events that were not read yet."""
        place = slice_.topic, slice_.partition
        unread = [offset for offset in offsets(self._store, slice_, key) if offset not in known]
        for record in self._log.at(place, unread):
            if not (taken := self._reading.taken([record])) or not is_of(taken[0], key):
                raise OtherLogError(
                    f"{place[0]}/{place[1]}@{record.offset()} has the key {record.key()!r}, but {key!r} was parked there: the "
                    f"log is not the one that was folded; fold it anew: `eventfold replay {self.name} --switch always`"
                )
            known[record.offset()] = taken[0]  # type: ignore[index]

    def _tell(self, slice_: SliceId, key: bytes, attempt: _Attempt) -> str:
        """End the letters of what is parked no more; what went wrong with that, since the slice is as it should be."""
        ended = [*((offset, DISCARDED) for offset in attempt.dropped), *((offset, RETRIED) for offset in attempt.folded)]
        try:
            self._notices.write(
                Letter(
                    owner=self.name,
                    generation=slice_.generation,
                    origin=Position(slice_.topic, slice_.partition, offset),
                    key=key,
                    value=None,
                    headers=[],
                    error="",
                    state=state,
                )
                for offset, state in ended
            )
        except EventfoldError as error:
            return f"it is done, but the dead-letter topic could not be told: {error}"
        return ""

    def _live(self) -> Generation:
        live = self._generations.live(self.name)
        if live is None:
            raise NotFoundError(f"the read model {self.name!r} was never built, so nothing of it is parked")
        if not self._projection.made(live):
            raise EventfoldError(
                f"the live generation {live.id} of {self.name!r} is of {self._projection.made_by(live)}, this is version "
                f"{self._projection.version}: let `eventfold replay {self.name}` build it anew"
            )
        return live

    def _foreign(self, record: Record) -> ForeignEvent | DecodeError | None:
        try:
            return self._reading.foreign_event(record)
        except DecodeError as error:
            return error

    def _entry(self, slice_: SliceId, key: bytes, mark: Mark) -> Entry:
        return Entry(
            owner=self.name,
            domain=slice_.topic.removeprefix(self._runtime.names.prefix).partition(".")[0],
            key=key,
            origin=Position(slice_.topic, slice_.partition, mark.origin),
            events=mark.count,
            error=mark.error,
            since=mark.recorded,
        )

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self._projection, self._runtime.codec(), self._runtime.names)


def _folded(one: OneByOne, records: Sequence[Record]) -> tuple[int, DecodeError | FoldError | None]:
    """Fold records up to the first that fails: how many, and how that one does."""
    for number, record in enumerate(records):
        try:
            one.fold(record)
        except (DecodeError, FoldError) as fault:
            return number, fault
    return len(records), None
