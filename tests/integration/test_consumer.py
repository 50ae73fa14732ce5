"""A consumer that is closed while partitions are on their way to it, and one that its group will never take."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from eventfold.kafka import consumer as consumers
from eventfold.kafka.consumer import BatchConsumer
from eventfold.kafka.topics import Place
from eventfold.schemas.errors import EventfoldError
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_who_is_closed_before_it_took_its_first_partitions_leaves_once_it_has_given_them_up(
    sandbox: Sandbox, protocol: str
) -> None:
    """Were it out of its group by then, librdkafka might never answer it again."""
    group, topic = sandbox.topic("closing"), sandbox.topic("flights.commands")

    found: list[tuple[list[Place], list[int]]] = []

    def gone(places: list[Place]) -> None:
        time.sleep(0.5)
        found.append((sorted(places), [*sandbox.members("closing").values()]))

    consumer = BatchConsumer(
        sandbox.installation.kafka, group, starts=lambda _: pytest.fail("too late to start"), gone=gone, protocol=protocol
    )
    consumer.subscribe([topic])
    eventually(lambda: [*sandbox.members("closing").values()] == [2], "the group gave it both partitions")
    # Nobody but a poll, which is not to come, shows that it was told of them.
    time.sleep(1)
    consumer.close()
    assert found == [([(topic, 0), (topic, 1)], [2])]
    assert not sandbox.members("closing")


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_who_did_not_poll_for_longer_than_the_group_waits_joins_again(
    sandbox: Sandbox, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a daemon that waited for its Redis for half an hour."""
    monkeypatch.setattr(consumers, "_LONGEST_HAND_OVER_MS", 6_500)
    came: list[list[Place]] = []

    def starts(places: list[Place]) -> dict[Place, int]:
        came.append(sorted(places))
        return dict.fromkeys(places, 0)

    kafka, group, topic = sandbox.installation.kafka, sandbox.topic("pausing"), sandbox.topic("flights.commands")
    with closing(BatchConsumer(kafka, group, starts=starts, gone=lambda _: None, protocol=protocol)) as consumer:

        def owns() -> bool:
            consumer.poll(1, 0.1)
            return len(consumer.owned) == 2

        consumer.subscribe([topic])
        eventually(owns, "it has its partitions")
        changes = consumer.changes
        time.sleep(8)
        eventually(lambda: owns() and consumer.changes > changes, "it has them anew", 60)
    assert came == [[(topic, 0), (topic, 1)]] * 2


def test_a_consumer_whose_static_name_another_one_has_says_so(sandbox: Sandbox) -> None:
    """librdkafka gives it up, and it would never read a record."""
    kafka = sandbox.installation.kafka
    named = replace(kafka, properties={**kafka.properties, "group.instance.id": "same"})

    def joining() -> BatchConsumer:
        consumer = BatchConsumer(named, sandbox.topic("named"), starts=lambda at: dict.fromkeys(at, 0), gone=lambda _: None)
        consumer.subscribe([sandbox.topic("flights.commands")])
        return consumer

    def polled(consumer: BatchConsumer) -> frozenset[Place]:
        consumer.poll(1, 0.1)
        return consumer.owned

    with closing(joining()) as first:
        eventually(lambda: polled(first), "it has its partitions")
        with closing(joining()) as second, pytest.raises(EventfoldError, match="still used by another member"):
            eventually(lambda: polled(second), "the second consumer has a partition")
        assert polled(first)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_closed_member_has_left_its_group(sandbox: Sandbox, protocol: str) -> None:
    """Closed while partitions were being given up, one of ten stayed in its classic group until its session timed out."""
    topic = sandbox.topic("flights.events")

    def closed(number: int) -> str:
        group = sandbox.topic(f"closed-{number}")
        consumer = BatchConsumer(
            sandbox.installation.kafka,
            group,
            starts=lambda places: dict.fromkeys(places, 0),
            gone=lambda _: None,
            protocol=protocol,
        )
        consumer.subscribe([topic])
        eventually(lambda: consumer.poll(1, 0.02) or consumer.owned, "it has partitions", pause_s=0)
        consumer.poll(1, 0.1)
        consumer.close()
        return group

    # At once, since the fault needs threads that get no turn for a moment.
    with ThreadPoolExecutor(8) as pool:
        groups = [*pool.map(closed, range(100))]
    described = sandbox.admin.describe_consumer_groups(groups)
    assert [group for group, found in described.items() if found.result(30).members] == []
