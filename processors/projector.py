"""The projector: folds the log into the live generation of one projection."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka import Message

from processors.consumer import Batch, BatchConsumer
from processors.heartbeat import Heartbeat
from processors.patience import TRANSIENT, patiently
from processors.slices import OpenSlice, check_topic, opened
from processors.topics import Place, Topics
from projections.event import Event
from projections.fold import Fold, FoldError
from projections.generations import Generation, Generations
from projections.projection import Projection
from projections.slices import Changes, Commit, SliceStore
from schemas.codec import Codec
from schemas.errors import DecodeError

BATCH = 5_000
HELD_ROWS = 4_096
_WAIT_S = 0.25
_TOPICS_S = 5.0

log = structlog.get_logger("projector")


class Projector:
    """One member of a projection's consumer group.

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
        self._generations = generations
        self._codec = codec
        self._heartbeat = heartbeat
        self._batch = batch
        self._slices: dict[Place, OpenSlice] = {}
        self._folds: dict[Place, Fold] = {}
        self._stalled: dict[Place, str] = {}
        self._generation: Generation | None = None
        self._topics_seen = time.monotonic()
        self._consumer: BatchConsumer | None = None

    def starts(self, places: list[Place]) -> dict[Place, int]:
        """Load the slices of new partitions and say where to read from."""
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
        """Forget partitions that were taken away."""
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
        while not self._stop.is_set():
            batch = self._consumer.poll(self._batch, _WAIT_S)
            folded = 0
            try:
                folded = self._fold(batch)
                if self._heartbeat.due():
                    self._look()
            except TRANSIENT as fault:
                log.warning("going on from what is stored", projection=self._projection.name, fault=repr(fault))
                patiently(lambda: self._reload(list(self._slices)), self._stop)
            self._heartbeat.beat(folded, self._status)

    def _fold(self, batch: Batch) -> int:
        """Fold a batch, write every partition's slice, and tell the group; returns the events folded."""
        if self._outdated():
            self._reload(list(self._slices))
            return 0
        commits: dict[Place, tuple[Commit, int]] = {}
        for place in batch.records.keys() | batch.ends.keys():
            slice_ = self._slices.get(place)
            if slice_ is None or place in self._stalled:
                continue
            prepared = self._prepare(place, slice_, batch.records.get(place, []), batch.ends.get(place))
            if prepared is not None:
                commits[place] = prepared
        written = self._store.commit([commit for commit, _ in commits.values()]) if commits else []
        folded, refused, offsets = 0, [], {}
        for (place, (commit, count)), done in zip(commits.items(), written, strict=True):
            if done:
                self._slices[place].committed(commit.after)
                offsets[place] = commit.after.offset
                folded += count
            else:
                refused.append(place)
        assert self._consumer is not None
        self._consumer.commit(offsets)
        if refused:
            log.warning("another writer was there, reloading", projection=self._projection.name, **_shown(refused))
            self._reload(refused)
        return folded

    def _prepare(
        self, place: Place, slice_: OpenSlice, records: Sequence[Message], end: int | None
    ) -> tuple[Commit, int] | None:
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
        return Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes), len(unread)

    def _apply(self, place: Place, slice_: OpenSlice, records: Sequence[Message]) -> Changes:
        events = decoded(self._codec, self._projection.routes, records)
        return self._folds[place].apply(events, lambda table, keys: self._store.rows(slice_.id, table, keys))

    def _stand_still(self, place: Place, records: Sequence[Message], error: DecodeError | FoldError) -> Sequence[Message]:
        """Policy `stop`: leave the partition standing at the event that failed; returns what lies before it."""
        log.error("the partition stands still", projection=self._projection.name, error=str(error))
        self._stalled[place] = str(error)
        assert self._consumer is not None
        self._consumer.pause([place])
        self._folds[place] = Fold(self._projection, HELD_ROWS)
        bad = error.position.offset if isinstance(error, FoldError) else error.offset
        return [record for record in records if record.offset() < bad]  # type: ignore[operator]

    def _look(self) -> None:
        """Notice at rest that a slice is no longer as it was left: an emptied Redis, another writer."""
        if (now := time.monotonic()) - self._topics_seen > _TOPICS_S:
            self._topics_seen = now
            self._same_topics()
        live = self._generations.live(self._projection.name)
        if self._generation is not None and (live is None or live.id != self._generation.id):
            log.warning("the live generation is another one, reloading", projection=self._projection.name)
            self._reload(list(self._slices))
            return
        places = [place for place in self._slices if place not in self._stalled]
        stored = self._store.progress([self._slices[place].id for place in places])
        changed = [
            place
            for place, progress in zip(places, stored, strict=True)
            if progress.revision != self._slices[place].progress.revision
        ]
        if changed:
            log.warning("slices changed in Redis, reloading", projection=self._projection.name, **_shown(changed))
            self._reload(changed)

    def _same_topics(self) -> None:
        """LogError when a topic was deleted and made again meanwhile, which a consumer may not notice by itself."""
        info = self._topics.describe(self._sources)
        for place, slice_ in self._slices.items():
            check_topic(place, slice_.progress, info[place[0]])

    def _outdated(self) -> bool:
        """Whether some slices are of another generation than the one last seen live."""
        return any(s.id.generation != self._generation.id for s in self._slices.values() if self._generation)

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
    events = []
    decode = codec.decode_wanted
    for record in records:
        try:
            message = decode(record.value(), wanted)
            if message is not None:
                events.append(Event(message.type, _key(record), message.data, record))
        except (DecodeError, UnicodeDecodeError) as error:
            reason = error if isinstance(error, DecodeError) else DecodeError(f"the key is not UTF-8: {error}")
            topic, partition, offset = record.topic(), record.partition(), record.offset()
            assert topic is not None and partition is not None and offset is not None
            raise reason.at(topic, partition, offset, record.key()) from error
    return events


def _key(record: Message) -> str:
    key = record.key()
    if key is None:
        raise DecodeError("the record has no key")
    return key.decode()


def _shown(places: Sequence[Place]) -> dict[str, str]:
    return {"partitions": ",".join(f"{topic}/{partition}" for topic, partition in sorted(places))}
