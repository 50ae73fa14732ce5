"""The life that handler, projector and process manager share: join a group, work batch after batch, leave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from eventfold.kafka.batches import Batch
from eventfold.kafka.consumer import BatchConsumer, Gone, Starts
from eventfold.processors.patience import FAULTS, patiently, until_stopped
from eventfold.processors.places import by_name
from eventfold.processors.trouble import Trouble
from eventfold.schemas.record import Place
from eventfold.store.errors import is_away
from eventfold.store.heartbeats import Pulse

OpenConsumer = Callable[[Starts, Gone], BatchConsumer]
"""Opens a consumer that joins nothing yet, given what to call when partitions come and go."""


class Processor(Protocol):
    """What a worker works on batches with; the worker alone calls it, in one thread.

    batch: the most records of one poll. wait_s: how long the next poll may wait for the first of them.
    """

    batch: int

    @property
    def wait_s(self) -> float: ...

    def session(self) -> AbstractContextManager[None]:
        """Surrounds all batches: opens what they need, and finishes the last one, unless a fault ends the worker."""
        ...

    def assigned(self, places: list[Place]) -> Mapping[Place, int]:
        """In a poll, or when pinned: take partitions over and say from which offsets; tried again after a fault that passes."""
        ...

    def revoked(self, places: list[Place]) -> None:
        """In a poll, or when the consumer is closed: forget partitions that were taken away."""
        ...

    def process(self, batch: Batch, metadata: Any | None) -> int:
        """Work on a batch; returns how many records are done with since the call before.

        metadata: the group's, taken before the batch was read; None when partitions came or went meanwhile, so that it
        fences nothing.
        """
        ...

    def look(self, metadata: Any | None) -> int:
        """Once a second, after a batch: notice what no record tells; returns and takes the same as `process`."""
        ...

    def give_up(self, fault: Exception) -> None:
        """Before `start_over`: log the fault."""
        ...

    def start_over(self) -> None:
        """Drop all that is held in memory and take every partition over anew; tried again as `assigned` is."""
        ...

    def status(self) -> dict[str, Any]:
        """What the sign of life says."""
        ...


class Worker:
    """One member of a consumer group, or the owner of partitions that were named.

    Each turn, in this order: (1) take the group's metadata, (2) poll, in which partitions come and go, (3) process the batch,
    (4) look, if a second has passed, (5) give a sign of life, which says what it waits for, if for anything. After a fault in
    3 or 4 that may pass the processor starts over, patiently: for as long as it takes, where it is known to pass. Every other
    fault ends the worker, and so does one of the poll.
    """

    def __init__(
        self,
        processor: Callable[[BatchConsumer], Processor],
        *,
        open_consumer: OpenConsumer,
        pulse: Pulse,
        told: Callable[[Exception], str],
        stop: threading.Event,
    ) -> None:
        """processor: makes it, around the consumer that brings its records. told: the sentence about a fault."""
        self._pulse = pulse
        self._stop = stop
        self._trouble = Trouble(told)
        self._consumer = open_consumer(self._assigned, self._revoked)
        try:
            self._processor = processor(self._consumer)
        except BaseException:
            self._consumer.close()
            raise

    def run(self, join: Callable[[BatchConsumer], None]) -> None:
        """Work until told to stop, the batch at hand is finished first, then leave the group.

        join: subscribes the consumer, or pins it.
        """
        try:
            join(self._consumer)
            until_stopped(self._work, self._stop)
        finally:
            self._consumer.close()

    def _work(self) -> None:
        consumer, processor = self._consumer, self._processor
        with processor.session():
            while not self._stop.is_set():
                done, changes, metadata = 0, consumer.changes, consumer.metadata()
                batch = consumer.poll(processor.batch, processor.wait_s)
                try:
                    done = self._turn(batch, metadata if consumer.changes == changes else None)
                    self._trouble.passed(done)
                except FAULTS as fault:
                    pause_s = self._trouble.came(fault)
                    processor.give_up(fault)
                    self._say(fault)
                    self._stop.wait(pause_s)
                    patiently(processor.start_over, self._stop, self._waits)
                self._pulse.beat(done, self._status)

    def _turn(self, batch: Batch, metadata: Any | None) -> int:
        done = self._processor.process(batch, metadata)
        if self._pulse.due():
            done += self._processor.look(metadata)
        return done

    def _assigned(self, places: list[Place]) -> Mapping[Place, int]:
        return patiently(lambda: self._processor.assigned(places), self._stop, self._waits)

    def _revoked(self, places: list[Place]) -> None:
        self._processor.revoked(places)

    def _waits(self, fault: Exception) -> None:
        self._trouble.waits(fault)
        self._say(fault)

    def _say(self, fault: Exception) -> None:
        # A Redis that does not answer would not take it either, and who is told to stop would wait for that once more.
        if not is_away(fault):
            self._pulse.beat(0, self._status)

    def _status(self) -> dict[str, Any]:
        consumer, status = self._consumer, self._processor.status()
        if stalled := consumer.stalled:
            status["stalled"] = {**status.get("stalled", {}), **by_name(stalled)}
        deaf = {"trouble": f"Kafka says: {trouble}"} if (trouble := consumer.trouble) else {}
        return {**status, **deaf, **self._trouble.status()}
