"""Folding the log into slices: what the projector and a rebuild share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.open_slice import OpenSlice, changed, opened
from eventfold.processors.places import named
from eventfold.processors.projector.one_by_one import OneByOne
from eventfold.processors.projector.parking import Parking
from eventfold.processors.projector.reading import Reading
from eventfold.processors.projector.writer import Write, Writer
from eventfold.processors.sources import refuse_misplaced
from eventfold.projections.feed import fed
from eventfold.projections.fold import Fold, FoldError
from eventfold.projections.projection import Projection
from eventfold.projections.trial import Steps
from eventfold.schemas.errors import BeginningGoneError, DecodeError, Transient
from eventfold.schemas.record import Place, Record
from eventfold.store.builds import Generation
from eventfold.store.commits import Changes, Commit
from eventfold.store.digests import moved
from eventfold.store.parked import Mark, marks
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress

Parks = Callable[[int], bool]
"""Whether the event at this offset, which failed, is to be parked."""


class Overtaken(Transient):
    """Another writer moved a slice on, or a switch holds it: what is held in memory is out of date."""


def never(_: int) -> bool:
    """Park nothing anew; what is parked stays so."""
    return False


def _refuse_lost(progress: Mapping[Place, Progress], first: Mapping[Place, int]) -> None:
    """BeginningGoneError for a slice that is gone, and whose first events the log does not have any more."""
    for (topic, partition), offset in first.items():
        # What only held a slice that is gone wrote a progress, too, from offset zero on.
        if (stored := progress.get((topic, partition))) is not None and stored.offset < offset:
            raise BeginningGoneError(
                f"{topic}/{partition}: the log begins at offset {offset}, and the rows of what was before it, which were kept, "
                "are gone from Redis"
            )


@dataclass(slots=True)
class Written:
    """What came of a write: how many events it made visible, the next offsets, and who was refused."""

    events: dict[Place, int] = field(default_factory=dict)
    offsets: dict[Place, int] = field(default_factory=dict)
    refused: list[Place] = field(default_factory=list)


class Folding:
    """The slices of one generation that this process folds, and the rows it holds of them.

    A batch is written while the next one is folded: `fold`, `settle` the write before, `begin` this one. After a refused
    write, or a Redis that failed, `forget` and `open` anew: what is held in memory is out of date.
    Events of a key that is parked are not folded but parked as well, whatever the policy is now.
    """

    def __init__(
        self, projection: Projection, store: SliceStore, reading: Reading, held_rows: int, notices: Notices | None
    ) -> None:
        """notices: makes known what is parked; None where nobody needs to know, as of what is dropped at once."""
        self._projection = projection
        self._store = store
        self._writer = Writer(store)
        self._reading = reading
        self._held_rows = held_rows
        self._notices = notices
        self._steps = Steps(projection, flat=reading.flat)
        self._folds: dict[Place, Fold] = {}
        self._partitions: Mapping[str, int] = {}
        self.slices: dict[Place, OpenSlice] = {}
        self.parked: dict[Place, dict[bytes, Mark]] = {}
        """What is parked in each slice, as written or being written."""

    def open(
        self, generation: Generation, progress: Mapping[Place, Progress], topics: Topics, first: Mapping[Place, int]
    ) -> dict[Place, int]:
        """Take slices up where they stand, and say where to read from; LogError when the log is another one.

        first: where slices begin that do not begin at offset zero.
        """
        if not self._projection.from_any_point:
            _refuse_lost(progress, first)
        self._partitions = generation.partitions
        known = {place: self._known(stored) for place, stored in progress.items()}
        slices = opened({place: generation.slice(*place) for place in progress}, known, topics, first=first)
        self.slices |= slices
        # After the progress, in this order: whoever parked something in between makes the next write be refused.
        self.parked |= dict(zip(slices, marks(self._store, [slice_.id for slice_ in slices.values()]), strict=True))
        for place in slices:
            self.forget_rows(place)
        return {place: slice_.start for place, slice_ in slices.items()}

    def close(self, places: Sequence[Place]) -> None:
        """Let go of slices, once what was folded of them is written."""
        self._writer.wait()
        for place in places:
            self.slices.pop(place, None)
            self.parked.pop(place, None)
            self._folds.pop(place, None)

    def forget_rows(self, place: Place) -> None:
        """Hold no row of a slice; only between writes, since what is read from now on must be what was written."""
        self._folds[place] = Fold(self._projection, self._held_rows, self._steps)

    def fold(self, place: Place, records: Sequence[Record], end: int | None, parks: Parks = never) -> Write | None:
        """Fold records that are not folded yet, and move to `end`; DecodeError or FoldError at the first bad one that is not
        to be parked, PartitionsAddedError when a slice that begins shows that keys do not belong where they lie.

        None when there is nothing to write. After an error no row is held, all that was begun is written, and the slice is as
        this process wrote it: Overtaken when it is not, since where rows are gone any event is a bad one.
        """
        slice_, changes, parking = self.slices[place], Changes(), None
        if records:
            if slice_.progress.last_offset is None and self._projection.whole_rows and not self._reading.is_foreign(place[0]):
                # Only here: what was folded of a partition before was folded from as many of them as there are.
                refuse_misplaced(records, self._partitions[place[0]])
            taken = folded = self._reading.taken(records)
            marks_ = self.parked[place]
            if marks_:
                parking = Parking.onto(marks_)
                folded = parking.split(taken)
            try:
                changes = self._apply(place, folded)
            except (DecodeError, FoldError) as error:
                self._start_anew(place, error)
                if not parks(error.offset):
                    raise
                parking = Parking.onto(marks_)
                changes = self._one_by_one(place, taken, parking, parks)
            if parking is not None and parking.added:
                parking.write(marks_, changes)
        after = slice_.after(records, end)
        if after == slice_.progress:
            return None
        after = replace(after, digests=moved(after.digests, changes.digests))
        commit = Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes)
        return Write(slice=slice_, commit=fed(self._projection, commit), events=len(records), parking=parking)

    def _apply(self, place: Place, records: Sequence[Record]) -> Changes:
        # The rows of a write that is under way are all held, so none of those that are read here is about to change.
        slice_, events = self.slices[place], self._reading.events(records)
        return self._folds[place].apply(events, lambda table, keys: self._store.rows(slice_.id, table, keys, slice_.stamps))

    def _one_by_one(self, place: Place, records: Sequence[Record], parking: Parking, parks: Parks) -> Changes:
        """Fold each record for itself onto the stored rows, and park those that fail."""
        slice_ = self.slices[place]
        one = OneByOne(
            self._projection,
            self._reading.events,
            lambda table, keys: self._store.rows(slice_.id, table, keys, slice_.stamps),
            self._held_rows,
        )
        for record in records:
            if parking.takes(record):
                parking.put(record)
                continue
            try:
                one.fold(record)
            except (DecodeError, FoldError) as error:
                if not parks(error.offset):
                    raise
                parking.put(record, error.reason)
        # What is about to be written must be held until it is.
        self._folds[place].hold(one.done)
        return one.done

    def _start_anew(self, place: Place, error: Exception) -> None:
        """Hold no row of a slice, once all that was begun is written and the slice is what was written."""
        self.wait()
        slice_ = self.slices[place]
        if changed(self._store, {place: slice_}):
            raise Overtaken(f"the slice changed in Redis: {named([place])}") from error
        self.forget_rows(place)

    def begin(self, writes: Sequence[Write]) -> None:
        """Begin to write, each slice in its own compare-and-set, once what is parked is made known."""
        for write in writes:
            if write.parking is not None and write.parking.added:
                slice_ = write.slice.id
                if self._notices is not None:
                    self._notices.write(write.parking.letters(slice_.owner, slice_.generation))
                self.parked[slice_.topic, slice_.partition] = write.parking.marks
        self._writer.begin(writes)

    def settle(self) -> Written:
        """Wait for the write under way; a redis error when nothing is known."""
        written = Written()
        for write, done in self._writer.end():
            place = (write.slice.id.topic, write.slice.id.partition)
            if self.slices.get(place) is not write.slice:
                continue
            if done:
                written.events[place] = write.events
                written.offsets[place] = write.commit.after.offset
            else:
                written.refused.append(place)
        return written

    def wait(self) -> None:
        """Wait for the write under way and leave what came of it to `settle`."""
        self._writer.wait()

    def forget(self) -> None:
        """Wait for the write under way; what came of it does not matter any more."""
        self._writer.forget()

    def end(self) -> None:
        """Wait for the write under way and end its thread."""
        self._writer.close()

    def _known(self, stored: Progress) -> Progress:
        """An empty slice has known digests, of no rows."""
        if stored.digests == {}:
            return replace(stored, digests={table.name: 0 for table in self._projection.tables})
        return stored
