"""One daemon as others see it: what it says in the log, its sign of life in Redis, its membership of a consumer group."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from eventfold.kafka.consumer import BatchConsumer, Gone, Starts
from eventfold.processors.patience import told
from eventfold.processors.runtime import Runtime
from eventfold.processors.worker import Processor, Worker
from eventfold.store.connection import RedisError
from eventfold.store.heartbeats import Heartbeat, Pulse, ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a daemon works for.

    role: `handler`, `projector` or `process-manager`. kind: `domain`, `projection` or `process_manager`, which is called `of`.
    name: under which it gives signs of life, together with the instance.
    """

    role: str
    kind: str
    of: str
    name: str


@contextmanager
def ended_by_fault(runtime: Runtime, works: Sequence[Work]) -> Iterator[None]:
    """A fault that ends the block ends these daemons: their last sign of life says so, and why."""
    try:
        yield
    except Exception as fault:
        why = told(fault, runtime.redis)
        with suppress(RedisError):
            for work in works:
                name = f"{work.name}@{runtime.instance}"
                ended(runtime.redis, runtime.names.prefix, name, work.role, {work.kind: work.of}, why)
        raise


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
        """Its sign of life, which is gone when it ends as it should; see also `ended_by_fault`."""
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

        Worker(processor, open_consumer=opened, pulse=pulse, told=self.told, stop=stop).run(joined)

    def told(self, fault: Exception) -> str:
        """The sentence about a fault."""
        return told(fault, self._runtime.redis)
