"""A consumer that is closed while partitions are on their way to it."""

from __future__ import annotations

import time

import pytest

from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.topics import Place
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_who_is_closed_before_it_took_its_first_partitions_leaves_once_it_has_given_them_up(
    sandbox: Sandbox, protocol: str
) -> None:
    """Were it out of its group by then, librdkafka might never answer it again."""
    group, topic = sandbox.topic("closing"), sandbox.topic("flights.commands")

    def members() -> list[int]:
        """How many partitions each member of the group has."""
        described = sandbox.admin.describe_consumer_groups([group])[group].result(30)
        return [len(member.assignment.topic_partitions) for member in described.members]

    found: list[tuple[list[Place], list[int]]] = []

    def gone(places: list[Place]) -> None:
        time.sleep(0.5)
        found.append((sorted(places), members()))

    consumer = BatchConsumer(
        sandbox.installation.kafka, group, starts=lambda _: pytest.fail("too late to start"), gone=gone, protocol=protocol
    )
    consumer.subscribe([topic])
    eventually(lambda: members() == [2], "the group gave it both partitions")
    # Nobody but a poll, which is not to come, shows that it was told of them.
    time.sleep(1)
    consumer.close()
    assert found == [([(topic, 0), (topic, 1)], [2])]
    assert members() == []
