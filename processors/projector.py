"""The projector: folds the log into the live generation of one projection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from confluent_kafka import Message

from processors.consumer import Batch, BatchConsumer
from processors.heartbeat import Heartbeat
from processors.patience import TRANSIENT, Transient, patiently
from processors.slices import OpenSlice, opened
from processors.topics import Place, Topics
from processors.watch import Watch
from processors.writer import Write, Writer
from projections.event import Event
from projections.fold import Fold, FoldError
from projections.generations import Generation, Generations
from projections.projection import Projection
from projections.slices import Changes, Commit, SliceStore
from schemas.codec import Codec
from schemas.errors import DecodeError

BATCH = 5_000
HELD_ROWS = 2_048
_WAIT_S = 0.25
_LONGEST_PAUSE_S = 5.0
_MOST_UNWRITTEN = 30

log = structlog.get_logger("projector")


class Overtaken(Transient):
    """Another writer moved a slice on: what is held in memory is out of date."""


class Projector:
    """One member of a projection's consumer group.

    A batch, in this order: (1) read it, (2) decode and fold it, while the batch before is being written, (3) wait until
    that one is written, and tell the group, (4) begin to write this one.

    Guarantee: rows and next offset of a partition are written in one atomic compare-and-set, so that no restart,
    duplicate or second worker counts an event twice or leaves one out. A refused write, or a Redis that failed, means
    to forget what is held in memory and go on from what is stored.
    """

    def __init__(
        self,
        projection: Projection,
        *,
        topics: Topics,
        names: Mapping[str, str],
        store: SliceStore,
        generations: Generations,
        codec: Codec,
        heartbeat: Heartbeat,
        stop: threading.Event,
        batch: int = BATCH,
    ) -> None:
        self._stop = stop
        self._projection = projection
        self._topics = topics
        self._sources = [names[topic] for topic in projection.topics]
        self._store = store
        self._writer = Writer(store)
        self._watch = Watch(store, topics)
        self._generations = generations
        self._codec = codec
        self._heartbeat = heartbeat
        self._batch = batch
        self._slices: dict[Place, OpenSlice] = {}
        self._folds: dict[Place, Fold] = {}
        self._stalled: dict[Place, str] = {}
        self._generation: Generation | None = None
        self._consumer: BatchConsumer | None = None
        self._unwritten = 0

    def starts(self, places: list[Place]) -> dict[Place, int]:
        """Load the slices of new partitions and say where to read from."""
        self._writer.wait()
        return patiently(lambda: self._load(places), self._stop)

    def _load(self, places: list[Place]) -> dict[Place, int]:
        generation = self._live()
        if self._generation is not None and self._generation.id != generation.id:
            self._drop_lost()
        self._generation = generation
        slices = {place: generation.slice(*place) for place in places}
        progress = dict(zip(slices, self._store.progress(list(slices.values())), strict=True))
        self._slices |= opened(slices, progress, self._topics)
        for place in places:
            self._folds[place] = Fold(self._projection, HELD_ROWS)
            self._stalled.pop(place, None)
        log.info("assigned", projection=self._projection.name, generation=generation.id, **_shown(places))
        return {place: self._slices[place].start for place in places}

    def _drop_lost(self) -> None:
        """Redis forgot which generation was live, and what is left of it serves nobody."""
        parts = self._projection.parts
        for slice_ in self._slices.values():
            self._store.drop(slice_.id, parts)

    def gone(self, places: list[Place]) -> None:
        """Forget partitions that were taken away, once what was folded of them is written."""
        self._writer.wait()
        for place in places:
            for held in (self._slices, self._folds, self._stalled):
                held.pop(place, None)
        log.info("revoked", projection=self._projection.name, **_shown(places))

    def attach(self, consumer: BatchConsumer) -> None:
        """Say which consumer brings the events, before it subscribes."""
        self._consumer = consumer

    def run(self) -> None:
        """Fold until told to stop; the batch at hand is finished first."""
        assert self._consumer is not None
        try:
            while not self._stop.is_set():
                batch = self._consumer.poll(self._batch, _WAIT_S)
                folded = 0
                try:
                    folded = self._step(batch)
                except TRANSIENT as fault:
                    log.warning("going on from what is stored", projection=self._projection.name, fault=repr(fault))
                    self._pause(fault)
                    patiently(self._start_over, self._stop)
                self._heartbeat.beat(folded, self._status)
            self._settle()
        finally:
            self._writer.close()

    def _step(self, batch: Batch) -> int:
        """Fold a batch and begin to write it; returns how many events the write before it made visible."""
        if self._outdated():
            self._start_over()
            return 0
        writes = self._folded(batch)
        written = self._settle()
        self._writer.begin(writes)
        if self._heartbeat.due():
            written += self._settle()
            self._look()
        return written

    def _pause(self, fault: Exception) -> None:
        """A Redis that can be read but not written (it is full) passes or does not; until then, do not turn in a circle."""
        if isinstance(fault, Overtaken):
            return
        self._unwritten += 1
        if self._unwritten > _MOST_UNWRITTEN:
            raise fault
        self._stop.wait(min(_WAIT_S * 2 ** (self._unwritten - 1), _LONGEST_PAUSE_S))

    def _settle(self) -> int:
        """Wait for the write under way and tell the group; Overtaken when another writer was there."""
        assert self._consumer is not None
        events, offsets, refused = 0, {}, []
        for write, done in self._writer.end():
            place = (write.slice.id.topic, write.slice.id.partition)
            if self._slices.get(place) is not write.slice:
                continue
            if done:
                self._unwritten = 0
                events += write.events
                offsets[place] = write.commit.after.offset
            else:
                refused.append(place)
        self._consumer.commit(offsets)
        if refused:
            raise Overtaken(f"another writer was there first: {_names(refused)}")
        return events

    def _folded(self, batch: Batch) -> list[Write]:
        writes = []
        for place in batch.records.keys() | batch.ends.keys():
            slice_ = self._slices.get(place)
            if slice_ is None or place in self._stalled:
                continue
            write = self._fold(place, slice_, batch.records.get(place, []), batch.ends.get(place))
            if write is not None:
                writes.append(write)
        return writes

    def _fold(self, place: Place, slice_: OpenSlice, records: Sequence[Message], end: int | None) -> Write | None:
        unread, changes = slice_.unread(records), Changes()
        while unread:
            try:
                changes = self._apply(place, slice_, unread)
                break
            except (DecodeError, FoldError) as error:
                # There may be another bad one before it: decoding looks at the whole batch before folding begins.
                unread, end = self._stand_still(place, unread, error), None
        after = slice_.after(unread, end)
        if after == slice_.progress:
            return None
        commit = Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes)
        return Write(slice=slice_, commit=commit, events=len(unread))

    def _apply(self, place: Place, slice_: OpenSlice, records: Sequence[Message]) -> Changes:
        # The rows of a write that is under way are all held, so none of those that are read here is about to change.
        events = decoded(self._codec, self._projection.routes, records)
        return self._folds[place].apply(events, lambda table, keys: self._store.rows(slice_.id, table, keys))

    def _stand_still(self, place: Place, records: Sequence[Message], error: DecodeError | FoldError) -> Sequence[Message]:
        """Policy `stop`: leave the partition standing at the event that failed; returns what lies before it."""
        log.error("the partition stands still", projection=self._projection.name, error=str(error))
        self._stalled[place] = str(error)
        assert self._consumer is not None
        self._consumer.pause([place])
        # The new fold holds nothing: it may read only what is written.
        self._writer.wait()
        self._folds[place] = Fold(self._projection, HELD_ROWS)
        bad = error.position.offset if isinstance(error, FoldError) else error.offset
        return [record for record in records if record.offset() < bad]  # type: ignore[operator]

    def _look(self) -> None:
        """Notice that a slice is no longer as it was left: an emptied Redis, another writer, a topic made anew."""
        assert self._consumer is not None
        if self._watch.due():
            self._watch.topics(self._slices)
            # The group's offsets follow each write without waiting; one that was lost is made good here.
            self._consumer.commit({place: slice_.progress.offset for place, slice_ in self._slices.items()})
        live = self._generations.live(self._projection.name)
        if self._generation is not None and (live is None or live.id != self._generation.id):
            log.warning("the live generation is another one, reloading", projection=self._projection.name)
            self._reload(list(self._slices))
            return
        changed = self._watch.changed(self._slices)
        if changed:
            log.warning("slices changed in Redis, reloading", projection=self._projection.name, **_shown(changed))
            self._reload(changed)

    def _outdated(self) -> bool:
        """Whether some slices are of another generation than the one last seen live."""
        return any(s.id.generation != self._generation.id for s in self._slices.values() if self._generation)

    def _start_over(self) -> None:
        self._writer.forget()
        self._reload(list(self._slices))

    def _reload(self, places: list[Place]) -> None:
        assert self._consumer is not None
        self._consumer.seek(self._load(places))

    def _live(self) -> Generation:
        info = self._topics.describe(self._sources)
        partitions = {name: info[name].partitions for name in self._sources}
        return self._generations.ensure(self._projection.name, self._projection.version, partitions)

    def _status(self) -> dict[str, Any]:
        return {
            "projection": self._projection.name,
            "partitions": {f"{t}/{p}": s.progress.offset for (t, p), s in sorted(self._slices.items())},
            "stalled": {f"{t}/{p}": error for (t, p), error in sorted(self._stalled.items())},
        }


def decoded(codec: Codec, wanted: Mapping[str, Any], records: Sequence[Message]) -> list[Event]:
    """The events among `records` whose type is wanted; DecodeError says where the first bad one lies."""
    events: list[Event] = []
    decode, add = codec.decode_wanted, events.append
    record: Message | None = None
    try:
        for record in records:
            message = decode(record.value(), wanted)
            if message is not None:
                type_, data = message
                add(_event((type_, record.key().decode(), data, record)))  # type: ignore[union-attr]
    except DecodeError as error:
        assert record is not None
        raise _placed(error, record) from error
    except (AttributeError, UnicodeDecodeError) as error:
        assert record is not None
        what = "the record has no key" if record.key() is None else f"the key is not UTF-8: {error}"
        raise _placed(DecodeError(what), record) from error
    return events


# What a NamedTuple's own constructor does, in a third of the time; it runs once an event.
_event: Callable[[tuple[Any, ...]], Event] = partial(tuple.__new__, Event)


def _placed(error: DecodeError, record: Message) -> DecodeError:
    topic, partition, offset = record.topic(), record.partition(), record.offset()
    assert topic is not None and partition is not None and offset is not None
    return error.at(topic, partition, offset, record.key())


def _shown(places: Sequence[Place]) -> dict[str, str]:
    return {"partitions": _names(places)}


def _names(places: Sequence[Place]) -> str:
    return ",".join(f"{topic}/{partition}" for topic, partition in sorted(places))
