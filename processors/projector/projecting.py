"""Keeps the generations of one projection fed: the live one, and the one that is kept for a rollback.

Only those that this version of the projection made: daemons of an old and a new version may run side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.topics import Topics
from eventfold.processors.daemon import Daemon
from eventfold.processors.dead_letters.notices import Notices, check_topics
from eventfold.processors.patience import FAULTS, outlook, patiently, raise_lasting
from eventfold.processors.projector.following import Followed, Kept, Live, RetiredError
from eventfold.processors.projector.projector import Projector
from eventfold.processors.projector.reading import Reading
from eventfold.processors.runtime import Runtime
from eventfold.processors.sources import Sources
from eventfold.processors.ways_on import of_projection
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import EventfoldError, Outlook, UsageError, spoken
from eventfold.schemas.failure import may_park
from eventfold.schemas.record import Place
from eventfold.store.builds import KEPT, Build
from eventfold.store.connection import RedisError
from eventfold.store.generations import Generations, OtherVersionError
from eventfold.store.heartbeats import Heartbeat, Pulse, Quiet
from eventfold.store.slice_store import SliceStore

_LOOK_S = 1.0
log = structlog.get_logger("projector")


class Projecting:
    """What one daemon does for one projection, until `stop` is set.

    pinned: the partitions to take without the consumer group, or None.
    """

    def __init__(
        self, runtime: Runtime, projection: Projection, codec: Codec, pinned: Sequence[int] | None, stop: threading.Event
    ) -> None:
        self._runtime = runtime
        self._projection = projection
        self._codec = codec
        self._pinned = pinned
        self._stop = stop
        self._store = SliceStore(runtime.redis)
        self._generations = Generations(runtime.redis, runtime.names.prefix)
        self._sources = Sources(projection, runtime.names)
        self._log = log.bind(projection=projection.name)
        self._daemon = Daemon(runtime, "projector", projection.name, self._log)

    def live(self) -> None:
        """Fold into the live generation, whichever it is; while it is of another version, wait and say so."""
        runtime, projection = self._runtime, self._projection
        with self._daemon.alive() as heartbeat:
            # A Kafka that is away at the start, a topic or a partition that is not there: said before anything is made.
            partitions = self._sources.partitions(Topics(runtime.kafka))
            _places(partitions, self._pinned or ())
            self._check_letters()
            while not self._stop.is_set():
                topics = Topics(runtime.kafka)
                follow = Live(projection, self._generations, self._sources, topics, self._check_letters)
                try:
                    # Asked before the group is joined: a member of another version would take partitions and not fold them.
                    patiently(follow.generation, self._stop, self._waits(heartbeat))
                    self._run(follow, topics, runtime.names.projection_group(projection.name), heartbeat, self._stop)
                except OtherVersionError as other:
                    self._log.warning("waits", version=projection.version, why=str(other))
                    self._wait(heartbeat, str(other))

    def kept(self) -> None:
        """Fold into what is kept for a rollback, and drop what has expired."""
        while not self._stop.wait(_LOOK_S):
            try:
                due = self._due()
            except RedisError as fault:
                raise_lasting(fault)
                log.warning("trying again", fault=spoken(fault))
                continue
            if due is not None:
                self._keep(due)

    def _due(self) -> Build | None:
        """Drop what has expired; of what is kept, the one to feed: the newest that was made by this version."""
        name, now = self._projection.name, int(time.time() * 1000)
        for build in self._generations.sweep(name, self._store, now):
            self._log.info("dropped", generation=build.id)
        kept = [b for b in self._generations.all(name) if b.state == KEPT and b.expires is not None and b.expires > now]
        return next((build for build in reversed(kept) if self._projection.made(build.generation)), None)

    def _keep(self, build: Build) -> None:
        """Feed one generation until it is no longer kept. What is wrong with it must not end the daemon."""
        runtime, ended = self._runtime, threading.Event()
        topics = Topics(runtime.kafka)
        follow = Kept(build, self._generations, self._sources, topics)
        watcher = threading.Thread(target=self._until_retired, args=(build, ended), daemon=True)
        watcher.start()
        group = runtime.names.replay_group(self._projection.name, build.id)
        try:
            self._run(follow, topics, group, Quiet(), ended)
        except RetiredError:
            self._log.info("no longer kept", generation=build.id)
        except (*FAULTS, EventfoldError) as fault:
            if outlook(fault) is Outlook.LASTS:
                self._log.error("a kept generation is not fed", generation=build.id, error=self._daemon.told(fault))
                ended.wait()
            else:
                # It is taken up again soon.
                self._log.warning("trying again", generation=build.id, fault=spoken(fault))
        finally:
            ended.set()
            watcher.join()

    def _until_retired(self, build: Build, ended: threading.Event) -> None:
        """Set `ended` once the daemon stops, or the generation is not the one to feed any more, as after the next switch."""
        while not ended.wait(_LOOK_S / 2):
            try:
                due = self._due()
                if self._stop.is_set() or due is None or due.id != build.id:
                    ended.set()
            except RedisError as fault:
                log.warning("trying again", fault=spoken(fault))
                # What lasts ends the daemon where it looks next.
                if self._stop.is_set() or outlook(fault) is Outlook.LASTS:
                    ended.set()

    def _run(self, follow: Followed, topics: Topics, group: str, pulse: Pulse, stop: threading.Event) -> None:
        """One projector, from its first partitions until `stop` is set."""
        runtime = self._runtime
        partitions = patiently(lambda: self._sources.partitions(topics), stop, self._waits(pulse))

        def projector(consumer: BatchConsumer) -> Projector:
            return Projector(
                self._projection,
                consumer=consumer,
                follow=follow,
                topics=topics,
                store=self._store,
                reading=Reading(self._projection, self._codec, runtime.names),
                notices=Notices(runtime.kafka, runtime.names),
                stop=stop,
            )

        def join(consumer: BatchConsumer) -> None:
            if self._pinned is None:
                consumer.subscribe(list(partitions))
            else:
                consumer.pin(_places(partitions, self._pinned))

        with of_projection(self._projection):
            self._daemon.work(projector, group=group, join=join, pulse=pulse, stop=stop)

    def _check_letters(self) -> None:
        if may_park(self._projection.on_failure):
            check_topics(self._runtime.kafka, self._runtime.names, self._sources.names)

    def _wait(self, heartbeat: Heartbeat, why: str) -> None:
        """Until the live generation is of this version, or there is none."""
        while not self._stop.is_set():
            heartbeat.beat(0, lambda: self._idle(waits=why))
            live = patiently(lambda: self._generations.live(self._projection.name), self._stop, self._waits(heartbeat, why))
            if live is None or self._projection.made(live):
                return
            self._stop.wait(_LOOK_S / 2)

    def _idle(self, **more: str) -> dict[str, Any]:
        return {"projection": self._projection.name, "partitions": {}, "stalled": {}, **more}

    def _waits(self, pulse: Pulse, why: str = "") -> Callable[[Exception], None]:
        """Tells what it waits for while it has no partitions."""
        return lambda fault: pulse.beat(0, lambda: self._idle(waits=why, trouble=self._daemon.told(fault)))


def _places(partitions: Mapping[str, int], pinned: Sequence[int]) -> list[Place]:
    for topic, count in partitions.items():
        for partition in pinned:
            if not 0 <= partition < count:
                raise UsageError(f"--partitions: {topic} has the partitions 0 to {count - 1}, not {partition}")
    return [(topic, partition) for topic in partitions for partition in sorted(set(pinned))]
