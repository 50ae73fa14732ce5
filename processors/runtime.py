"""Puts daemons together from settings and declarations, and runs them until they are told to stop."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from redis import Redis

from processors.consumer import BatchConsumer, Starts
from processors.domain import Domain
from processors.handler import Handler
from processors.handover import HandOver
from processors.heartbeat import Heartbeat
from processors.patience import TRANSIENT
from processors.projector import Projector
from processors.topics import Place, Topics
from processors.transaction import Transactions
from processors.watch import Watch
from producers.outcomes import Outcomes
from producers.settings import KafkaSettings
from projections.generations import Generations
from projections.projection import Projection
from projections.settings import refuse_eviction
from projections.slices import SliceStore
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.names import Names

_LOOK_S = 0.2
log = structlog.get_logger("logfold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What every daemon is made of.

    domains: those with a handler, by name. domain_names: all enabled ones. protocol: of consumer groups, `consumer`
    (KIP-848) or `classic`. instance: this daemon's name among its like; stable across restarts.
    """

    kafka: KafkaSettings
    redis: Redis
    names: Names
    codec: Callable[[], Codec]
    domains: Mapping[str, Domain]
    domain_names: Sequence[str]
    projections: Mapping[str, Projection]
    protocol: str
    instance: str

    def projection(self, name: str) -> Projection:
        """A declared projection; UsageError when there is none of that name."""
        if name not in self.projections:
            raise UsageError(f"no projection is called {name!r}; there are: {', '.join(sorted(self.projections))}")
        return self.projections[name]

    def domain(self, name: str) -> Domain:
        """A domain that decides; UsageError when there is none of that name."""
        if name not in self.domains:
            raise UsageError(f"no domain {name!r} declares a decider; there are: {', '.join(sorted(self.domains)) or 'none'}")
        return self.domains[name]

    def run_projectors(self, names: Sequence[str], pinned: Sequence[int] | None, stop: threading.Event) -> None:
        """Run one projector a name, a thread each, until `stop` is set or one fails (which stops the others)."""
        refuse_eviction(self.redis)
        projections = [self.projection(name) for name in dict.fromkeys(names)]
        codec = self.codec()
        _calm_collector()
        _together([partial(self._projector, p, codec, pinned, stop) for p in projections], stop)

    def _projector(self, projection: Projection, codec: Codec, pinned: Sequence[int] | None, stop: threading.Event) -> None:
        topics = Topics(self.kafka)
        sources = {topic: self.names.topic(topic) for topic in projection.topics}
        heartbeat = Heartbeat(self.redis, self.names.prefix, f"{projection.name}@{self.instance}", "projector")
        projector = Projector(
            projection,
            topics=topics,
            names=sources,
            store=SliceStore(self.redis),
            generations=Generations(self.redis, self.names.prefix),
            codec=codec,
            heartbeat=heartbeat,
            stop=stop,
        )
        info = topics.describe(list(sources.values()))
        group = self.names.projection_group(projection.name)
        consumer = BatchConsumer(self.kafka, group, starts=projector.starts, gone=projector.gone, protocol=self.protocol)
        projector.attach(consumer)
        try:
            if pinned is None:
                consumer.subscribe(list(info))
            else:
                consumer.pin(_places({name: topic.partitions for name, topic in info.items()}, pinned))
            log.info("projector runs", projection=projection.name, group=group, instance=self.instance)
            self._until_stopped(projector.run, stop)
        finally:
            consumer.close()
        heartbeat.end()
        log.info("projector ended", projection=projection.name)

    def run_handler(self, name: str, stop: threading.Event) -> None:
        """Run a domain's command handler until `stop` is set."""
        refuse_eviction(self.redis)
        domain, codec = self.domain(name), self.codec()
        _calm_collector()
        heartbeat = Heartbeat(self.redis, self.names.prefix, f"{name}.handler@{self.instance}", "handler")
        store, outcomes, group = SliceStore(self.redis), Outcomes(self.redis), self.names.handler_group(name)

        def tail(starts: Starts) -> BatchConsumer:
            return BatchConsumer(self.kafka, f"{group}.tail", starts=starts, gone=lambda _: None, protocol=self.protocol)

        topics = Topics(self.kafka)
        handover = HandOver(
            domain,
            redis=self.redis,
            store=store,
            outcomes=outcomes,
            topics=topics,
            names=self.names,
            codec=codec,
            generations=Generations(self.redis, self.names.prefix),
            open_consumer=tail,
            stop=stop,
        )
        handler = Handler(
            domain,
            store=store,
            outcomes=outcomes,
            transactions=Transactions(self.kafka, f"{group}.{self.instance}"),
            handover=handover,
            watch=Watch(store, topics),
            codec=codec,
            names=self.names,
            heartbeat=heartbeat,
            stop=stop,
        )
        consumer = BatchConsumer(self.kafka, group, starts=handler.starts, gone=handler.gone, protocol=self.protocol)
        handler.attach(consumer)
        try:
            consumer.subscribe([self.names.commands(name)])
            log.info("handler runs", domain=name, group=group, instance=self.instance)
            self._until_stopped(handler.run, stop)
        finally:
            consumer.close()
        heartbeat.end()
        log.info("handler ended", domain=name)

    @staticmethod
    def _until_stopped(run: Callable[[], None], stop: threading.Event) -> None:
        """A fault that passes does not spoil a stop that was asked for meanwhile: nothing is lost, only not done yet."""
        try:
            run()
        except TRANSIENT as fault:
            if not stop.is_set():
                raise
            log.warning("stopped in the midst of a fault", fault=repr(fault))


def _calm_collector() -> None:
    """Let the garbage collector look seldom: a batch makes and drops thousands of objects, hardly one of them in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _places(partitions: Mapping[str, int], pinned: Sequence[int]) -> list[Place]:
    for topic, count in partitions.items():
        for partition in pinned:
            if not 0 <= partition < count:
                raise UsageError(f"--partitions: {topic} has the partitions 0 to {count - 1}, not {partition}")
    return [(topic, partition) for topic in partitions for partition in sorted(set(pinned))]


def _together(runs: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    faults: list[BaseException] = []

    def guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as fault:
            faults.append(fault)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        # A signal that comes to another thread, or just before the wait, does not end it: its handler runs after the next.
        while thread.is_alive():
            thread.join(_LOOK_S)
    if faults:
        raise faults[0]
