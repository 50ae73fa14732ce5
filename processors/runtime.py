"""Puts daemons together from settings and declarations, and runs them until they are told to stop."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from eventfold.kafka.consumer import PREFETCH_KB, BatchConsumer
from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.schema_registry import Registry
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.kafka.transactions import Transactions
from eventfold.processors.handler.daemon import Handler
from eventfold.processors.handler.handover import HandOver
from eventfold.processors.patience import until_stopped
from eventfold.processors.projector.projecting import Projecting
from eventfold.processors.reactor.managing import Managing
from eventfold.processors.reactor.timers import timers_name
from eventfold.processors.watch import Watch
from eventfold.producers.domain import Domain
from eventfold.producers.process_manager import ProcessManager
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from eventfold.schemas.names import Names
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.heartbeats import Heartbeat
from eventfold.store.outcomes import Outcomes
from eventfold.store.slice_store import SliceStore

_LOOK_S = 0.2
log = structlog.get_logger("eventfold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What every daemon is made of.

    registry: where one is configured. domains: those with a handler, by name. domain_names: all enabled ones.
    process_managers: those that the domains bring along, by name; the projections of their timers are among `projections`.
    protocol: of consumer groups, `consumer` (KIP-848) or `classic`. instance: this daemon's name among its like; stable
    across restarts.
    """

    kafka: KafkaSettings
    redis: Redis
    names: Names
    codec: Callable[[], Codec]
    registry: Registry | None
    domains: Mapping[str, Domain]
    domain_names: Sequence[str]
    projections: Mapping[str, Projection]
    process_managers: Mapping[str, ProcessManager]
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

    def process_manager(self, name: str) -> ProcessManager:
        """A declared process manager; UsageError when there is none of that name."""
        if name not in self.process_managers:
            there = ", ".join(sorted(self.process_managers)) or "none"
            raise UsageError(f"no process manager is called {name!r}; there are: {there}")
        return self.process_managers[name]

    @property
    def hosted(self) -> set[str]:
        """The projections that the daemon of a process manager keeps: those of its timers."""
        return {timers_name(name) for name, manager in self.process_managers.items() if manager.deadlines}

    def loaded_codec(self) -> Codec:
        """The codec for who runs on: what it may need of a schema registry is asked for now, and never again."""
        codec = self.codec()
        codec.load()
        return codec

    def run_projectors(self, names: Sequence[str], pinned: Sequence[int] | None, stop: threading.Event) -> None:
        """Keep each projection's generations fed until `stop` is set or one fails (which stops the others)."""
        SliceStore(self.redis).refuse_eviction()
        projections = [self.projection(name) for name in dict.fromkeys(names)]
        codec = self.loaded_codec()
        calm_collector()
        runs: list[Callable[[], None]] = []
        for projection in projections:
            projecting = Projecting(self, projection, codec, pinned, stop)
            runs += [projecting.live, projecting.kept]
        _together(runs, stop)

    def run_process_managers(self, names: Sequence[str], stop: threading.Event) -> None:
        """React until `stop` is set or one fails (which stops the others), each with its deadlines."""
        SliceStore(self.redis).refuse_eviction()
        managers = [self.process_manager(name) for name in dict.fromkeys(names)]
        codec = self.loaded_codec()
        running = [Managing(self, manager, codec, stop) for manager in managers]
        calm_collector()
        _together([run for managing in running for run in managing.runs()], stop)

    def run_handler(self, name: str, stop: threading.Event) -> None:
        """Run a domain's command handler until `stop` is set."""
        SliceStore(self.redis).refuse_eviction()
        domain, codec = self.domain(name), self.loaded_codec()
        calm_collector()
        heartbeat = Heartbeat(self.redis, self.names.prefix, f"{name}.handler@{self.instance}", "handler")
        store, outcomes, group = SliceStore(self.redis), Outcomes(self.redis), self.names.handler_group(name)
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
            tail=RangeReader(self.kafka, f"{group}.tail", PREFETCH_KB),
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
            until_stopped(handler.run, stop)
        finally:
            consumer.close()
        heartbeat.end()
        log.info("handler ended", domain=name)


def calm_collector() -> None:
    """Let the garbage collector look seldom: a batch makes and drops thousands of objects, hardly one of them in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


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
