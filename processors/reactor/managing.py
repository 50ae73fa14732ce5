"""Puts the daemon of one process manager together: its reactions, its timers, and what fires once they are due."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache

import structlog

from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.publisher import Publisher
from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.kafka.transactions import Transactions
from eventfold.processors.daemon import Daemon
from eventfold.processors.dead_letters.notices import refuse_fewer
from eventfold.processors.projector.projecting import Projecting
from eventfold.processors.reactor.deadlines import Deadlines
from eventfold.processors.reactor.emitting import Emitter
from eventfold.processors.reactor.parked_keys import ParkedKeys
from eventfold.processors.reactor.reacting import Reactions, check_declared
from eventfold.processors.reactor.reactor import Reactor
from eventfold.processors.reactor.resuming import Resuming
from eventfold.processors.reactor.timers import timers_name
from eventfold.processors.runtime import Runtime
from eventfold.processors.ways_on import of_process_manager
from eventfold.producers.process_manager import ProcessManager
from eventfold.schemas.codec import Codec
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore

log = structlog.get_logger("process-manager")


class Managing:
    """One process manager as its daemons and the mending of its letters see it: topics, group, reactions.

    UsageError when it names what no enabled domain has.
    """

    def __init__(self, runtime: Runtime, manager: ProcessManager, codec: Codec, stop: threading.Event) -> None:
        check_declared(manager, codec.catalog, runtime.domain_names, runtime.domains)
        self._runtime = runtime
        self._codec = codec
        self._stop = stop
        names = runtime.names
        self.manager = manager
        self.group = names.process_manager_group(manager.name)
        self.refusals = [names.refusals(domain) for domain in manager.domains if domain in runtime.domains]
        self.dead_letters = {names.events(domain): names.dead_letters(domain) for domain in manager.domains}
        self.dead_letters |= {names.refusals(d): names.dead_letters(d) for d in manager.domains if d in runtime.domains}
        """Of each topic that it reads, the one for its letters."""
        self._emitter = Emitter(
            manager.name, names=names, codec=codec, deciding=runtime.domains, partitions=_partitions(Topics(runtime.kafka))
        )

    def reactions(self) -> Reactions:
        """New ones; each thread needs its own."""
        return Reactions(self.manager, self._emitter, self._codec, self.refusals)

    def reader(self) -> RangeReader:
        """Of its letters."""
        return RangeReader(self._runtime.kafka, f"{self.group}.dead-letters")

    def runs(self) -> list[Callable[[], None]]:
        """What the daemon does, each in a thread of its own, until told to stop."""
        manager, runtime = self.manager, self._runtime
        topics = Topics(runtime.kafka)
        self._check_topics(topics)
        deadlines = Deadlines(
            manager,
            emitter=self._emitter,
            codec=self._codec,
            publisher=lambda: Publisher(runtime.kafka),
            store=SliceStore(runtime.redis),
            generations=Generations(runtime.redis, runtime.names.prefix),
            # Of its own: it asks in another thread.
            topics=Topics(runtime.kafka),
            stop=self._stop,
        )
        runs: list[Callable[[], None]] = [lambda: self._react(topics, deadlines)]
        if manager.deadlines:
            timers = Projecting(runtime, runtime.projection(timers_name(manager.name)), self._codec, None, self._stop)
            runs += [timers.live, timers.kept, deadlines.run]
        return runs

    def _react(self, topics: Topics, deadlines: Deadlines) -> None:
        manager, runtime = self.manager, self._runtime

        def reactor(consumer: BatchConsumer) -> Reactor:
            return Reactor(
                manager,
                consumer=consumer,
                reactions=self.reactions(),
                resuming=Resuming(topics, self.group, list(self.dead_letters), self.refusals),
                parked=ParkedKeys(manager.name, topics, self.reader(), self.dead_letters),
                deadlines=deadlines,
                dead_letters=self.dead_letters,
                transactions=Transactions(runtime.kafka, f"{self.group}.{runtime.instance}"),
                stop=self._stop,
            )

        name = f"{manager.name}.process-manager"
        daemon = Daemon(runtime, "process-manager", name, log.bind(process_manager=manager.name))
        with daemon.alive() as heartbeat, of_process_manager(manager.name):
            daemon.work(
                reactor,
                group=self.group,
                join=lambda consumer: consumer.subscribe(list(self.dead_letters)),
                pulse=heartbeat,
                stop=self._stop,
            )

    def _check_topics(self, topics: Topics) -> None:
        """A letter goes to its origin's partition, so there must be as many."""
        info = topics.describe(sorted({*self.dead_letters, *self.dead_letters.values()}))
        for source, letters in self.dead_letters.items():
            refuse_fewer(info[letters], info[source])


def _partitions(topics: Topics) -> Callable[[str], int]:
    """How many partitions a topic has, which never changes in place."""
    return lru_cache(maxsize=None)(lambda topic: topics.describe([topic])[topic].partitions)
