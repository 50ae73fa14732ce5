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
from processors.topics import Place
from processors.transaction import Delivery, Transactions
from producers.outcomes import Outcome, Outcomes
from projections.slices import Changes, Commit, SliceStore
from schemas.codec import Codec
from schemas.envelope import FIXED, Headers
from schemas.errors import LogError
from schemas.ids import derived_id
from schemas.names import Names
from schemas.position import Position
from schemas.times import iso

BATCH = 2_000
_WAIT_S = 0.25
_REFUSED = "logfold.CommandRefused"

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
    (5) write the ledger's slices, (6) make the outcomes known. Whatever fails up to the commit: nothing has happened;
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
        self._events = names.events(domain.name)
        self._refusals = names.refusals(domain.name)
        self._dead_letters = names.dead_letters(domain.name)
        self._source = f"/logfold/{domain.name}/handler".encode()
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

    # -- inside the transaction --------------------------------------------------------------------------------------

    def _produce(self, partition: int, work: _Work) -> None:
        for decided in work.decided:
            if decided.events:
                first = decided.version - len(decided.events) + 1  # type: ignore[operator]
                for index, event in enumerate(decided.events):
                    headers = self._event_headers(decided, event.type, index, first + index)
                    self._transactions.produce(self._events, partition, decided.asked.key, event.value, headers, work.events)
            elif decided.refusal is not None:
                if decided.refusal.code == UNDECODABLE:
                    self._park(partition, decided)
                if decided.asked.id:
                    self._produce_refusal(partition, work, decided)

    def _event_headers(self, decided: Decided, type_: str, index: int, version: int) -> Headers:
        asked = decided.asked
        id_ = asked.id
        headers: Headers = [
            *FIXED,
            ("ce_id", derived_id(id_, str(index)).encode()),
            ("ce_type", type_.encode()),
            ("ce_source", self._source),
            ("ce_time", asked.headers["ce_time"]),
            ("ce_subject", asked.headers["ce_subject"]),
            ("ce_sequence", b"%d" % version),
            ("ce_correlationid", asked.headers.get("ce_correlationid") or id_.encode()),
            ("ce_causationid", id_.encode()),
        ]
        if "traceparent" in asked.headers:
            headers.append(("traceparent", asked.headers["traceparent"]))
        return headers

    def _produce_refusal(self, partition: int, work: _Work, decided: Decided) -> None:
        asked, refusal = decided.asked, decided.refusal
        assert refusal is not None
        headers: Headers = [
            *FIXED,
            ("ce_id", derived_id(asked.id, "refused").encode()),
            ("ce_type", _REFUSED.encode()),
            ("ce_source", self._source),
            ("ce_time", iso(time.time_ns() // 1_000_000).encode()),
            ("ce_subject", asked.key.encode()),
            ("ce_correlationid", asked.headers.get("ce_correlationid") or asked.id.encode()),
            ("ce_causationid", asked.id.encode()),
        ]
        value = self._codec.encode(
            _REFUSED,
            {
                "command_id": asked.id,
                "command_type": asked.message.type if asked.message else "",
                "code": refusal.code,
                "message": refusal.message,
                "version": decided.version,
            },
        )
        self._transactions.produce(self._refusals, partition, asked.key, value, headers, work.refusals)

    def _park(self, partition: int, decided: Decided) -> None:
        """A command that cannot be read is kept as it came, with where it lay and what is wrong with it."""
        record = decided.asked.record
        headers: Headers = [(name, value) for name, value in decided.asked.headers.items()]
        headers += [
            ("logfold-origin", f"{record.topic()}/{record.partition()}@{record.offset()}".encode()),
            ("logfold-error", decided.asked.wrong.encode()),
        ]
        self._transactions.produce(self._dead_letters, partition, record.key(), record.value(), headers, [])

    # -- after the transaction ---------------------------------------------------------------------------------------

    def _remember(self, work: Mapping[int, _Work]) -> None:
        commits: list[Commit] = []
        outcomes: dict[int, list[Outcome]] = {}
        for partition, done in work.items():
            self._next[partition] = done.next_command
            ledger = self._ledgers[partition]
            commits += self._ledger_commits(ledger, done, outcomes.setdefault(partition, []))
        written = self._store.commit(commits)
        if not all(written):
            raise LedgerLost("another handler wrote the ledger")
        slices = {slice_.id: slice_ for p in work for slice_ in (self._ledgers[p].events, self._ledgers[p].refusals)}
        for commit in commits:
            slices[commit.slice].committed(commit.after)
        for partition, known in outcomes.items():
            if known:
                self._outcomes.write(self._commands, partition, known)
            self._ledgers[partition].trim()

    def _ledger_commits(self, ledger: Ledger, work: _Work, outcomes: list[Outcome]) -> list[Commit]:
        accepted, refused = Changes(), Changes()
        events, refusals = iter(work.events), iter(work.refusals)
        touched: dict[str, None] = {}
        for decided in work.decided:
            asked = decided.asked
            if decided.earlier is not None:
                outcome = decided.earlier
            elif decided.events:
                outcome = self._accepted(ledger, accepted, decided, [next(events) for _ in decided.events])
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
                commits.append(Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes))
        return commits

    def _accepted(self, ledger: Ledger, changes: Changes, decided: Decided, deliveries: Sequence[Delivery]) -> Outcome:
        first, count = deliveries[0].offset, len(deliveries)
        if deliveries[-1].offset - first != count - 1:
            raise LogError(f"{self._events}: another writer's record lies between the events of command {decided.asked.id}")
        assert decided.version is not None
        ledger.accept(changes, decided.asked.id, deliveries[0].timestamp, decided.version, first, count)
        topic, partition = ledger.events.id.topic, ledger.events.id.partition
        positions = tuple(Position(topic, partition, first + i) for i in range(count))
        return Outcome(command_id=decided.asked.id, accepted=True, version=decided.version, positions=positions)

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
