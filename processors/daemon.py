"""One daemon as others see it: what it says in the log, its sign of life in Redis, its membership of a consumer group."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from structlog.typing import FilteringBoundLogger

from eventfold.kafka.consumer import BatchConsumer, Gone, Starts
from eventfold.processors.runtime import Runtime
from eventfold.processors.worker import Processor, Worker
from eventfold.store.heartbeats import Heartbeat, Pulse


class Daemon:
    """What this process does for one domain, projection or process manager.

    role: `handler`, `projector` or `process-manager`. name: under which it gives signs of life, together with the instance.
    log: bound to what it works for.
    """

    def __init__(self, runtime: Runtime, role: str, name: str, log: FilteringBoundLogger) -> None:
        self._runtime = runtime
        self._role = role
        self._spoken = role.replace("-", " ")
        self._name = name
        self._log = log

    @contextmanager
    def alive(self) -> Iterator[Heartbeat]:
        """Its sign of life; a daemon that ends by a fault leaves the last one behind, for others to notice."""
        runtime = self._runtime
        heartbeat = Heartbeat(runtime.redis, runtime.names.prefix, f"{self._name}@{runtime.instance}", self._role)
        yield heartbeat
        heartbeat.end()
        self._log.info(f"{self._spoken} ended")

    def work(
        self,
        processor: Callable[[BatchConsumer], Processor],
        *,
        group: str,
        join: Callable[[BatchConsumer], None],
        pulse: Pulse,
        stop: threading.Event,
    ) -> None:
        """Run a worker as a member of `group` until `stop` is set; `join` subscribes or pins its consumer."""
        runtime = self._runtime

        def opened(starts: Starts, gone: Gone) -> BatchConsumer:
            return BatchConsumer(runtime.kafka, group, starts=starts, gone=gone, protocol=runtime.protocol)

        def joined(consumer: BatchConsumer) -> None:
            join(consumer)
            self._log.info(f"{self._spoken} runs", group=group, instance=runtime.instance)

        Worker(processor, open_consumer=opened, pulse=pulse, stop=stop).run(joined)
