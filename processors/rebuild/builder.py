"""Folds the log into a generation that is not live, as far as it is told and no further."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.processors.attempts import Attempts
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.open_slice import begun, changed
from eventfold.processors.patience import FAULTS, patiently, raise_lasting
from eventfold.processors.projector.folding import Folding
from eventfold.processors.projector.reading import Reading
from eventfold.processors.projector.writer import Write
from eventfold.projections.fold import FoldError
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import DecodeError, EventfoldError, TimedOutError, Transient, spoken
from eventfold.schemas.record import Place, Record
from eventfold.store.builds import Build
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore

BULK = 20_000
_POLLED = 5_000
_HELD_ROWS = 2_048
_WAIT_S = 0.05
_SILENT_S = 60.0
_THROTTLE_S = 0.25
_POLICY_S = 1.0

log = structlog.get_logger("replay")
Targets = Mapping[Place, int]
Touched = dict[Place, dict[str, set[str]]]


class GoneError(EventfoldError):
    """The generation was dropped while it was being built."""


class Throttle:
    """At most so many events a second; None for as many as there are."""

    def __init__(self, rate: float | None, stop: threading.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._due = time.monotonic()

    def limit(self, most: int) -> int:
        """How many events to take at once."""
        return most if self._rate is None else max(1, min(most, int(self._rate * _THROTTLE_S)))

    def took(self, events: int) -> None:
        """Wait until as many may have been taken."""
        if self._rate is not None:
            self._due = max(self._due, time.monotonic() - 1) + events / self._rate
            self._stop.wait(max(0.0, self._due - time.monotonic()))


class Builder:
    """Builds some slices of a generation, all of them in this process and thread; used with `with`.

    A batch is many events, so that a row that several of them touch is written once. Each slice's rows and next offset
    are one compare-and-set, as a projector's are: a kill at any moment loses nothing, and of two builders of one slice
    one is refused and goes on from what is stored.
    """

    def __init__(
        self,
        projection: Projection,
        build: Build,
        places: Sequence[Place],
        *,
        kafka: KafkaSettings,
        group: str,
        store: SliceStore,
        generations: Generations,
        reading: Reading,
        notices: Notices | None,
        throttle: Throttle,
        stop: threading.Event,
        bulk: int = BULK,
    ) -> None:
        self._build = build
        self._places = list(places)
        self._store = store
        self._generations = generations
        self._throttle = throttle
        self._unthrottled = Throttle(None, stop)
        self._stop = stop
        self._bulk = bulk
        self._topics = Topics(kafka)
        self._folding = Folding(projection, store, reading, _HELD_ROWS, notices)
        self._attempts = Attempts(projection.on_failure)
        self._consumer = BatchConsumer(kafka, group, starts=self._load, gone=lambda _: None)
        self._read: dict[Place, list[Record]] = {}
        self._seen: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self.events = 0
        """Events folded by this builder."""
        self.touched: Touched | None = None
        """If set, gathers the keys of what is written, by part."""

    def __enter__(self) -> Builder:
        patiently(lambda: self._consumer.pin(self._places), self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._folding.end()
        self._consumer.close()

    def offsets(self) -> dict[Place, int]:
        """The next offset of each slice, as written or being written."""
        return {place: slice_.progress.offset for place, slice_ in self._folding.slices.items()}

    def advance(self, targets: Targets, look: Callable[[], None] = lambda: None, *, urgent: bool = False) -> None:
        """Fold until each slice's next offset is its target, or was past it before; all is written then.

        look: called after each batch. urgent: as fast as it goes, since others wait. DecodeError or FoldError at an event that
        cannot be folded; what was written stays. TimedOutError when Kafka brings nothing for a minute; EventfoldError when
        Redis may evict keys by now. When it is told to stop it returns early.
        """
        moved, looked = time.monotonic(), 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() - looked > _POLICY_S:
                    self._store.refuse_eviction()
                    looked = time.monotonic()
                if self._reached(targets):
                    self._settle()
                    self._look_back()
                    if self._reached(targets):
                        return
                if self._step(targets, self._unthrottled if urgent else self._throttle):
                    moved = time.monotonic()
                elif time.monotonic() - moved > _SILENT_S:
                    raise TimedOutError(
                        f"Kafka brings nothing for {_SILENT_S:g} s, though the log goes on: {self._left(targets)}"
                    )
            except FAULTS as fault:
                raise_lasting(fault)
                log.warning("going on from what is stored", fault=spoken(fault))
                patiently(self._start_over, self._stop)
            look()

    def _step(self, targets: Targets, throttle: Throttle) -> bool:
        """Read, fold and begin to write one batch; whether anything came."""
        came = self._gather(targets, throttle.limit(self._bulk))
        writes = [write for place in self._places if (write := self._fold(place, targets[place])) is not None]
        self._settle()
        self._folding.begin(writes)
        self._note(writes)
        events = sum(write.events for write in writes)
        self.events += events
        throttle.took(events)
        return came or bool(writes)

    def _gather(self, targets: Targets, want: int) -> bool:
        """Read until there is enough for a batch, or all that is wanted, or Kafka has no more for now."""
        came = False
        for place in [place for place in self._paused if self._seen[place] < targets[place]]:
            self._consumer.seek({place: self._seen[place]})
            self._paused.discard(place)
        # What was read beyond a target waits for another one, and is no part of this batch.
        gathered = sum(len(self._wanted(place, targets[place])) for place in self._places)
        while gathered < want and self._lacking(targets):
            batch = self._consumer.poll(min(_POLLED, want), _WAIT_S)
            for place, records in batch.records.items():
                unread = self._folding.slices[place].unread(records)
                gathered += len(unread) if self._seen[place] < targets[place] else 0
                self._read[place].extend(unread)
                self._seen[place] = records[-1].offset() + 1  # type: ignore[operator]
                if self._seen[place] >= targets[place] and len(self._read[place]) > self._bulk:
                    # It goes no further for now, and others may have a long way to go.
                    self._consumer.pause([place])
                    self._paused.add(place)
            for place, end in batch.ends.items():
                self._seen[place] = max(self._seen[place], end)
            self._refuse_unreadable(targets)
            if not len(batch) and not batch.ends:
                return came
            came = True
        return came

    def _refuse_unreadable(self, targets: Targets) -> None:
        """EventfoldError where the way to a target leads over what nobody can read."""
        for place, at in self._consumer.unreadable.items():
            self._seen[place] = max(self._seen[place], at.offset)
            if self._seen[place] < targets[place]:
                raise EventfoldError(self._consumer.stalled[place])

    def _lacking(self, targets: Targets) -> bool:
        return any(self._seen[place] < targets[place] for place in self._places)

    def _fold(self, place: Place, target: int) -> Write | None:
        wanted, done = self._wanted(place, target), self._seen[place] >= target
        self._read[place] = self._read[place][len(wanted) :]
        while True:
            try:
                return self._folding.fold(
                    place, wanted, target if done else None, lambda offset: self._attempts.parks(place, offset)
                )
            except (DecodeError, FoldError) as error:
                pause_s = self._attempts.failed(place, error.offset)
                if pause_s is None or self._stop.wait(pause_s):
                    raise
                log.warning("trying again", error=str(error), tried=self._attempts.shown(place, error.offset))

    def _wanted(self, place: Place, target: int) -> list[Record]:
        """What was read and lies before the target."""
        read = self._read[place]
        if read and read[-1].offset() >= target:
            return [record for record in read if record.offset() < target]
        return read

    def _settle(self) -> None:
        refused = self._folding.settle().refused
        if refused:
            raise Transient(f"another writer was there first: {refused}")

    def _look_back(self) -> None:
        """Redis may have lost what was written last, and where nothing is left to write, nothing else would tell."""
        if changed(self._store, self._folding.slices):
            raise Transient("slices changed in Redis")

    def _note(self, writes: Iterable[Write]) -> None:
        if self.touched is None:
            return
        for write in writes:
            parts = self.touched.setdefault((write.slice.id.topic, write.slice.id.partition), {})
            changes: tuple[Mapping[str, Iterable[str]], ...] = (write.commit.changes.rows, write.commit.changes.members)
            for part, keys in ((part, keys) for of in changes for part, keys in of.items()):
                parts.setdefault(part, set()).update(keys)

    def _reached(self, targets: Targets) -> bool:
        return all(self._folding.slices[place].progress.offset >= targets[place] for place in self._places)

    def _left(self, targets: Targets) -> str:
        now = self.offsets()
        left = [f"{t}/{p} at {now[t, p]} of {targets[t, p]}" for t, p in self._places if now[t, p] < targets[t, p]]
        return ", ".join(left)

    def _start_over(self) -> None:
        self._folding.forget()
        self._consumer.seek(self._load(self._places))

    def _load(self, places: list[Place]) -> dict[Place, int]:
        slices = {place: self._build.generation.slice(*place) for place in places}
        progress = begun(self._store, slices, self._build.parts, self._topics, first=self._build.first_of())
        known = any(build.id == self._build.id for build in self._generations.all(self._build.generation.projection))
        if not known:
            raise GoneError(f"the generation {self._build.id} was dropped, or Redis forgot it: begin a new replay")
        if any(of.revision == 0 for of in progress.values()):
            name = self._build.generation.projection
            again = f"`eventfold replay {name} --resume` folds that anew, `eventfold replay {name} --abort` drops it"
            raise GoneError(f"Redis lost some of the generation {self._build.id}: {again}")
        starts = self._folding.open(self._build.generation, progress, self._topics, self._build.first_of())
        self._read = {place: [] for place in places}
        self._seen = dict(starts)
        self._paused.clear()
        return starts
