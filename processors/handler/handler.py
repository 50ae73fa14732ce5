"""The command handler: the one writer of a domain's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from eventfold.kafka.batches import Batch
from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.transactions import Transactions
from eventfold.processors.dead_letters.letters import handler_name, parked
from eventfold.processors.handler.asked import Asked, CommandReader
from eventfold.processors.handler.decide import STATE_TOO_LARGE, Rules, decide
from eventfold.processors.handler.handover import HandOver
from eventfold.processors.handler.ledger import Ledger, LedgerLost
from eventfold.processors.handler.records import Records
from eventfold.processors.handler.work import Work, remembered
from eventfold.processors.open_slice import OpenSlice
from eventfold.processors.patience import patiently
from eventfold.processors.places import by_name
from eventfold.processors.watch import Watch
from eventfold.producers.domain import Domain
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import spoken
from eventfold.schemas.names import Names
from eventfold.schemas.record import Place, ProducerRecord, Record
from eventfold.store.commits import Commit
from eventfold.store.outcomes import Outcomes
from eventfold.store.slice_store import SliceStore

BATCH = 2_000
_WAIT_S = 0.25
_MOST_TOLD = 10

log = structlog.get_logger("handler")


class Handler:
    """One member of a domain's handler group.

    A batch, in this order: (1) take the group's metadata, (2) consume commands and decide them, while the transaction
    before is being committed, (3) once that is committed, make its outcomes known and write its ledgers' slices,
    (4) in a Kafka transaction produce events and refusals, and let it be committed with the consumed offsets under the
    batch's metadata. So a batch is decided on what may not come to pass; but then it is never produced: whatever fails up
    to the commit, the producer and all that is held in memory are thrown away, and the partitions are handed over anew.
    What fails after it is found again in the log.
    """

    batch = BATCH

    def __init__(
        self,
        domain: Domain,
        *,
        consumer: BatchConsumer,
        store: SliceStore,
        outcomes: Outcomes,
        transactions: Transactions,
        handover: HandOver,
        watch: Watch,
        codec: Codec,
        names: Names,
        stop: threading.Event,
    ) -> None:
        self._stop = stop
        self._domain = domain
        self._log = log.bind(domain=domain.name)
        self._consumer = consumer
        self._store = store
        self._outcomes = outcomes
        self._transactions = transactions
        self._handover = handover
        self._codec = codec
        self._commands = names.commands(domain.name)
        self._name = handler_name(domain.name)
        self._dead_letters = names.dead_letters(domain.name)
        self._records = Records(domain.name, names, codec)
        self._reader = CommandReader(codec, domain.name, names.internal(domain.name))
        self._rules = Rules(
            decider=domain.decider, codec=codec, partitions=handover.partitions, may=domain.may, internal=domain.internal
        )
        self._work: dict[int, Work] = {}
        self._fault: Exception | None = None
        self._watch = watch
        self._ledgers: dict[int, Ledger] = {}
        self._next: dict[Place, int] = {}
        self._too_large: dict[str, str] = {}

    @property
    def wait_s(self) -> float:
        # While a transaction is being committed there is no time to wait for commands: somebody waits for it.
        return 0 if self._transactions.committing else _WAIT_S

    @contextmanager
    def session(self) -> Iterator[None]:
        """Transactions for as long as it decides. Fenced when another instance took the name."""
        try:
            patiently(self._transactions.open, self._stop)
            yield
            self._settle()
        finally:
            self._transactions.discard()

    def assigned(self, places: list[Place]) -> dict[Place, int]:
        """Take over partitions: fold all that any earlier handler of them wrote, then say where its commands end."""
        self._finish()
        return self._take(places)

    def _take(self, places: list[Place]) -> dict[Place, int]:
        ledgers, following = self._handover.take(self._consumer, {partition for _, partition in places})
        self._ledgers |= ledgers
        self._next |= following
        self._log.info("assigned", partitions=sorted(ledgers))
        return following

    def revoked(self, places: list[Place]) -> None:
        """Forget partitions that were taken away, once what was decided of them is committed."""
        self._finish()
        for place in places:
            self._ledgers.pop(place[1], None)
            self._next.pop(place, None)
        self._too_large.clear()
        self._log.info("revoked", partitions=sorted({partition for _, partition in places}))

    def process(self, batch: Batch, metadata: Any | None) -> int:
        """Handle a batch; returns how many commands the transaction before it decided."""
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        if metadata is None:
            # Taken under another membership than it would be committed under: read it again.
            handled = self._settle()
            self._consumer.seek({place: self._next[place] for place in batch.records})
            return handled
        asked: dict[int, list[Asked]] = {}
        for place, records in batch.records.items():
            asked.setdefault(place[1], []).extend(self._read(place, records))
        # The outcome of a command that is sent again while it is being committed is not known before it is.
        handled = self._settle() if self._sent_again(asked) else 0
        work = {partition: self._decide(partition, commands) for partition, commands in asked.items() if commands}
        handled += self._settle()
        self._begin(work, metadata)
        return handled

    def _read(self, place: Place, records: Sequence[Record]) -> list[Asked]:
        read, following = self._reader.read, self._next[place]
        return [read(record) for record in records if record.offset() >= following]

    def _sent_again(self, asked: Mapping[int, list[Asked]]) -> bool:
        return any(
            not {decided.asked.scoped for decided in self._work[partition].decided}.isdisjoint(a.scoped for a in commands)
            for partition, commands in asked.items()
            if partition in self._work
        )

    def _begin(self, work: dict[int, Work], metadata: Any) -> None:
        """Produce, and let the transaction be committed while the next batch is read and decided."""
        if not work:
            return
        self._transactions.begin()
        for partition, done in work.items():
            self._produce(partition, done)
            self._next |= done.following
        offsets = {place: offset for done in work.values() for place, offset in done.following.items()}
        self._transactions.commit(offsets, metadata)
        self._work = work

    def _settle(self) -> int:
        """Wait for the transaction under way and remember what it decided; how many commands these were."""
        work, self._work = self._work, {}
        self._transactions.settle()
        self._remember(work)
        return sum(len(done.decided) for done in work.values())

    def _finish(self) -> None:
        """`_settle` before partitions come or go; whatever fails is raised after the poll in which they do."""
        try:
            self._settle()
        except Exception as fault:
            self._fault = fault
            self._transactions.discard()

    def _decide(self, partition: int, asked: Sequence[Asked]) -> Work:
        ledger = self._ledgers[partition]
        decided = decide(self._rules, ledger, asked, time.time_ns() // 1_000_000)
        following = {(a.record.topic(), partition): a.record.offset() + 1 for a in asked}
        return Work(decided=decided, snapshots=ledger.snapshots(), following=following)

    def _produce(self, partition: int, work: Work) -> None:
        """Inside the transaction."""
        events: list[ProducerRecord] = []
        refusals: list[ProducerRecord] = []
        for decided in work.decided:
            if decided.events:
                events += self._records.events(decided)
                if self._too_large:
                    self._too_large.pop(decided.asked.key, None)
            elif decided.refusal is not None:
                if decided.asked.message is None:
                    letter = parked(self._name, decided.asked.record, decided.asked.wrong)
                    self._transactions.produce(partition, [letter.to_record(self._dead_letters)])
                elif decided.refusal.code == STATE_TOO_LARGE:
                    self._note_too_large(decided.asked.key, decided.refusal.message)
                if decided.asked.id:
                    refusals.append(self._records.refusal(decided))
        if events:
            work.events, work.last_event = self._transactions.produce(partition, events), events[-1].id
        if refusals:
            work.refusals, work.last_refusal = self._transactions.produce(partition, refusals), refusals[-1].id

    def _note_too_large(self, key: str, message: str) -> None:
        """For status and doctor: the aggregates that were refused an event last, and none since."""
        if key not in self._too_large:
            self._log.error("a state is too large", key=key, why=message)
        self._too_large[key] = message
        if len(self._too_large) > _MOST_TOLD:
            del self._too_large[next(iter(self._too_large))]

    # -- after the transaction ---------------------------------------------------------------------------------------

    def _remember(self, work: Mapping[int, Work]) -> None:
        commits: list[tuple[OpenSlice, Commit]] = []
        for partition, done in work.items():
            written, outcomes = remembered(self._ledgers[partition], done)
            commits += written
            # Before the ledger: while that is behind the log, whatever goes wrong, a hand-over makes them known again.
            if outcomes:
                self._outcomes.write(self._commands, partition, outcomes)
        if commits and not all(self._store.commit([commit for _, commit in commits])):
            raise LedgerLost("another handler wrote the ledger")
        for slice_, commit in commits:
            slice_.committed(commit)
        for partition in work:
            self._ledgers[partition].trim()

    # -- at rest -----------------------------------------------------------------------------------------------------

    def look(self, metadata: Any | None) -> int:
        """Notice, before the next command does, that Redis lost a ledger; topics made anew, and partitions that were added."""
        handled = self._settle()
        slices = {
            (slice_.id.topic, slice_.id.partition): slice_
            for ledger in self._ledgers.values()
            for slice_ in (ledger.events, ledger.refusals)
        }
        if self._watch.due():
            self._handover.check(self._watch.topics(slices, self._handover.topics))
        if not slices:
            return handled
        if self._handover.lost():
            raise LedgerLost("Redis lost the ledgers")
        if changed := self._watch.changed(slices):
            raise LedgerLost(f"Redis lost the ledger of {', '.join(f'{topic}/{p}' for topic, p in sorted(changed))}")
        return handled

    # -- starting over -----------------------------------------------------------------------------------------------

    def give_up(self, fault: Exception) -> None:
        self._log.warning("batch given up, handing over anew", fault=spoken(fault))

    def start_over(self) -> None:
        """Throw away the producer and all that is held, and take every partition over anew."""
        self._work = {}
        self._transactions.discard()
        self._transactions.open()
        self._consumer.retake(self._take)

    def status(self) -> dict[str, Any]:
        partitions = by_name(self._next)
        return {"domain": self._domain.name, "partitions": partitions, "too_large": dict(self._too_large)}
