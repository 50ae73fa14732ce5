"""What a consumer reports of a partition, twice a second, is told once, and stands in the status for as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs
from structlog.typing import EventDict

from eventfold.kafka.partition_errors import PartitionErrors
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.skips import Skips
from eventfold.schemas.errors import NoAnswer
from eventfold.schemas.position import Position

AT = Position("flights.events", 3, 7)
PLACE = AT[:2]
BROKEN = KafkaError(KafkaError._BAD_COMPRESSION, "Decompression failed")
PASSING = KafkaError(KafkaError.KAFKA_STORAGE_ERROR, "Disk error")


class Asked(Skips):
    """Skips that need no Kafka. asked: how often."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings())
        self.asked = 0
        self.found: int | None = None
        self.away = False

    def until(self, at: Position) -> int | None:
        self.asked += 1
        if self.away:
            raise NoAnswer("Kafka is away")
        return self.found


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def skips() -> Asked:
    return Asked()


@pytest.fixture
def errors(skips: Asked, clock: Clock) -> PartitionErrors:
    return PartitionErrors(skips, clock)


def repeat(errors: PartitionErrors, clock: Clock, error: KafkaError, times: int, at: Position = AT) -> int | None:
    """As the client does, twice a second; the first offset to go on from."""
    for _ in range(times):
        until = errors.met(at, error)
        if until is not None:
            return until
        clock.now += 0.5
    return None


def test_what_nobody_can_read_is_told_once_until_it_is_passed(
    errors: PartitionErrors, clock: Clock, skips: Asked, logged: list[EventDict]
) -> None:
    assert repeat(errors, clock, BROKEN, 60) is None
    assert [(log["log_level"], log["event"]) for log in logged] == [("error", "the partition stands still")]
    # Not at each report: a skip is looked for in a topic.
    assert 10 <= skips.asked <= 15
    says = errors.stalled()[PLACE]
    assert "from flights.events/3@7 on: Decompression failed" in says
    assert "`eventfold dead-letters skip flights.events/3@7`" in says
    assert errors.standing() == {PLACE: AT} and errors.passing() == ""
    # What comes before it is read again after a seek.
    errors.passed(PLACE, 7)
    assert errors
    errors.passed(PLACE, 8)
    assert not errors and errors.stalled() == {}
    repeat(errors, clock, BROKEN, 3, AT._replace(offset=9))
    assert len(logged) == 2


def test_a_skip_lets_a_reader_go_on_within_seconds(
    errors: PartitionErrors, clock: Clock, skips: Asked, logged: list[EventDict]
) -> None:
    repeat(errors, clock, BROKEN, 3)
    skips.found = 12
    before = clock.now
    assert repeat(errors, clock, BROKEN, 10) == 12
    assert clock.now - before < 3 and not errors
    assert (logged[-1]["log_level"], logged[-1]["until"]) == ("warning", 12)


def test_skips_that_cannot_be_read_are_told_and_end_nothing(errors: PartitionErrors, clock: Clock, skips: Asked) -> None:
    skips.away = True
    assert repeat(errors, clock, BROKEN, 10) is None
    assert "(whether to pass over them is not known: Kafka is away)" in errors.stalled()[PLACE]
    skips.away = False
    assert repeat(errors, clock, BROKEN, 10) is None
    assert "is not known" not in errors.stalled()[PLACE]


def test_any_other_error_of_a_partition_is_told_once_and_over_when_it_is_not_repeated(
    errors: PartitionErrors, clock: Clock, skips: Asked, logged: list[EventDict]
) -> None:
    repeat(errors, clock, PASSING, 60)
    assert [(log["log_level"], log["partition"]) for log in logged] == [("warning", "flights.events/3")]
    assert errors.passing() == "flights.events/3: Disk error"
    assert (errors.stalled(), skips.asked) == ({}, 0)
    clock.now += 11
    assert errors.passing() == ""
    repeat(errors, clock, PASSING, 3)
    assert len(logged) == 2
    errors.gone([PLACE])
    assert not errors
