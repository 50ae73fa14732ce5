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

from confluent_kafka import Consumer, TopicPartition

from logfold import Installation
from processors.topics import Topics, domain_topics

PARTITIONS = 6
DOMAIN = "flights"


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
    return {**environ, "LOGFOLD_TOPIC_PREFIX": prefix}


def create_topics(installation: Installation) -> None:
    wanted = domain_topics(installation.names, DOMAIN, decides=True)
    Topics(installation.kafka).create(wanted, PARTITIONS, 1)


def import_months(environ: Mapping[str, str], months: str) -> float:
    """Fill the log by the real importer and the real handler, each a process; the seconds until all was decided."""
    with daemon(environ, "run", "handler", DOMAIN):
        started = time.monotonic()
        importer = [sys.executable, "-m", "logfold", "flights", "import", "--months", months]
        subprocess.run(importer, env=dict(environ), check=True, stdout=sys.stderr)
        return time.monotonic() - started


@contextmanager
def daemon(environ: Mapping[str, str], *args: str) -> Iterator[None]:
    """A daemon of logfold as a process, stopped by SIGTERM."""
    command = [sys.executable, "-m", "logfold", *args]
    process = subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def scan(installation: Installation, topic: str) -> Log:
    """Read a topic from offset zero to its end, read committed."""
    settings = installation.kafka.client(
        **{
            "group.id": "bench.scan",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer = Consumer(settings)
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
