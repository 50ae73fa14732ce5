"""The command handler: the one writer of a domain's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from confluent_kafka import Message as Record

from processors.consumer import BatchConsumer
from processors.decide import UNDECODABLE, Decided, decide
from processors.domain import Domain
from processors.handover import HandOver
from processors.heartbeat import Heartbeat
from processors.ledger import Ledger, LedgerLost
from processors.patience import TRANSIENT, patiently
from processors.records import Records
from processors.slices import OpenSlice
from processors.topics import Place
from processors.transaction import Delivery, Transactions
from producers.outcomes import Outcome, Outcomes
from projections.slices import Changes, Commit, SliceStore
from schemas.codec import Codec
from schemas.names import Names

BATCH = 2_000
_WAIT_S = 0.25

log = structlog.get_logger("handler")


@dataclass(slots=True)
class _Work:
    """One partition's part of a transaction."""

    decided: list[Decided]
    next_command: int
    events: list[Delivery] = field(default_factory=list)
    refusals: list[Delivery] = field(default_factory=list)


class Handler:
    """One member of a domain's handler group.

    A batch, in this order: (1) take the group's metadata, (2) consume commands, (3) decide them against the ledger,
    (4) in one Kafka transaction produce events and refusals and commit the consumed offsets under that metadata,
    (5) make the outcomes known, (6) write the ledger's slices. Whatever fails up to the commit: nothing has happened;
    the producer and all that is held in memory are thrown away, and the partitions are handed over anew. What fails
    after it is found again in the log.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        store: SliceStore,
        outcomes: Outcomes,
        transactions: Transactions,
        handover: HandOver,
        codec: Codec,
        names: Names,
        heartbeat: Heartbeat,
        stop: threading.Event,
        batch: int = BATCH,
    ) -> None:
        self._stop = stop
        self._domain = domain
        self._store = store
        self._outcomes = outcomes
        self._transactions = transactions
        self._handover = handover
        self._codec = codec
        self._commands = names.commands(domain.name)
        self._records = Records(domain.name, names, codec)
        self._heartbeat = heartbeat
        self._batch = batch
        self._ledgers: dict[int, Ledger] = {}
        self._next: dict[int, int] = {}
        self._consumer: BatchConsumer | None = None

    def attach(self, consumer: BatchConsumer) -> None:
        """Say which consumer brings the commands, before it subscribes."""
        self._consumer = consumer

    def starts(self, places: list[Place]) -> dict[Place, int]:
        """Take over partitions: fold all that any earlier handler of them wrote, then say where its commands end."""
        return patiently(lambda: self._take(places), self._stop)

    def _take(self, places: list[Place]) -> dict[Place, int]:
        assert self._consumer is not None
        taken = self._handover.take(self._consumer, [partition for _, partition in places])
        for partition, (ledger, offset) in taken.items():
            self._ledgers[partition] = ledger
            self._next[partition] = offset
        log.info("assigned", domain=self._domain.name, partitions=sorted(taken))
        return {(self._commands, partition): offset for partition, (_, offset) in taken.items()}

    def gone(self, places: list[Place]) -> None:
        """Forget partitions that were taken away."""
        for _, partition in places:
            self._ledgers.pop(partition, None)
            self._next.pop(partition, None)
        log.info("revoked", domain=self._domain.name, partitions=sorted(partition for _, partition in places))

    def run(self) -> None:
        """Decide until told to stop; the batch at hand is finished first. Fenced when another instance took the name."""
        assert self._consumer is not None
        patiently(self._transactions.open, self._stop)
        while not self._stop.is_set():
            handled = 0
            changes, metadata = self._consumer.changes, self._consumer.metadata()
            batch = self._consumer.poll(self._batch, _WAIT_S)
            try:
                if metadata is None or self._consumer.changes != changes:
                    # Taken under another membership than it would be committed under: read it again.
                    self._consumer.seek({place: self._next[place[1]] for place in batch.records})
                else:
                    handled = self._handle({p: records for (_, p), records in batch.records.items()}, metadata)
            except TRANSIENT as fault:
                log.warning("batch given up, handing over anew", domain=self._domain.name, fault=repr(fault))
                patiently(self._start_over, self._stop)
            self._heartbeat.beat(handled, self._status)

    def _handle(self, batch: Mapping[int, Sequence[Record]], metadata: Any) -> int:
        work: dict[int, _Work] = {}
        for partition, records in batch.items():
            if (decided := self._decide(partition, records)) is not None:
                work[partition] = decided
        if not work:
            return 0
        self._transactions.begin()
        for partition, done in work.items():
            self._produce(partition, done)
        self._transactions.commit({(self._commands, p): done.next_command for p, done in work.items()}, metadata)
        self._remember(work)
        return sum(len(done.decided) for done in work.values())

    def _decide(self, partition: int, records: Sequence[Record]) -> _Work | None:
        following = self._next[partition]
        records = [record for record in records if record.offset() >= following]  # type: ignore[operator]
        if not records:
            return None
        decided = decide(
            self._domain.decider,
            self._codec,
            self._ledgers[partition],
            records,
            self._handover.partitions,
            time.time_ns() // 1_000_000,
        )
        last = records[-1].offset()
        assert last is not None
        return _Work(decided=decided, next_command=last + 1)

    def _produce(self, partition: int, work: _Work) -> None:
        """Inside the transaction."""
        produce = self._transactions.produce
        for decided in work.decided:
            if decided.events:
                for record in self._records.events(decided):
                    produce(partition, record, work.events)
            elif decided.refusal is not None:
                if decided.refusal.code == UNDECODABLE:
                    produce(partition, self._records.parked(decided), [])
                if decided.asked.id:
                    produce(partition, self._records.refusal(decided), work.refusals)

    # -- after the transaction ---------------------------------------------------------------------------------------

    def _remember(self, work: Mapping[int, _Work]) -> None:
        commits: list[tuple[OpenSlice, Commit]] = []
        for partition, done in work.items():
            self._next[partition] = done.next_command
            outcomes: list[Outcome] = []
            commits += self._ledger_commits(self._ledgers[partition], done, outcomes)
            # Before the ledger: while that is behind the log, whatever goes wrong, a hand-over makes them known again.
            if outcomes:
                self._outcomes.write(self._commands, partition, outcomes)
        written = self._store.commit([commit for _, commit in commits]) if commits else []
        if not all(written):
            raise LedgerLost("another handler wrote the ledger")
        for slice_, commit in commits:
            slice_.committed(commit.after)
        for partition in work:
            self._ledgers[partition].trim()

    def _ledger_commits(self, ledger: Ledger, work: _Work, outcomes: list[Outcome]) -> list[tuple[OpenSlice, Commit]]:
        accepted, refused = Changes(), Changes()
        events, refusals = iter(work.events), iter(work.refusals)
        touched: dict[str, None] = {}
        for decided in work.decided:
            asked = decided.asked
            if decided.earlier is not None:
                outcome = decided.earlier
            elif decided.events:
                lie = [next(events) for _ in decided.events]
                offsets = [delivery.offset for delivery in lie]
                assert decided.version is not None
                outcome = ledger.accept(accepted, asked.id, lie[-1].timestamp, decided.version, offsets)
                touched[asked.key] = None
            elif asked.id and decided.refusal is not None:
                outcome = Outcome(
                    command_id=asked.id,
                    accepted=False,
                    version=decided.version,
                    code=decided.refusal.code,
                    message=decided.refusal.message,
                )
                ledger.refuse(refused, next(refusals).timestamp, outcome)
            else:
                continue
            if not asked.noreply:
                outcomes.append(outcome)
        ledger.snapshot(accepted, touched)
        commits = []
        for slice_, changes, deliveries in ((ledger.events, accepted, work.events), (ledger.refusals, refused, work.refusals)):
            if deliveries:
                last = deliveries[-1]
                after = slice_.delivered(last.offset, last.id)
                commits.append((slice_, Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes)))
        return commits

    # -- starting over -----------------------------------------------------------------------------------------------

    def _start_over(self) -> None:
        """Throw away the producer and all that is held, and take every partition over anew."""
        assert self._consumer is not None
        self._transactions.discard()
        self._transactions.open()
        places = sorted(self._consumer.owned)
        if places:
            self._consumer.seek(self._take(places))

    def _status(self) -> dict[str, Any]:
        return {
            "domain": self._domain.name,
            "partitions": {f"{self._commands}/{p}": offset for p, offset in sorted(self._next.items())},
        }
