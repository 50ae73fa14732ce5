"""Reads committed records of the log as no daemon does: a scan of partitions to an end, single offsets, or what comes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.errors import EventfoldError, LogError, NotFoundError
from eventfold.schemas.record import Place

_BATCH = 5_000
_SILENT_S = 30
# Reading on over so many records is cheaper than to ask for a place of its own.
_NEAR = 1_000
_PASSES = (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT, KafkaError._TRANSPORT)


class RangeReader:
    """Opens a consumer a call, of no group, and closes it at the end.

    What is read is committed. EventfoldError when Kafka is silent for 30 s, LogError when the log lacks an offset.
    ahead_kb: how much may be fetched before it is asked for; None for as much as librdkafka likes.
    """

    def __init__(self, settings: KafkaSettings, group: str, ahead_kb: int | None = None) -> None:
        self._settings = settings
        self._group = group
        self._ahead: dict[str, Any] = {} if ahead_kb is None else {"queued.max.messages.kbytes": ahead_kb}

    def scan(self, spans: Mapping[Place, tuple[int, int]], what: str | None = None) -> Generator[Message, None, None]:
        """Every record of each partition from its first offset up to the end, which is not included.

        A partition's records come in their order. On a terminal, `what` and how far it is stand on stderr meanwhile.
        """
        left = {place: end for place, (start, end) in spans.items() if start < end}
        if not left:
            return
        with self._consumer() as consumer, _progress(what, sum(end - spans[p][0] for p, end in left.items())) as advance:
            consumer.assign([TopicPartition(*place, spans[place][0]) for place in left])
            for messages in self._batches(consumer):
                for message in messages:
                    place: Any = (message.topic(), message.partition())
                    end = left.get(place)
                    if end is None:
                        continue
                    offset: Any = message.offset()
                    if message.error() is None and offset < end:
                        yield message
                    if message.error() is not None or offset >= end - 1:
                        del left[place]
                        consumer.pause([TopicPartition(*place)])
                if not left:
                    return
                advance(len(messages))

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
            for place, offset in sorted(starts):
                consumer.assign([TopicPartition(*place, offset)])
                if next(self._batches(consumer))[0].error() is None:
                    found.add((place, offset))
        return found

    def follow(self, starts: Mapping[Place, int]) -> Iterator[Message]:
        """Every record of each partition from an offset on, as they come; without an end, however long Kafka is silent."""
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(*place, start) for place, start in starts.items()])
            for messages in self._batches(consumer, math.inf):
                yield from (message for message in messages if message.error() is None)

    def _run(self, consumer: Consumer, place: Place, run: Sequence[int]) -> Iterator[Message]:
        missing = set(run)
        for messages in self._batches(consumer):
            for message in messages:
                offset: Any = message.offset()
                if message.error() is None and offset in missing:
                    missing.remove(offset)
                    yield message
                elif missing and (message.error() is not None or offset > run[-1]):
                    raise LogError(f"{place[0]}/{place[1]}: the log has no record at offset {min(missing)}")
            if not missing:
                return

    def _batches(self, consumer: Consumer, silent_s: float = _SILENT_S) -> Iterator[list[Message]]:
        """What comes: records, and messages whose error is the end of their partition."""
        said, deadline = "", time.monotonic() + silent_s
        while True:
            first = consumer.poll(0.5)
            messages = [] if first is None else [first, *consumer.consume(_BATCH - 1, 0)]
            found = []
            for message in messages:
                error = message.error()
                if error is None or error.code() == KafkaError._PARTITION_EOF:
                    found.append(message)
                else:
                    said = _passing(message, error)
            if found:
                yield found
                deadline = time.monotonic() + silent_s
            elif time.monotonic() > deadline:
                raise EventfoldError(f"Kafka at {self._settings.bootstrap} has sent nothing for {silent_s} s{said}")

    @contextmanager
    def _consumer(self, **more: Any) -> Iterator[Consumer]:
        config = {
            "group.id": self._group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 10,
            **self._ahead,
            **more,
        }
        consumer = Consumer(self._settings.client(**config))
        try:
            yield consumer
        finally:
            consumer.close()


def _passing(message: Message, error: KafkaError) -> str:
    """What to say of an error, if it lasts; raise when it will not pass."""
    code = error.code()
    if code == KafkaError._AUTO_OFFSET_RESET:
        raise LogError(
            f"{message.topic()}/{message.partition()}: the log does not have the offset to read from ({error.str()}): it was "
            "cut short, or made anew"
        )
    if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_ID):
        raise NotFoundError(f"the topic {message.topic()!r} does not exist: make it with `eventfold topics create`")
    if code in _PASSES or error.retriable():
        return f": {error.str()}"
    raise EventfoldError(f"Kafka says: {error.str()}")


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
