"""Taking over a partition of commands: nothing is decided before all that was written there is folded."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing

import structlog

from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters.notices import refuse_fewer
from eventfold.processors.handler.ledger import Ledger, LedgerLost, Told
from eventfold.processors.open_slice import OpenSlice, begun, opened
from eventfold.processors.sources import RESTORE, PartitionsAddedError, refuse_added
from eventfold.producers.domain import Domain
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import Transient
from eventfold.schemas.names import Names
from eventfold.schemas.record import Place, Record
from eventfold.store.builds import Generation
from eventfold.store.connection import Redis
from eventfold.store.generations import Generations
from eventfold.store.ledgers import PARTS
from eventfold.store.outcomes import KEPT_S, Outcomes
from eventfold.store.slice_store import SliceStore

_STILL_S = 60

log = structlog.get_logger("handler")


def ledger_name(domain: Domain) -> str:
    """Under which name the handler's ledgers are a generation like any projection's."""
    # The last number is that of the ledgers' own form: a new one has them folded anew.
    return f"{domain.name}.handler.v{domain.decider.version}.2"


class HandOver:
    """The hand-over of one domain's partitions.

    In this order: (1) the committed offsets of the commands, none of an open transaction; (2) then the high watermarks
    of events and refusals; (3) fold, read committed, until the position is at or past them. Whatever an earlier handler
    committed before (1) is then folded, and whatever it had open is either in the log by (3) or aborted.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        redis: Redis,
        store: SliceStore,
        outcomes: Outcomes,
        topics: Topics,
        names: Names,
        codec: Codec,
        generations: Generations,
        tail: RangeReader,
        stop: threading.Event,
    ) -> None:
        self._domain = domain
        self._redis = redis
        self._store = store
        self._outcomes = outcomes
        self._topics = topics
        self._codec = codec
        self._generations = generations
        self._tail = tail
        self._stop = stop
        self._commands = names.commands(domain.name)
        self._asking = (self._commands, names.internal(domain.name))
        self._events = names.events(domain.name)
        self._refusals = names.refusals(domain.name)
        self._dead_letters = names.dead_letters(domain.name)
        self._generation: Generation | None = None
        self._begun: dict[Place, Told] = {}
        self.topics = [*self._asking, self._events, self._refusals]
        self.partitions = self._checked_partitions()

    def take(self, commands: BatchConsumer, partitions: Collection[int]) -> tuple[dict[int, Ledger], dict[Place, int]]:
        """The ledger of each partition, complete; and the offset of the next command in each of its topics."""
        self.check({name: topic.partitions for name, topic in self._topics.describe(self.topics).items()})
        places = [(topic, partition) for partition in partitions for topic in self._asking]
        committed = commands.committed(places)
        earliest = self._topics.starts(places)
        following = {place: max(earliest[place], committed[place] or 0) for place in places}
        for c, p in places:
            if (expected := committed[c, p]) is not None and expected < earliest[c, p]:
                log.warning("commands expired undecided", topic=c, partition=p, from_=expected, to=earliest[c, p])
        sources = [(topic, p) for p in partitions for topic in (self._events, self._refusals)]
        ends = self._topics.ends(sources, committed=False)
        ledgers = self._ledgers(partitions)
        self._fold(ledgers, ends)
        return ledgers, following

    def lost(self) -> bool:
        """Whether Redis forgot the generation of the ledgers, and with it what a new one would not know."""
        live = self._generations.live(ledger_name(self._domain))
        return self._generation is not None and (live is None or live.id != self._generation.id)

    def check(self, now: Mapping[str, int]) -> None:
        """PartitionsAddedError when one of the topics has not as many partitions as when this handler began."""
        refuse_added("this handler began", dict.fromkeys(self.topics, self.partitions), now)

    def _checked_partitions(self) -> int:
        info = self._topics.describe([*self.topics, self._dead_letters])
        counts = {name: info[name].partitions for name in self.topics}
        if len(set(counts.values())) != 1:
            raise PartitionsAddedError(
                f"a domain's topics must have the same number of partitions: {counts}; where some were added, {RESTORE}"
            )
        refuse_fewer(info[self._dead_letters], info[self._commands])
        return counts[self._events]

    def _ledgers(self, partitions: Collection[int]) -> dict[int, Ledger]:
        # A generation of its own for each version of the decider, and a new one where Redis forgot it: never twice the same.
        counts = dict.fromkeys((self._events, self._refusals), self.partitions)
        version = self._domain.decider.version
        generation = self._generations.ensure(ledger_name(self._domain), version, counts, PARTS)
        refuse_added("this domain's commands were decided", generation.partitions, counts)
        if self._generation is not None and self._generation.id != generation.id:
            for slice_ in self._generation.slices():
                self._store.drop(slice_, PARTS)
        self._generation = generation
        slices = {(topic, p): generation.slice(topic, p) for p in partitions for topic in counts}
        expiring = frozenset({self._refusals})
        progress = begun(self._store, slices, PARTS, self._topics, expiring=expiring)
        found = opened(slices, progress, self._topics, expiring=expiring)
        return {
            p: Ledger(self._domain.decider, self._redis, found[self._events, p], found[self._refusals, p], self.partitions)
            for p in partitions
        }

    def _fold(self, ledgers: dict[int, Ledger], ends: dict[Place, int]) -> None:
        slices: dict[Place, OpenSlice] = {}
        for p, ledger in ledgers.items():
            slices[self._events, p] = ledger.events
            slices[self._refusals, p] = ledger.refusals
        spans = {place: (slice_.start, ends[place]) for place, slice_ in slices.items() if slice_.progress.offset < ends[place]}
        if not spans:
            return
        self._begun.clear()
        folded = 0
        with closing(self._tail.batches(spans, _STILL_S)) as batches:
            for batch in batches:
                if self._stop.is_set():
                    raise Transient("told to stop in the midst of a hand-over")
                for place, records in batch.records.items():
                    self._fold_batch(place, ledgers[place[1]], slices[place], records, ends[place])
                    folded += len(records)
        log.info("folded the tail of the log", domain=self._domain.name, records=folded)

    def _fold_batch(self, place: Place, ledger: Ledger, slice_: OpenSlice, records: Sequence[Record], end: int) -> None:
        since = (time.time() - KEPT_S) * 1000
        fold = ledger.fold_events if place[0] == self._events else ledger.fold_refusals
        commit, outcomes = fold(self._codec, records, since)
        # The events of the last command may go on in the next batch, which then has its whole outcome.
        begun = self._begun.pop(place, None)
        if begun is not None and not (outcomes and outcomes[0][0] == begun[0]):
            outcomes.insert(0, begun)
        if outcomes and commit.after.offset < end:
            self._begun[place] = outcomes.pop()
        # Before the ledger: as long as that is behind the log, the next hand-over tells the outcomes.
        if outcomes:
            self._outcomes.write(self._commands, place[1], outcomes)
        if commit.after == slice_.progress:
            return
        if not self._store.commit([commit])[0]:
            raise LedgerLost(f"another handler writes the ledger of {commit.slice.topic}/{commit.slice.partition}")
        slice_.committed(commit)
