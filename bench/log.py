"""The log under measurement: its topics, the import that fills it, and what lies in it."""

from __future__ import annotations

import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from eventfold.installation import Installation
from eventfold.kafka.domain_topics import domain_topics
from eventfold.kafka.topics import Topics

PARTITIONS = 6
DOMAIN = "flights"
_DAY_MS = 24 * 3600 * 1000
_YEAR = {
    "flight_date": 365,
    **dict.fromkeys(("scheduled_departure", "scheduled_arrival", "departed_at", "arrived_at"), 365 * _DAY_MS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A topic of events as a read-committed reader sees it.

    ends: by partition the offset after the last event. gaps: the offsets before it that hold no event (transaction
    markers), in order.
    """

    topic: str
    ends: Sequence[int]
    gaps: Sequence[Sequence[int]]

    @property
    def events(self) -> int:
        return self.folded(self.ends)

    def folded(self, offsets: Sequence[int]) -> int:
        """How many events lie before these offsets."""
        stands = (min(offset, end) for offset, end in zip(offsets, self.ends, strict=True))
        return sum(offset - bisect_left(gaps, offset) for offset, gaps in zip(stands, self.gaps, strict=True))

    def to_json(self) -> dict[str, Any]:
        return {"topic": self.topic, "ends": self.ends, "gaps": self.gaps}


def with_prefix(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The environment of a world of its own within the stack."""
    return {**environ, "EVENTFOLD_TOPIC_PREFIX": prefix}


def create_topics(installation: Installation) -> None:
    wanted = domain_topics(installation.names, DOMAIN, decides=True)
    Topics(installation.kafka).create(wanted, PARTITIONS, 1)


def import_months(environ: Mapping[str, str], months: str) -> float:
    """Fill the log by the real importer and the real handler, each a process; the seconds until all was decided."""
    with daemon(environ, "run", "handler", DOMAIN):
        started = time.monotonic()
        importer = [sys.executable, "-m", "eventfold", "flights", "import", "--months", months]
        subprocess.run(importer, env=dict(environ), check=True, stdout=sys.stderr)
        return time.monotonic() - started


@contextmanager
def daemon(environ: Mapping[str, str], *args: str) -> Iterator[None]:
    """A daemon of eventfold as a process, stopped by SIGTERM."""
    command = [sys.executable, "-m", "eventfold", *args]
    process = subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def repeated(source: Installation, target: Installation, times: int) -> None:
    """Fill the target's log with the source's so many times over, each time for the same flights a year later."""
    create_topics(target)
    codec, topic = source.codec, target.names.events(DOMAIN)
    producer = Producer(target.kafka.producer(**{"queue.buffering.max.messages": 1_000_000, "compression.type": "lz4"}))
    for later in range(times):
        consumer = _reader(source)
        reading = set(range(PARTITIONS))
        consumer.assign([TopicPartition(source.names.events(DOMAIN), partition, 0) for partition in reading])
        while reading:
            for message in consumer.consume(5_000, 1):
                if message.error() is not None:
                    reading.discard(message.partition())
                    continue
                type_, data = codec.decode(message.value())
                moved = {name: value + later * _YEAR[name] if name in _YEAR else value for name, value in data.items()}
                key: Any = message.key()
                key = key.replace(b":2013-", b":%d-" % (2013 + later))
                # As fast as it goes; where the queue is full, wait for what is on its way.
                while True:
                    try:
                        headers: Any = message.headers()
                        producer.produce(topic, codec.encode(type_, moved), key, headers=headers)
                        break
                    except BufferError:
                        producer.poll(0.1)
        consumer.close()
        assert producer.flush(120) == 0


def scan(installation: Installation, topic: str) -> Log:
    """Read a topic from offset zero to its end, read committed."""
    consumer = _reader(installation)
    offsets: list[list[int]] = [[] for _ in range(PARTITIONS)]
    reading = set(range(PARTITIONS))
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in reading])
        while reading:
            for message in consumer.consume(5_000, 1):
                partition, offset = message.partition(), message.offset()
                assert partition is not None and offset is not None
                if message.error() is None:
                    offsets[partition].append(offset)
                else:
                    reading.discard(partition)
    finally:
        consumer.close()
    ends = [found[-1] + 1 if found else 0 for found in offsets]
    gaps = [sorted(set(range(end)).difference(found)) for found, end in zip(offsets, ends, strict=True)]
    return Log(topic=topic, ends=ends, gaps=gaps)


def _reader(installation: Installation) -> Consumer:
    return Consumer(
        installation.kafka.client(
            **{
                "group.id": "bench.scan",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
    )
