"""A query that finds nothing says whether the read model is behind the log, and that what is there costs no look at Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from eventfold.kafka.log_ends import LogEnds
from eventfold.kafka.settings import KafkaSettings
from eventfold.projections.missing import NoAnswerError
from eventfold.schemas.errors import Transient
from tests.support import flights, log
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.serving import serve

HERE, ELSEWHERE = flights.numbers_on(0, 2, 3), flights.numbers_on(1, 2, 1)


@pytest.fixture(scope="module")
def behind(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """One flight in partition 0 folded, two more behind it not; nothing in partition 1."""
    with open_sandbox(partitions=2) as sandbox:
        projector = sandbox.projector("flights")
        schedule(sandbox, HERE[0])
        sandbox.caught_up("flights")
        assert projector.stop() == 0
        for number in HERE[1:]:
            schedule(sandbox, number)
        yield sandbox


def schedule(sandbox: Sandbox, number: int) -> None:
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))


def test_the_command_line_says_so(behind: Sandbox) -> None:
    message = behind.fails(1, "query", "flights", flights.flight_id(HERE[1]))
    where = behind.topic("flights.events/0")
    assert f"flights has no '{flights.flight_id(HERE[1])}'; but it is behind the log: {where}" in message
    assert "is folded up to offset 1 of 3" in message
    assert "eventfold status" in message


def test_a_partition_that_it_cannot_lie_in_does_not_count(behind: Sandbox) -> None:
    message = behind.fails(1, "query", "flights", flights.flight_id(ELSEWHERE[0]))
    assert "behind" not in message


def test_the_client_says_so(behind: Sandbox) -> None:
    with pytest.raises(NoAnswerError, match="behind the log") as raised:
        behind.client.query("flights", id=flights.flight_id(HERE[2]))
    assert raised.value.behind == {behind.topic("flights.events/0"): 2}


def test_http_says_so(behind: Sandbox) -> None:
    _, url = serve(behind)
    found = httpx2.get(f"{url}/queries/flights/{flights.flight_id(HERE[1])}", trust_env=False)
    assert (found.status_code, found.headers["content-type"]) == (404, "application/problem+json")
    problem = found.json()
    assert problem["type"] == "urn:eventfold:problem:not-found"
    assert "behind the log" in problem["detail"]
    assert problem["behind"] == {behind.topic("flights.events/0"): 2}


def test_what_is_there_is_answered_without_kafka_and_what_is_not_says_that_it_does_not_answer(behind: Sandbox) -> None:
    away = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    assert behind.run("query", "flights", flights.flight_id(HERE[0]), environ=away).returncode == 0
    message = behind.fails(1, "query", "flights", flights.flight_id(HERE[1]), environ=away)
    assert "whether it is behind the log is not known: Kafka at 127.0.0.1:9" in message


def test_kafka_is_asked_once_a_second_at_most(behind: Sandbox) -> None:
    now = [7.0]
    ends, place = LogEnds(behind.installation.kafka, lambda: now[0]), (behind.topic("flights.commands"), 0)
    assert ends([place]) == {place: 0}
    log.write(behind, "flights.commands", None, b"x", partition=0)
    assert ends([place]) == {place: 0}
    now[0] += 1
    assert ends([place]) == {place: 1}


def test_a_kafka_that_is_away_is_asked_as_seldom() -> None:
    away = LogEnds(KafkaSettings(bootstrap="127.0.0.1:9"), lambda: 7.0)
    faults = []
    for _ in range(2):
        with pytest.raises(Transient, match=r"127\.0\.0\.1:9") as raised:
            away([("flights.events", 0)])
        faults.append(raised.value)
    # The second is what the first one left behind.
    assert [fault.__cause__ is None for fault in faults] == [False, True]
