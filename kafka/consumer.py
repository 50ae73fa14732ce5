"""The consumer loop's side of Kafka: batches by partition, and partitions that come and go.

A partition's start never comes from Kafka's group: the daemon that folds it says where it stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from eventfold.kafka.batches import Batch, by_partition, check_passes, polled
from eventfold.kafka.clients import made
from eventfold.kafka.errors import said
from eventfold.kafka.partition_errors import PartitionErrors
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.skips import Skips, where
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place

PREFETCH_KB = 8_192
"""How much a daemon's consumer fetches before it is asked for."""
log = structlog.get_logger("consumer")
Starts = Callable[[list[Place]], Mapping[Place, int]]
Gone = Callable[[list[Place]], None]
_LONGEST_HAND_OVER_MS = 1_800_000
_COMMITTED_S = 5
_RETAKE_S = 0.25
_DRAINED_S = 1
_DRAINED_AT_ONCE = 1_000
_LEAVES_S = 0.005


class BatchConsumer:
    """Reads committed records in batches, either as a member of a group or of partitions that were named.

    starts: called with new partitions before anything of them is read; says from which offset.
    gone: called when partitions were taken away; records of them that a batch still held are dropped.
    """

    def __init__(self, settings: KafkaSettings, group: str, *, starts: Starts, gone: Gone, protocol: str = "consumer") -> None:
        config: dict[str, Any] = {
            "group.protocol": protocol,
            "queued.max.messages.kbytes": PREFETCH_KB,
            # A hand-over of a long log takes its time, and what hangs for good is a matter for whoever watches the lag.
            "max.poll.interval.ms": _LONGEST_HAND_OVER_MS,
        }
        if protocol == "classic":
            config |= {
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 1000,
            }
        self._consumer = made(Consumer, settings, settings.consumer(group, **config))
        self._group = group
        self._beside: Collection[str] = ()
        self._protocol = protocol
        self._starts = starts
        self._gone = gone
        self._owned: set[Place] = set()
        self.changes = 0
        """How often partitions came or went; a batch across a change was not read under one metadata."""
        self._said = ""
        self._errors = PartitionErrors(Skips(settings))
        self._fault: Exception | None = None
        self._closing = False
        self._subscribed = False

    def subscribe(self, topics: list[str], beside: Collection[str] = ()) -> None:
        """Join the group and take what it assigns, and of the topics `beside` the partitions of the same numbers."""
        self._subscribed, self._beside = True, beside
        self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def pin(self, places: list[Place]) -> None:
        """Take exactly these partitions, without the group."""
        starts = self._starts(places)
        self._owned = set(places)
        self._consumer.assign([TopicPartition(*place, starts[place]) for place in places])

    @property
    def owned(self) -> frozenset[Place]:
        """The partitions that are this consumer's now."""
        return frozenset(self._owned)

    def poll(self, limit: int, timeout_s: float) -> Batch:
        """Wait for one record, then take what else is there, up to `limit`.

        Under load batches are full, at rest nothing waits for more. LogError when a partition no longer has the
        offset it should go on from. Where nobody can read a record, the partition stands still, unless a person lets readers
        pass over it (`eventfold.kafka.skips`).
        """
        messages = polled(self._consumer, limit, timeout_s)
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        batch = by_partition(messages, self._owned, self._note)
        if self._errors:
            self._forget_passed(batch)
        return batch

    def _note(self, message: Message, error: KafkaError) -> None:
        check_passes(self._group, message, error)
        at = where(message)
        if at.partition < 0:
            log.warning("kafka says", group=self._group, error=said(error))
            self._said = said(error)
        elif (at.topic, at.partition) in self._owned:
            until = self._errors.met(at, error)
            if until is not None:
                self._consumer.seek(TopicPartition(at.topic, at.partition, until))

    def _forget_passed(self, batch: Batch) -> None:
        for place, records in batch.records.items():
            self._errors.passed(place, where(records[-1]).offset)
        for place, end in batch.ends.items():
            self._errors.passed(place, end)

    @property
    def trouble(self) -> str:
        """What Kafka says of why it brings nothing; empty when it has said nothing of late."""
        return self._said if not self._owned and self._said else self._errors.passing()

    @property
    def stalled(self) -> dict[Place, str]:
        """The partitions that stand still since nobody can read what lies there, and what to do about it."""
        return self._errors.stalled()

    @property
    def unreadable(self) -> dict[Place, Position]:
        """Where those partitions stand."""
        return self._errors.standing()

    def seek(self, starts: Mapping[Place, int]) -> None:
        """Go on from these offsets, also where reading was paused; what was fetched before is dropped."""
        for place, offset in starts.items():
            if place in self._owned:
                self._consumer.seek(TopicPartition(*place, offset))
                self._consumer.resume([TopicPartition(*place)])

    def retake(self, take: Starts) -> None:
        """Go on, of all partitions that it has, from where `take` says; what was fetched before is dropped.

        Who was expelled from the group learns it in a poll, and is not told the group's offsets before.
        """
        self.poll(1, _RETAKE_S)
        if self._owned:
            self.seek(take(sorted(self._owned)))

    def pause(self, places: Iterable[Place]) -> None:
        """Read no more of these partitions until they are assigned anew or sought."""
        self._consumer.pause([TopicPartition(*place) for place in places])

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell the group how far the slices are, without waiting; only lag tools read it."""
        if offsets:
            self._consumer.commit(offsets=_offsets(offsets), asynchronous=True)

    def committed(self, places: list[Place]) -> dict[Place, int | None]:
        """The group's offsets, none of them of an open transaction; None where there is none."""
        found = self.noted(places)
        return {place: found[place][0] if place in found else None for place in places}

    def noted(self, places: list[Place]) -> dict[Place, tuple[int, str]]:
        """As `committed`, with the note that was committed beside each offset; without those that have none."""
        found = self._consumer.committed([TopicPartition(*place) for place in places], timeout=_COMMITTED_S)
        for tp in found:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return {(tp.topic, tp.partition): (tp.offset, tp.metadata or "") for tp in found if tp.offset >= 0}

    def metadata(self) -> Any | None:
        """The group's metadata, opaque; take it before a batch, and use it for that batch's transaction.

        None while this consumer is no member of a classic group: what librdkafka hands out then is empty, and such a
        group accepts it from anyone, so it fences nobody. A KIP-848 member always has an id; brokers refuse a stale one.
        """
        # In this order: who is a member after it was taken was one before, since to join again takes a poll.
        metadata = self._consumer.consumer_group_metadata()
        return metadata if self._consumer.memberid() else None

    def close(self) -> None:
        """Leave the group.

        While a callback waits for a poll, librdkafka's close adds another one, and lets the group end on the answer to the
        first; an answer to the second that comes just then waits for ever, with Python's lock (its issue 4884). Who has
        unsubscribed gets none from close, and what waits before it is answered here.
        """
        self._closing = True
        try:
            if self._subscribed:
                self._unsubscribe()
        finally:
            self._consumer.close()

    def _unsubscribe(self) -> None:
        # Refused after a fatal error; but then close calls nobody back.
        with suppress(KafkaException):
            self._consumer.unsubscribe()
        deadline = time.monotonic() + _DRAINED_S
        # A close that comes while partitions of a classic group are still being given up forgets to leave the group, which
        # then keeps them for the session's time-out. The member id goes as the group is left.
        while (self._consumer.consume(_DRAINED_AT_ONCE, _LEAVES_S) or self._leaves()) and time.monotonic() < deadline:
            pass

    def _leaves(self) -> bool:
        return self._protocol == "classic" and bool(self._consumer.memberid())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            # It is called even then, and what it asked the group for would hang until it timed out.
            consumer.incremental_assign([])
            return
        places = self._with_beside(partitions)
        try:
            starts = self._starts(places)
        except Exception as fault:
            # librdkafka's callback has no way to fail: the next poll raises it.
            self._fault = fault
            consumer.incremental_assign([])
            return
        self.changes += 1
        self._said = ""
        self._owned.update(places)
        consumer.incremental_assign([TopicPartition(*place, starts[place]) for place in places])

    def _with_beside(self, partitions: list[TopicPartition]) -> list[Place]:
        """Neither protocol's assignor need give one member the same partitions of several topics, so the group knows of one
        topic alone. librdkafka reads what it is told to, whatever the group assigned.
        """
        return [(topic, tp.partition) for tp in partitions for topic in (tp.topic, *self._beside)]

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = self._with_beside(partitions)
        # What `_assigned` did not take is none of librdkafka's assignment, and would be refused.
        taken = [TopicPartition(*place) for place in places if place in self._owned]
        self.changes += 1
        self._owned.difference_update(places)
        self._errors.gone(places)
        self._gone(places)
        consumer.incremental_unassign(taken)


def _offsets(offsets: Mapping[Place, int]) -> list[TopicPartition]:
    return [TopicPartition(*place, offset) for place, offset in offsets.items()]
