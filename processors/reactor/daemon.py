"""A process manager's daemon: reacts to the log, one Kafka transaction a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from eventfold.kafka.consumer import Batch, BatchConsumer
from eventfold.kafka.transactions import Transactions
from eventfold.processors.attempts import Attempts
from eventfold.processors.dead_letters import letters
from eventfold.processors.patience import TRANSIENT, patiently
from eventfold.processors.projector.folding import named
from eventfold.processors.reactor.parked_keys import ParkedKeys
from eventfold.processors.reactor.reacting import ReactionError, Reactions
from eventfold.processors.reactor.resuming import Resuming, Stand
from eventfold.producers.process_manager import COMMANDS_LIVE_MS, ProcessManager
from eventfold.schemas.record import Place, ProducerRecord, Record
from eventfold.store.heartbeats import Pulse

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

    def __init__(
        self,
        manager: ProcessManager,
        *,
        reactions: Reactions,
        resuming: Resuming,
        parked: ParkedKeys,
        dead_letters: Mapping[str, str],
        transactions: Transactions,
        heartbeat: Pulse,
        late: Callable[[], Mapping[str, str]],
        stop: threading.Event,
        batch: int = BATCH,
    ) -> None:
        self._manager = manager
        self._reactions = reactions
        self._resuming = resuming
        self._parked = parked
        self._dead_letters = dead_letters
        self._transactions = transactions
        self._heartbeat = heartbeat
        self._late = late
        self._stop = stop
        self._batch = batch
        self._stands: dict[Place, Stand] = {}
        self._unsaved: set[Place] = set()
        self._stalled: dict[Place, str] = {}
        self._attempts = Attempts(manager.on_failure)
        self._retrying: dict[Place, tuple[float, str]] = {}
        self._passing: set[Place] = set()
        self._looked = time.monotonic()
        self._consumer: BatchConsumer | None = None
        self.places: frozenset[Place] = frozenset()
        """The partitions it has; other threads may read this."""

    def attach(self, consumer: BatchConsumer) -> None:
        """Say which consumer brings the records, before it subscribes."""
        self._consumer = consumer

    def starts(self, places: list[Place]) -> dict[Place, int]:
        """Take partitions up where the group left them, once all is known that is parked there."""
        return patiently(lambda: self._take(places), self._stop)

    def _take(self, places: list[Place]) -> dict[Place, int]:
        assert self._consumer is not None
        stands = self._resuming.take(self._consumer, places)
        self._parked.take(places, self._stop)
        self._stands |= stands
        for place in places:
            self._stalled.pop(place, None)
            self._retrying.pop(place, None)
            self._unsaved.discard(place)
        # Also where nothing happens yet: what the group remembers beside the offsets tells a topic that is made anew.
        self._unsaved |= {place for place, stand in stands.items() if not stand.committed}
        self.places = frozenset(self._stands)
        log.info("assigned", process_manager=self._manager.name, partitions=named(places))
        return {place: stand.offset for place, stand in stands.items()}

    def gone(self, places: list[Place]) -> None:
        """Forget partitions that were taken away."""
        self._parked.gone(places)
        for place in places:
            self._stands.pop(place, None)
            self._stalled.pop(place, None)
            self._retrying.pop(place, None)
            self._unsaved.discard(place)
        self._attempts.forget(places)
        self.places = frozenset(self._stands)
        log.info("revoked", process_manager=self._manager.name, partitions=named(places))

    def run(self) -> None:
        """React until told to stop; the batch at hand is finished first. Fenced when another instance took the name."""
        assert self._consumer is not None
        try:
            patiently(self._transactions.open, self._stop)
            while not self._stop.is_set():
                seen, changes, metadata = 0, self._consumer.changes, self._consumer.metadata()
                batch = self._consumer.poll(self._batch, _WAIT_S)
                try:
                    seen = self._step(batch, metadata if self._consumer.changes == changes else None)
                except TRANSIENT as fault:
                    log.warning("batch given up, going on anew", process_manager=self._manager.name, fault=repr(fault))
                    patiently(self._start_over, self._stop)
                self._heartbeat.beat(seen, self._status)
            if self._unsaved and (metadata := self._consumer.metadata()) is not None:
                self._commit(_Work(), metadata)
        finally:
            self._transactions.discard()

    def _step(self, batch: Batch, metadata: Any | None) -> int:
        """React to a batch; returns how many records it looked at."""
        assert self._consumer is not None
        if metadata is None:
            # Taken under another membership than it would be committed under: read it again.
            self._consumer.seek({place: self._stands[place].offset for place in batch.records if place in self._stands})
            return 0
        work = _Work()
        for place in batch.records.keys() | batch.ends.keys():
            if place in self._stands and place not in self._stalled and place not in self._retrying:
                self._react(place, batch.records.get(place, ()), batch.ends.get(place), work)
        if work.records or (self._unsaved and self._heartbeat.due()):
            self._commit(work, metadata)
        if self._heartbeat.due():
            self._look()
        self._try_again()
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
            self._attempts.passed({place: following})
            self._unsaved.add(place)

    def _pass_over(self, place: Place) -> None:
        if place not in self._passing:
            self._passing.add(place)
            log.warning("passing over what is too old to be reacted to again", partition=f"{place[0]}/{place[1]}")

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
        assert self._consumer is not None
        offset: Any = record.offset()
        if self._attempts.parks(place, offset):
            log.error("parked", process_manager=self._manager.name, error=str(error))
            self._park(place, record, str(error), work)
            return True
        pause_s = self._attempts.failed(place, offset)
        if pause_s is None:
            log.error("the partition stands still", process_manager=self._manager.name, error=str(error))
            self._stalled[place] = str(error)
        else:
            tried = self._attempts.shown(place, offset)
            log.warning(
                "trying again later", process_manager=self._manager.name, pause_s=pause_s, error=str(error), tried=tried
            )
            self._retrying[place] = time.monotonic() + pause_s, f"{error} ({tried})"
        self._consumer.pause([place])
        return False

    def _park(self, place: Place, record: Record, error: str, work: _Work) -> None:
        letter, topic = letters.parked(self._manager.name, record, error), self._dead_letters[place[0]]
        self._parked.add(letter)
        work.add((topic, place[1]), letter.to_record(topic))

    def _try_again(self) -> None:
        """Read on where a record waited long enough to be tried again."""
        assert self._consumer is not None
        due = [place for place, (at, _) in self._retrying.items() if at <= time.monotonic()]
        for place in due:
            del self._retrying[place]
        self._consumer.seek({place: self._stands[place].offset for place in due})

    def _commit(self, work: _Work, metadata: Any) -> None:
        self._transactions.begin()
        for (_, partition), records in work.records.items():
            self._transactions.produce(partition, records)
        stands = {place: self._stands[place] for place in self._unsaved}
        notes = {place: self._resuming.note(stand) for place, stand in stands.items()}
        self._transactions.commit({place: stand.offset for place, stand in stands.items()}, metadata, notes)
        self._transactions.settle()
        self._unsaved.clear()

    def _look(self) -> None:
        """Notice what was retried or discarded meanwhile, and topics that were made anew."""
        for origin in self._parked.look():
            log.info("no longer parked", process_manager=self._manager.name, since=str(origin))
        if time.monotonic() - self._looked > _TOPICS_S:
            self._looked = time.monotonic()
            self._resuming.check()

    def _start_over(self) -> None:
        """Throw away the producer and all that is held, and take every partition up anew."""
        assert self._consumer is not None
        self._transactions.discard()
        self._transactions.open()
        self._consumer.retake(self._take)

    def _status(self) -> dict[str, Any]:
        return {
            "process_manager": self._manager.name,
            "partitions": {f"{t}/{p}": stand.offset for (t, p), stand in sorted(self._stands.items())},
            "stalled": {**{f"{t}/{p}": error for (t, p), error in sorted(self._stalled.items())}, **self._late()},
            "parked": self._parked.counts(),
            "retrying": {f"{t}/{p}": error for (t, p), (_, error) in sorted(self._retrying.items())},
        }
