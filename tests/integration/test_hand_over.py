"""Partitions that pass from one handler to another: restarts, namesakes, sharing, transactions left behind."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator

import pytest

from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture(params=["consumer", "classic"])
def grouped(open_sandbox: OpenSandbox, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Four partitions, under either protocol of consumer groups."""
    with open_sandbox(partitions=4, EVENTFOLD_GROUP_PROTOCOL=request.param) as sandbox:
        yield sandbox


def owners(sandbox: Sandbox) -> dict[str, int]:
    """How many partitions of commands each living handler has."""
    commands = sandbox.topic("flights.commands")
    return {
        body["name"].partition("@")[2]: sum(place.startswith(commands) for place in body["partitions"])
        for body in sandbox.status()
        if body["alive"]
    }


def test_a_restarted_handler_goes_on_with_the_same_versions(grouped: Sandbox) -> None:
    handler = grouped.handler()
    for number in range(1, 9):
        assert commands.schedule(grouped, number).version == 1
    assert handler.stop() == 0
    assert "handler ended" in handler.log
    commands.post(grouped, "DepartFlight", 1, flights.departing())
    grouped.handler()
    grouped.caught_up("flights.handler")
    assert [commands.depart(grouped, number).version for number in range(2, 9)] == [2] * 7
    sequences = {(event.key, event.header("ce_sequence")) for event in log.read(grouped, "flights.events")}
    assert sequences == {(flights.flight_id(number), version) for number in range(1, 9) for version in ("1", "2")}


def test_handlers_of_two_names_share_the_partitions_and_hand_them_over(grouped: Sandbox) -> None:
    grouped.handler("left")
    right = grouped.start("--instance", "right", "run", "handler", "flights")
    eventually(lambda: owners(grouped) == {"left": 2, "right": 2}, "each has two of four partitions", 60)
    assert all(commands.schedule(grouped, number).accepted for number in range(1, 17))
    right.kill()
    eventually(lambda: owners(grouped).get("left") == 4, "the one that is left takes over", 60)
    assert [commands.depart(grouped, number).version for number in range(1, 17)] == [2] * 16
    assert len(log.read(grouped, "flights.events")) == 32


def test_of_two_handlers_with_one_name_the_older_ends_and_says_why(sandbox: Sandbox) -> None:
    older = sandbox.handler("same")
    assert commands.schedule(sandbox, 1).accepted
    newer = sandbox.start("--instance", "same", "run", "handler", "flights")
    newer.wait_for_log("handler runs")
    numbers = itertools.count(2)

    def ended_after_another() -> bool:
        """Only what it has to commit shows the older that it was fenced, and when the newer fences it nobody knows."""
        assert commands.schedule(sandbox, next(numbers)).accepted
        return not older.runs

    eventually(ended_after_another, "the older handler has ended", 60)
    assert older.ended() == 1
    assert "eventfold: another instance took the transactional id" in older.log
    assert "Traceback" not in older.log
    assert newer.runs
    last = next(numbers)
    assert commands.schedule(sandbox, last).accepted
    assert len(log.read(sandbox, "flights.events")) == last


def test_what_a_transaction_wrote_that_was_aborted_is_seen_by_nobody(sandbox: Sandbox) -> None:
    """As a handler leaves it that is killed before its commit."""
    dead = sandbox.new_producer(**{"transactional.id": sandbox.topic("flights.handler.one")})
    dead.init_transactions(20)
    dead.begin_transaction()
    value = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(1))
    key = flights.flight_id(1)
    dead.produce(sandbox.topic("flights.events"), key=key, value=value, headers=log.envelope("flights.FlightScheduled", key))
    assert dead.flush(20) == 0
    assert len(log.read(sandbox, "flights.events", committed=False)) == 1

    sandbox.projector("flights")
    sandbox.handler("one")
    assert log.read(sandbox, "flights.events") == []
    outcome = commands.schedule(sandbox, 1)
    assert (outcome.accepted, outcome.version) == (True, 1)
    sandbox.caught_up("flights", "flights.handler")
    assert sandbox.rows("flights")[key]["version"] == 1
    assert len(log.read(sandbox, "flights.events")) == 1


def test_a_transaction_left_open_by_another_name_is_waited_for(sandbox: Sandbox) -> None:
    """A new owner must not decide before it knows what the last one's open transaction came to: here, a commit."""
    other = sandbox.new_producer(**{"transactional.id": sandbox.topic("flights.handler.other")})
    other.init_transactions(20)
    other.begin_transaction()
    key = flights.flight_id(1)
    value = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(1))
    other.produce(sandbox.topic("flights.events"), key=key, value=value, headers=log.envelope("flights.FlightScheduled", key))
    assert other.flush(20) == 0
    sandbox.start("--instance", "one", "run", "handler", "flights").wait_for_log("handler runs")
    commands.post(sandbox, "ScheduleFlight", 1, flights.scheduled(1))
    other.commit_transaction(20)
    eventually(lambda: log.read(sandbox, "flights.refusals"), "the second schedule is refused")
    assert len(log.read(sandbox, "flights.events")) == 1


def test_a_handler_that_is_stopped_as_it_starts_ends_soon(sandbox: Sandbox) -> None:
    """Whatever of its first assignment is under way then."""
    for _ in range(10):
        handlers = [sandbox.start("--instance", name, "run", "handler", "flights") for name in ("left", "right")]
        for handler in handlers:
            handler.wait_for_log("handler runs")
        for handler in handlers:
            handler.process.terminate()
        assert [handler.ended(15) for handler in handlers] == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_handler_leaves_its_group_at_once(grouped: Sandbox, number: signal.Signals) -> None:
    handler = grouped.handler()
    assert commands.schedule(grouped, 1).accepted
    assert handler.stop(number) == 0
    assert not grouped.members("flights.handler"), "it left, and is not waited for until its session times out"
    assert grouped.status() == []


def test_a_hand_over_can_be_stopped(open_sandbox: OpenSandbox, january: Sandbox) -> None:
    """January's log beside an empty Redis takes a while to fold, and no supervisor waits for ever."""
    with open_sandbox(topics_of=january) as sandbox:
        handler = sandbox.start("--instance", "late", "run", "handler", "flights")
        handler.wait_for_log("handler runs")
        assert handler.stop() == 0
        assert "folded the tail of the log" not in handler.log
