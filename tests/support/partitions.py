"""Partitions that somebody adds to topics."""

from __future__ import annotations

from confluent_kafka.admin import NewPartitions

from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox


def add(sandbox: Sandbox, to: int, *names: str) -> None:
    """Give topics so many partitions, and return once all of them can be asked for."""
    topics, grown = Topics(KafkaSettings.from_environ(sandbox.environ)), [sandbox.topic(name) for name in names]
    for future in sandbox.admin.create_partitions([NewPartitions(topic, to) for topic in grown]).values():
        future.result(30)
    for client in ("producer", "client"):
        # One that sends goes on for minutes by the number that it knows.
        sandbox.__dict__.pop(client, None)
    eventually(lambda: {info.partitions for info in topics.describe(grown).values()} == {to}, "the partitions are there")
