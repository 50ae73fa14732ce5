"""Reads committed records from where it is told, of no group: partitions up to an end, single offsets, or what comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eventfold.kafka.batches import Batch, Trouble, by_partition, check_passes, polled
from eventfold.kafka.clients import made
from eventfold.kafka.errors import SEE_DOCTOR, Kind, kind_of, no_topic, said, told
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.skips import Skips, UnreadableError, is_unreadable, nobody_can_read, where
from eventfold.schemas.errors import EventfoldError, LogError, NoAnswer, NotFoundError
from eventfold.schemas.record import Place

log = structlog.get_logger("reader")
_BATCH = 5_000
_WAIT_S = 0.5
_SILENT_S = 30
# Reading on over so many records is cheaper than to ask for a place of its own.
_NEAR = 1_000
_FETCHED = 1_048_576
Span = tuple[int, int]
"""From an offset up to an end, which is not included."""


class SilentError(NoAnswer):
    """Kafka sends nothing; whether it is away, or slow, is not known."""


class RangeReader:
    """Opens a consumer a call, of no group, and closes it at the end.

    What is read is committed. SilentError when Kafka sends nothing for 30 s, LogError when the log lacks an offset; `batches`
    has its own limits. UnreadableError at a record that nobody can read, unless a person lets readers pass over it
    (`eventfold.kafka.skips`). ahead_kb: how much may be fetched before it is asked for; None for as much as librdkafka likes.
    check: called between two batches, at least twice a second, by all but `batches` and `follow`; what it raises ends the
    reading.
    """

    def __init__(
        self, settings: KafkaSettings, group: str, ahead_kb: int | None = None, check: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings
        self._group = group
        self._skips = Skips(settings)
        self._check = check
        self._ahead: dict[str, Any] = {}
        if ahead_kb is not None:
            # What is fetched is compressed, some of it a hundredfold: less is asked for at once than may wait here.
            fetched = min(_FETCHED, ahead_kb * 1024 // 4)
            self._ahead = {"queued.max.messages.kbytes": ahead_kb, "max.partition.fetch.bytes": fetched}

    def batches(self, spans: Mapping[Place, Span], still_s: float) -> Generator[Batch, None, None]:
        """Every record of each partition from its first offset until its end is reached, in batches, as daemons read.

        An end is reached by the last record before it, or by the transaction markers behind that; the batch that reaches it
        may hold records beyond it. A batch is empty when nothing came for half a second, so that the caller can stop. Errors
        that may pass are logged. SilentError when no record comes for `still_s` seconds before the ends are reached.
        """
        left = _ends(spans)
        if not left:
            return
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(*place, spans[place][0]) for place in left])
            moved = time.monotonic()
            for batch in _until(consumer, left, self._trouble(consumer, partial(_go_on, self._group))):
                yield batch
                if batch.records:
                    moved = time.monotonic()
                elif left and time.monotonic() - moved > still_s:
                    raise SilentError(f"the log does not come to its end at {sorted(left)}: is a transaction stuck?")

    def scan(self, spans: Mapping[Place, Span], what: str | None = None) -> Generator[Message, None, None]:
        """Every record of each partition from its first offset up to the end, which is not included.

        A partition's records come in their order. On a terminal, `what` and how far it is stand on stderr meanwhile.
        """
        ends = _ends(spans)
        if not ends:
            return
        total = sum(end - spans[place][0] for place, end in ends.items())
        with self._consumer() as consumer, _progress(what, total) as advance:
            consumer.assign([TopicPartition(*place, spans[place][0]) for place in ends])
            passing = _Passing()
            for batch in self._heard(_until(consumer, dict(ends), self._trouble(consumer, passing)), passing):
                for place, records in batch.records.items():
                    yield from _before(ends[place], records)
                advance(len(batch))

    def at(self, place: Place, offsets: Sequence[int]) -> Iterator[Message]:
        """The records at these offsets of one partition, in their order; LogError when there is none at one of them."""
        if not offsets:
            return
        # What is fetched beyond the offset that was asked for is mostly thrown away.
        with self._consumer(**{"max.partition.fetch.bytes": 65_536, "queued.min.messages": 1}) as consumer:
            for run in _runs(sorted(offsets)):
                consumer.assign([TopicPartition(*place, run[0])])
                yield from self._run(consumer, place, run)

    def holding(self, starts: Iterable[tuple[Place, int]]) -> set[tuple[Place, int]]:
        """Those of the (partition, offset) at or behind which there is a committed record."""
        found = set()
        with self._consumer() as consumer:
            for place, offset in sorted(set(starts)):
                consumer.assign([TopicPartition(*place, offset)])
                passing = _Passing()
                if next(self._heard(_endless(consumer, {place}, self._trouble(consumer, passing)), passing)).records:
                    found.add((place, offset))
        return found

    def follow(self, starts: Mapping[Place, int]) -> Iterator[Message]:
        """Every record of each partition from an offset on, as they come; without an end, however long Kafka is silent."""
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(*place, start) for place, start in starts.items()])
            for batch in _endless(consumer, starts, self._trouble(consumer, _Passing())):
                for records in batch.records.values():
                    yield from records

    def _run(self, consumer: Consumer, place: Place, run: Sequence[int]) -> Iterator[Message]:
        missing, passing = set(run), _Passing()
        for batch in self._heard(_endless(consumer, {place}, self._trouble(consumer, passing)), passing):
            records = batch.records.get(place, [])
            for message in records:
                if (offset := _offset(message)) in missing:
                    missing.remove(offset)
                    yield message
            if not missing:
                return
            if place in batch.ends or _offset(records[-1]) > run[-1]:
                raise LogError(
                    f"{place[0]}/{place[1]}: the log has no record at offset {min(missing)}: it was cut short, or made anew; "
                    f"{SEE_DOCTOR}"
                )

    def _heard(self, batches: Iterable[Batch], passing: _Passing) -> Iterator[Batch]:
        """Those that brought anything, if only the end of a partition; SilentError when none does for 30 s."""
        deadline = time.monotonic() + _SILENT_S
        for batch in batches:
            if self._check is not None:
                self._check()
            if batch.records or batch.ends:
                yield batch
                deadline = time.monotonic() + _SILENT_S
            elif time.monotonic() > deadline:
                raise SilentError(f"Kafka at {self._settings.bootstrap} has sent nothing for {_SILENT_S} s{passing.said}")

    def _trouble(self, consumer: Consumer, other: Trouble) -> Trouble:
        """What is done about errors: past what nobody can read where that was skipped, `other` about everything else."""

        def met(message: Message, error: KafkaError) -> None:
            if not is_unreadable(error):
                other(message, error)
                return
            at = where(message)
            until = self._skips.until(at)
            if until is None:
                raise UnreadableError(nobody_can_read(at, error))
            log.warning("passing over what nobody can read", since=str(at), until=until, error=said(error))
            consumer.seek(TopicPartition(at.topic, at.partition, until))

        return met

    @contextmanager
    def _consumer(self, **more: Any) -> Iterator[Consumer]:
        consumer = made(Consumer, self._settings, self._settings.consumer(self._group, **self._ahead | more))
        try:
            yield consumer
        finally:
            consumer.close()


def _go_on(group: str, message: Message, error: KafkaError) -> None:
    """Log an error that may pass, as a daemon does."""
    check_passes(group, message, error)
    log.warning("kafka says", group=group, error=said(error))


class _Passing:
    """Raises any error but one that passes, which it remembers for the sentence that says why nothing came."""

    def __init__(self) -> None:
        self.said = ""

    def __call__(self, message: Message, error: KafkaError) -> None:
        kind = kind_of(error)
        if kind is Kind.OFFSET_GONE:
            raise LogError(
                f"{message.topic()}/{message.partition()}: the log does not have the offset to read from ({said(error)}): it "
                f"was cut short, or made anew; {SEE_DOCTOR}"
            )
        if kind in (Kind.TOPIC_MISSING, Kind.TOPIC_UNKNOWN):
            raise NotFoundError(no_topic(message.topic()))
        if kind is not Kind.PASSES:
            raise EventfoldError(f"Kafka says: {told(error)}")
        self.said = f": {said(error)}"


def _endless(consumer: Consumer, places: Collection[Place], trouble: Trouble) -> Iterator[Batch]:
    """Batches of these partitions; an empty one whenever nothing comes for half a second."""
    while True:
        yield by_partition(polled(consumer, _BATCH, _WAIT_S), places, trouble)


def _until(consumer: Consumer, left: dict[Place, int], trouble: Trouble) -> Iterator[Batch]:
    """Batches until every partition has reached its end in `left`; one that has is taken out of it, and paused."""
    while left:
        batch = by_partition(polled(consumer, _BATCH, _WAIT_S), left, trouble)
        reached = {place for place, records in batch.records.items() if _offset(records[-1]) + 1 >= left[place]}
        reached |= {place for place, end in batch.ends.items() if end >= left[place]}
        for place in reached:
            del left[place]
        if reached:
            consumer.pause([TopicPartition(*place) for place in reached])
        yield batch


def _ends(spans: Mapping[Place, Span]) -> dict[Place, int]:
    """Where each span ends that is not empty."""
    return {place: end for place, (start, end) in spans.items() if start < end}


def _before(end: int, records: Sequence[Message]) -> Sequence[Message]:
    if _offset(records[-1]) < end:
        return records
    return [record for record in records if _offset(record) < end]


def _offset(message: Message) -> int:
    offset: Any = message.offset()
    return int(offset)


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    """The offsets, cut where the next one lies far off."""
    run: list[int] = list(offsets[:1])
    for before, offset in pairwise(offsets):
        if offset - before > _NEAR:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run


@contextmanager
def _progress(what: str | None, total: int) -> Iterator[Callable[[int], None]]:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=what is None or not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what or "", total=total)
        yield lambda count: progress.advance(task, count)
