"""The projector: folds the log into a generation of one projection, and follows when another goes live."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from eventfold.kafka.batches import Batch
from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.open_slice import begun
from eventfold.processors.places import by_name, named
from eventfold.processors.projector.folding import Folding, Overtaken
from eventfold.processors.projector.following import Followed, RetiredError, stored
from eventfold.processors.projector.reading import Reading
from eventfold.processors.projector.writer import Write
from eventfold.processors.sources import added
from eventfold.processors.stalls import Stalls
from eventfold.processors.watch import Watch
from eventfold.projections.fold import FoldError
from eventfold.projections.projection import Projection
from eventfold.schemas.errors import DecodeError, Transient, spoken
from eventfold.schemas.record import Place, Record
from eventfold.store.builds import Generation
from eventfold.store.holds import HOLD_MS
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress

BATCH = 5_000
HELD_ROWS = 2_048
_WAIT_S = 0.25
_HELD_LOOK_S = 0.01

log = structlog.get_logger("projector")


class Projector:
    """One member of a projection's consumer group.

    A batch, in this order: (1) read it, (2) decode and fold it, while the batch before is being written, (3) wait until
    that one is written, and tell the group, (4) begin to write this one.

    Guarantee: rows and next offset of a partition are written in one atomic compare-and-set, so that no restart,
    duplicate or second worker counts an event twice or leaves one out. A refused write, or a Redis that failed, means
    to forget what is held in memory and go on from what is stored. While a switch holds a slice nothing is written; once
    another generation is live, it goes on there, from that one's own offsets. An event that fails stops its partition, is
    tried again, or is parked, as the projection's policy says; other partitions go on.
    """

    batch = BATCH
    wait_s = _WAIT_S

    def __init__(
        self,
        projection: Projection,
        *,
        consumer: BatchConsumer,
        follow: Followed,
        topics: Topics,
        store: SliceStore,
        reading: Reading,
        notices: Notices,
        stop: threading.Event,
    ) -> None:
        self._stop = stop
        self._log = log.bind(projection=projection.name)
        self._projection = projection
        self._consumer = consumer
        self._follow = follow
        self._topics = topics
        self._store = store
        self._folding = Folding(projection, store, reading, HELD_ROWS, notices)
        self._stalls = Stalls(projection.on_failure, self._log)
        self._watch = Watch(store, topics)
        self._generation: Generation | None = None
        self._first: Mapping[Place, int] = {}
        self._folded_of: Counter[Place] = Counter()
        self._refused_at: float | None = None

    @contextmanager
    def session(self) -> Iterator[None]:
        """The thread that writes, for as long as it folds."""
        try:
            yield
            self._settle()
        finally:
            self._folding.end()

    def assigned(self, places: list[Place]) -> dict[Place, int]:
        """Load the slices of new partitions and say where to read from."""
        self._folding.wait()
        return self._load(places)

    def _load(self, places: list[Place]) -> dict[Place, int]:
        generation, progress = self._unheld(places)
        if self._generation is not None and self._generation.id != generation.id:
            self._drop_lost()
        self._generation = generation
        self._first = self._follow.first(generation)
        starts = self._folding.open(generation, progress, self._topics, self._first)
        self._stalls.go_on(places)
        self._log.info("assigned", generation=generation.id, partitions=named(places))
        return starts

    def _unheld(self, places: list[Place]) -> tuple[Generation, dict[Place, Progress]]:
        """The generation to fold into and where its slices stand, once no switch holds them."""
        deadline = time.monotonic() + HOLD_MS / 1000 + 1
        while not self._stop.is_set():
            generation = self._follow.generation()
            if unknown := [place for place in places if place[1] >= generation.partitions[place[0]]]:
                raise Transient(f"Kafka assigned partitions that it does not tell of yet: {named(unknown)}")
            first, slices = self._follow.first(generation), {place: generation.slice(*place) for place in places}
            kept = () if self._projection.from_any_point else first
            progress = begun(self._store, slices, self._projection.parts, self._topics, first=first, kept=kept)
            if not self._follow.live and any(of.revision == 0 for of in progress.values()):
                raise RetiredError(f"slices of the generation {generation.id} of {generation.projection!r} are gone")
            held = [place for place, of in progress.items() if of.held]
            # A hold that outlived who made it has ended, though it is still written there.
            if (not held or time.monotonic() > deadline) and self._follow.still(generation):
                return generation, progress
            while held and time.monotonic() < deadline and self._follow.still(generation):
                self._stop.wait(_HELD_LOOK_S)
                if self._stop.is_set() or not any(of.held for of in stored(self._store, generation, held).values()):
                    break
        raise Transient("stopped while a switch of generations holds the slices")

    def _drop_lost(self) -> None:
        """Delete the orphaned slices of a generation that Redis forgot."""
        if self._follow.known(self._generation):  # type: ignore[arg-type]
            return
        for slice_ in self._folding.slices.values():
            self._store.drop(slice_.id, self._projection.parts)

    def revoked(self, places: list[Place]) -> None:
        """Forget partitions that were taken away, once what was folded of them is written."""
        self._folding.close(places)
        self._stalls.forget(places)
        self._log.info("revoked", partitions=named(places))

    def process(self, batch: Batch, metadata: Any | None) -> int:
        """Fold a batch and begin to write it; returns how many events the write before it made visible."""
        if self._outdated():
            self.start_over()
            return 0
        writes = self._folded(batch)
        written = self._settle()
        self._folding.begin(writes)
        if due := self._stalls.due():
            # What lies before the event is written first.
            written += self._settle()
            self._reload(due)
        return written

    def give_up(self, fault: Exception) -> None:
        self._log.warning("going on from what is stored", fault=spoken(fault))

    def _settle(self) -> int:
        """Wait for the write under way and tell the group; Overtaken when another writer was there."""
        written = self._folding.settle()
        self._tell(written.offsets)
        if written.refused:
            self._refused_at = self._refused_at or time.monotonic()
            raise Overtaken(f"another writer was there first: {named(written.refused)}")
        if written.offsets:
            self._stalls.passed(written.offsets)
            if self._refused_at is not None:
                waited_ms, self._refused_at = round((time.monotonic() - self._refused_at) * 1000), None
                self._log.info("writing again", waited_ms=waited_ms)
        self._folded_of.update(written.events)
        return sum(written.events.values())

    def _tell(self, offsets: Mapping[Place, int]) -> None:
        """Tell the group; a group that commits nothing is gone with its last member."""
        if self._follow.live:
            self._consumer.commit(offsets)

    def _folded(self, batch: Batch) -> list[Write]:
        writes = []
        for place in batch.records.keys() | batch.ends.keys():
            if place in self._folding.slices and place not in self._stalls:
                write = self._fold(place, batch.records.get(place, []), batch.ends.get(place))
                if write is not None:
                    writes.append(write)
        return writes

    def _fold(self, place: Place, records: Sequence[Record], end: int | None) -> Write | None:
        unread = self._folding.slices[place].unread(records)
        while True:
            try:
                return self._folding.fold(place, unread, end, lambda offset: self._stalls.parks(place, offset))
            except (DecodeError, FoldError) as error:
                # There may be another bad one before it: decoding looks at the whole batch before folding begins.
                self._wait_at(place, error)
                unread = [record for record in unread if record.offset() < error.offset]
                end = None

    def _wait_at(self, place: Place, error: DecodeError | FoldError) -> None:
        """Leave the partition at the event that failed, for a while or until a person mends it; what lies before is folded."""
        self._stalls.stand(place, error.offset, str(error))
        self._consumer.pause([place])

    def look(self, metadata: Any | None) -> int:
        """Notice that a slice is no longer as it was left, that a topic was made anew, or that partitions were added to one."""
        written = self._settle()
        if self._watch.due():
            now = self._watch.topics(self._folding.slices)
            if self._generation is not None and added(self._generation.partitions, now):
                # They are taken, or this projector ends with the reason why not.
                wider = self._follow.generation()
                self._generation = wider if wider.id == self._generation.id else self._generation
            # The group's offsets follow each write without waiting; one that was lost is made good here.
            self._tell({place: slice_.progress.offset for place, slice_ in self._folding.slices.items()})
        if self._generation is not None and not self._follow.still(self._generation):
            self._log.warning("the live generation is another one, reloading")
            self._reload(list(self._folding.slices))
        elif changed := self._watch.changed(self._folding.slices):
            self._log.warning("slices changed in Redis, reloading", partitions=named(changed))
            self._reload(changed)
        return written

    def _outdated(self) -> bool:
        """Whether some slices are of another generation than the one last seen live."""
        return any(s.id.generation != self._generation.id for s in self._folding.slices.values() if self._generation)

    def start_over(self) -> None:
        """Go on, in all partitions, from what is stored."""
        self._folding.forget()
        self._reload(list(self._folding.slices))

    def _reload(self, places: list[Place]) -> None:
        self._consumer.seek(self._load(places))

    def status(self) -> dict[str, Any]:
        slices, parked = self._folding.slices, self._folding.parked
        return {
            "projection": self._projection.name,
            "partitions": by_name({place: slice_.progress.offset for place, slice_ in slices.items()}),
            "folded": by_name(self._folded_of),
            **({"first": by_name(self._first)} if self._first else {}),
            **self._stalls.status(),
            "parked": by_name({place: len(keys) for place, keys in parked.items() if keys}),
        }
