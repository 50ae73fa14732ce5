"""A process manager's daemon: reacts to the log, one Kafka transaction a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from eventfold.kafka.batches import Batch
from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.transactions import Transactions
from eventfold.processors.dead_letters import letters
from eventfold.processors.patience import patiently
from eventfold.processors.places import by_name, named
from eventfold.processors.reactor.deadlines import Deadlines
from eventfold.processors.reactor.parked_keys import ParkedKeys
from eventfold.processors.reactor.reacting import ReactionError, Reactions
from eventfold.processors.reactor.resuming import Resuming, Stand
from eventfold.processors.stalls import Stalls
from eventfold.producers.process_manager import COMMANDS_LIVE_MS, ProcessManager
from eventfold.schemas.errors import spoken
from eventfold.schemas.record import Place, ProducerRecord, Record

BATCH = 2_000
_WAIT_S = 0.25
_TOPICS_S = 5.0

log = structlog.get_logger("process-manager")


@dataclass(slots=True)
class _Work:
    """What one transaction writes, by the partition it goes to; and how many records were looked at."""

    records: dict[Place, list[ProducerRecord]] = field(default_factory=dict)
    seen: int = 0

    def add(self, place: Place, record: ProducerRecord) -> None:
        self.records.setdefault(place, []).append(record)


class Reactor:
    """One member of a process manager's group. It holds no state but the keys that are parked, which the log tells.

    A batch, in this order: (1) take the group's metadata, (2) read, (3) decode what is wanted and react, (4) in one Kafka
    transaction produce the commands and letters and commit the consumed offsets under the batch's metadata. Whatever fails
    up to the commit, the producer and all that is held is thrown away, and the partitions are taken up anew. A batch from
    which nothing follows is not worth a transaction: its offsets are committed with the next one, or after a second.
    """

    batch = BATCH
    wait_s = _WAIT_S

    def __init__(
        self,
        manager: ProcessManager,
        *,
        consumer: BatchConsumer,
        reactions: Reactions,
        resuming: Resuming,
        parked: ParkedKeys,
        deadlines: Deadlines,
        dead_letters: Mapping[str, str],
        transactions: Transactions,
        stop: threading.Event,
    ) -> None:
        self._manager = manager
        self._log = log.bind(process_manager=manager.name)
        self._consumer = consumer
        self._reactions = reactions
        self._resuming = resuming
        self._parked = parked
        self._deadlines = deadlines
        self._dead_letters = dead_letters
        self._transactions = transactions
        self._stop = stop
        self._stands: dict[Place, Stand] = {}
        self._unsaved: set[Place] = set()
        self._stalls = Stalls(manager.on_failure, self._log)
        self._passing: set[Place] = set()
        self._looked = time.monotonic()

    @contextmanager
    def session(self) -> Iterator[None]:
        """Transactions for as long as it reacts. Fenced when another instance took the name."""
        try:
            patiently(self._transactions.open, self._stop)
            yield
            if self._unsaved and (metadata := self._consumer.metadata()) is not None:
                self._commit(_Work(), metadata)
        finally:
            self._transactions.discard()

    def assigned(self, places: list[Place]) -> dict[Place, int]:
        """Take partitions up where the group left them, once all is known that is parked there."""
        stands = self._resuming.take(self._consumer, places)
        self._parked.take(places, self._stop)
        self._stands |= stands
        self._stalls.go_on(places)
        self._unsaved.difference_update(places)
        # Also where nothing happens yet: what the group remembers beside the offsets tells a topic that is made anew.
        self._unsaved |= {place for place, stand in stands.items() if not stand.committed}
        self._deadlines.places = frozenset(self._stands)
        self._log.info("assigned", partitions=named(places))
        return {place: stand.offset for place, stand in stands.items()}

    def revoked(self, places: list[Place]) -> None:
        """Forget partitions that were taken away."""
        self._parked.gone(places)
        for place in places:
            self._stands.pop(place, None)
        self._unsaved.difference_update(places)
        self._stalls.forget(places)
        self._deadlines.places = frozenset(self._stands)
        self._log.info("revoked", partitions=named(places))

    def process(self, batch: Batch, metadata: Any | None) -> int:
        """React to a batch; returns how many records it looked at."""
        if metadata is None:
            # Taken under another membership than it would be committed under: read it again.
            self._consumer.seek({place: self._stands[place].offset for place in batch.records if place in self._stands})
            return 0
        work = _Work()
        for place in batch.records.keys() | batch.ends.keys():
            if place in self._stands and place not in self._stalls:
                self._react(place, batch.records.get(place, ()), batch.ends.get(place), work)
        if work.records:
            self._commit(work, metadata)
        # Read on where a record waited long enough to be tried again.
        self._consumer.seek({place: self._stands[place].offset for place in self._stalls.due()})
        return work.seen

    def _react(self, place: Place, records: Sequence[Record], end: int | None, work: _Work) -> None:
        """Add to `work` what follows from the records up to the first that must not be passed."""
        stand = self._stands[place]
        before, following = stand.offset, stand.offset
        # What was appended before this may have been reacted to long ago, when nobody knows the commands' ids any more.
        forgotten = time.time_ns() // 1_000_000 - COMMANDS_LIVE_MS
        for record in records:
            offset: Any = record.offset()
            if offset < following:
                continue
            if offset < stand.known and (record.timestamp()[1] < forgotten or self._parked.let_go(record)):
                self._pass_over(place)
            elif not self._passed(place, record, work):
                end = None
                break
            following = offset + 1
            work.seen += 1
        following = max(following, end or 0)
        if following > before:
            self._stands[place] = Stand(offset=following, known=stand.known)
            self._stalls.passed({place: following})
            self._unsaved.add(place)

    def _pass_over(self, place: Place) -> None:
        if place not in self._passing:
            self._passing.add(place)
            self._log.warning("passing over what is too old to be reacted to again", partition=f"{place[0]}/{place[1]}")

    def _passed(self, place: Place, record: Record, work: _Work) -> bool:
        """Whether the reader may go on behind this record: it was reacted to, or is parked."""
        first = self._parked.first(record)
        if first is not None:
            if self._reactions.wants(record) and not self._parked.holds(record):
                self._park(place, record, f"an earlier record of this key is parked: {first}", work)
            return True
        try:
            for to, command in self._reactions.of(record):
                work.add(to, command)
        except ReactionError as error:
            return self._failed(place, record, error, work)
        return True

    def _failed(self, place: Place, record: Record, error: ReactionError, work: _Work) -> bool:
        """What the policy says: False to stand still here, for good or for a while; True once it is parked."""
        offset: Any = record.offset()
        if self._stalls.parks(place, offset):
            self._log.error("parked", error=str(error))
            self._park(place, record, str(error), work)
            return True
        self._stalls.stand(place, offset, str(error))
        self._consumer.pause([place])
        return False

    def _park(self, place: Place, record: Record, error: str, work: _Work) -> None:
        letter, topic = letters.parked(self._manager.name, record, error), self._dead_letters[place[0]]
        self._parked.add(letter)
        work.add((topic, place[1]), letter.to_record(topic))

    def _commit(self, work: _Work, metadata: Any) -> None:
        self._transactions.begin()
        for (_, partition), records in work.records.items():
            self._transactions.produce(partition, records)
        stands = {place: self._stands[place] for place in self._unsaved}
        notes = {place: self._resuming.note(stand) for place, stand in stands.items()}
        self._transactions.commit({place: stand.offset for place, stand in stands.items()}, metadata, notes)
        self._transactions.settle()
        self._unsaved.clear()

    def look(self, metadata: Any | None) -> int:
        """Commit what is unsaved; notice what was retried or discarded meanwhile, and topics that were made anew."""
        if self._unsaved and metadata is not None:
            self._commit(_Work(), metadata)
        for origin in self._parked.look():
            self._log.info("no longer parked", since=str(origin))
        if time.monotonic() - self._looked > _TOPICS_S:
            self._looked = time.monotonic()
            self._resuming.check()
        return 0

    def give_up(self, fault: Exception) -> None:
        self._log.warning("batch given up, going on anew", fault=spoken(fault))

    def start_over(self) -> None:
        """Throw away the producer and all that is held, and take every partition up anew."""
        self._transactions.discard()
        self._transactions.open()
        self._consumer.retake(self.assigned)

    def status(self) -> dict[str, Any]:
        stalls = self._stalls.status()
        return {
            "process_manager": self._manager.name,
            "partitions": by_name({place: stand.offset for place, stand in self._stands.items()}),
            **stalls,
            "stalled": {**stalls["stalled"], **self._deadlines.wrong()},
            "parked": self._parked.counts(),
        }
