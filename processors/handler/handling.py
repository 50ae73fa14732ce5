"""Puts the daemon of one domain's command handler together, and runs it."""

from __future__ import annotations

import threading

import structlog

from eventfold.kafka.consumer import PREFETCH_KB, BatchConsumer
from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.kafka.transactions import Transactions
from eventfold.processors.daemon import Daemon
from eventfold.processors.handler.handler import Handler
from eventfold.processors.handler.handover import HandOver
from eventfold.processors.runtime import Runtime
from eventfold.processors.watch import Watch
from eventfold.processors.ways_on import of_handler
from eventfold.producers.domain import Domain
from eventfold.schemas.codec import Codec
from eventfold.store.generations import Generations
from eventfold.store.outcomes import Outcomes
from eventfold.store.slice_store import SliceStore

log = structlog.get_logger("handler")


def handle(runtime: Runtime, domain: Domain, codec: Codec, stop: threading.Event) -> None:
    """Decide the commands of a domain until `stop` is set."""
    name, names, group = domain.name, runtime.names, runtime.names.handler_group(domain.name)
    store, outcomes, topics = SliceStore(runtime.redis), Outcomes(runtime.redis), Topics(runtime.kafka)
    daemon = Daemon(runtime, "handler", f"{name}.handler", log.bind(domain=name))
    with daemon.alive() as heartbeat:
        handover = HandOver(
            domain,
            redis=runtime.redis,
            store=store,
            outcomes=outcomes,
            topics=topics,
            names=names,
            codec=codec,
            generations=Generations(runtime.redis, names.prefix),
            tail=RangeReader(runtime.kafka, f"{group}.tail", PREFETCH_KB),
            stop=stop,
        )

        def handler(consumer: BatchConsumer) -> Handler:
            return Handler(
                domain,
                consumer=consumer,
                store=store,
                outcomes=outcomes,
                transactions=Transactions(runtime.kafka, f"{group}.{runtime.instance}"),
                handover=handover,
                watch=Watch(store, topics),
                codec=codec,
                names=names,
                stop=stop,
            )

        with of_handler(name):
            daemon.work(
                handler,
                group=group,
                join=lambda consumer: consumer.subscribe([names.commands(name)], beside=[names.internal(name)]),
                pulse=heartbeat,
                stop=stop,
            )
