"""An aggregate by its id, and a change of it that others get in the way of."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eventfold import Client
from eventfold.processors.lookup.changing import ConflictError
from eventfold.processors.lookup.loading import Loaded
from eventfold.schemas.errors import NotFoundError, TimedOutError, UsageError
from eventfold.schemas.message import Message
from eventfold.schemas.position import Position
from flights.decider import decider
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

_NUMBERS = itertools.count(1)
DEPART: tuple[str, Mapping[str, Any]] = ("flights.DepartFlight", flights.departing())
ARRIVE: tuple[str, Mapping[str, Any]] = ("flights.ArriveFlight", flights.arriving())


@pytest.fixture(scope="module")
def handled(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """A handler that runs during the tests that leave it alone; each has a flight of its own."""
    with open_sandbox(partitions=2) as sandbox:
        sandbox.handler()
        yield sandbox


@pytest.fixture
def number() -> int:
    return next(_NUMBERS)


def state(number: int, *names: str) -> dict[str, Any]:
    """What the decider makes of these events of a flight."""
    data = {"FlightScheduled": flights.scheduled(number), "FlightDeparted": flights.departed(number)}
    found = decider.initial()
    for name in names:
        found = decider.evolve(found, Message(f"flights.{name}", data[name]))
    return found


def load(sandbox: Sandbox, number: int, **more: Any) -> Loaded:
    return sandbox.client.load("flights", flights.flight_id(number), **more)


# -- load ----------------------------------------------------------------------------------------------------------------


def test_an_aggregate_is_at_least_as_new_as_the_outcome_it_is_asked_after(handled: Sandbox) -> None:
    """The outcome is told before the ledger is written, so that now and then one has to wait."""
    for number in itertools.islice(_NUMBERS, 40):
        outcome = commands.schedule(handled, number)
        loaded = load(handled, number, after=outcome)
        assert (loaded.version, loaded.state) == (1, state(number, "FlightScheduled"))
        assert loaded.position is not None
        assert loaded.position >= outcome.positions[0]


def test_one_that_has_no_event_is_at_version_0_in_its_initial_state(handled: Sandbox, number: int) -> None:
    assert commands.schedule(handled, number).accepted
    nothing = load(handled, next(_NUMBERS))
    assert (nothing.version, nothing.state) == (0, decider.initial())


def test_as_of_a_position_or_a_version_it_is_as_it_was(handled: Sandbox, number: int) -> None:
    scheduled, departed = commands.schedule(handled, number), commands.depart(handled, number)
    first, second = scheduled.positions[0], departed.positions[0]
    names = ("FlightScheduled", "FlightDeparted")
    for at in (first, 1):
        assert load(handled, number, at=at) == _loaded(number, state(number, names[0]), 1, first)
    for at in (second, 2):
        assert load(handled, number, at=at) == _loaded(number, state(number, *names), 2, second)
    assert load(handled, number, at=0) == _loaded(number, decider.initial(), 0, None)
    if first.offset:
        assert load(handled, number, at=Position(first.topic, first.partition, first.offset - 1)).version == 0
    with pytest.raises(NotFoundError, match="no version 3 yet: it is at version 2"):
        load(handled, number, at=3)
    with pytest.raises(NotFoundError, match="not in the log yet"):
        load(handled, number, at=Position(first.topic, first.partition, 1_000_000))


def _loaded(number: int, state: dict[str, Any], version: int, position: Position | None) -> Loaded:
    return Loaded(key=flights.flight_id(number), version=version, state=state, position=position)


def test_a_position_of_another_partition_says_nothing_of_it(handled: Sandbox, number: int) -> None:
    outcome = commands.schedule(handled, number)
    foreign = outcome.positions[0]._replace(partition=1 - outcome.positions[0].partition)
    for point in ({"after": foreign}, {"at": foreign}):
        with pytest.raises(UsageError, match="says nothing"):
            load(handled, number, **point)


def test_what_does_not_come_is_waited_for_only_so_long(handled: Sandbox, number: int) -> None:
    position = commands.schedule(handled, number).positions[0]
    with pytest.raises(TimedOutError, match=r"did not come within 0\.2 s"):
        load(handled, number, after=position._replace(offset=1_000_000), timeout_s=0.2)


def test_without_a_ledger_it_comes_from_the_log_and_is_the_same(sandbox: Sandbox) -> None:
    handler = sandbox.handler()
    commands.schedule(sandbox, 1)
    outcome = commands.depart(sandbox, 1)
    remembered = load(sandbox, 1, after=outcome)
    assert handler.stop() == 0
    assert load(sandbox, 1) == remembered
    sandbox.redis.flushdb()
    from_log = load(sandbox, 1, after=outcome)
    assert (
        (from_log.version, from_log.state)
        == (remembered.version, remembered.state)
        == (
            2,
            state(1, "FlightScheduled", "FlightDeparted"),
        )
    )
    assert from_log.position == outcome.positions[0]


def test_what_a_ledger_that_nobody_feeds_lacks_comes_from_the_log(sandbox: Sandbox) -> None:
    """As where the handlers run in another version than this client."""
    handler = sandbox.handler()
    assert commands.schedule(sandbox, 1).accepted
    assert handler.stop() == 0
    log.write_event(sandbox, "flights.FlightDeparted", flights.flight_id(1), flights.departed(1), sequence=2)
    last = max(log.read(sandbox, "flights.events"), key=lambda event: event.header("ce_sequence"))
    position = Position(sandbox.topic("flights.events"), last.partition, last.offset)
    assert load(sandbox, 1).version == 1
    assert load(sandbox, 1, after=position).version == 2


# -- change --------------------------------------------------------------------------------------------------------------


def test_a_change_is_decided_on_what_is_loaded_and_expects_its_version(handled: Sandbox, number: int) -> None:
    seen: list[Loaded] = []

    def decide(loaded: Loaded) -> tuple[str, Mapping[str, Any]]:
        seen.append(loaded)
        return DEPART

    scheduled = commands.schedule(handled, number)
    outcome = handled.client.change("flights", flights.flight_id(number), decide, after=scheduled)
    assert outcome is not None
    assert (outcome.accepted, outcome.version) == (True, 2)
    assert [loaded.state for loaded in seen] == [state(number, "FlightScheduled")]
    sent = [record for record in log.read(handled, "flights.commands") if record.key == flights.flight_id(number)]
    assert sent[-1].header("ce_expectedversion") == "1"


def test_who_was_overtaken_decides_anew_on_what_the_other_made(handled: Sandbox, number: int) -> None:
    scheduled = commands.schedule(handled, number)
    versions: list[int] = []

    def decide(loaded: Loaded) -> tuple[str, Mapping[str, Any]]:
        versions.append(loaded.version)
        if loaded.state["status"] == "departed":
            return ARRIVE
        assert commands.depart(handled, number).accepted
        return DEPART

    outcome = handled.client.change("flights", flights.flight_id(number), decide, after=scheduled)
    assert outcome is not None
    assert (outcome.accepted, outcome.version, versions) == (True, 3, [1, 2])
    mine = [record for record in log.read(handled, "flights.commands") if record.key == flights.flight_id(number)]
    assert len({record.header("ce_id") for record in mine}) == len(mine) == 4, "a refused id is not used again"


def test_after_so_many_conflicts_it_is_given_up(handled: Sandbox, number: int) -> None:
    def overtaken(loaded: Loaded) -> tuple[str, Mapping[str, Any]]:
        (commands.depart if loaded.version else commands.schedule)(handled, number)
        return DEPART

    with pytest.raises(ConflictError, match=r"2 times: expected version 1, but .* is at version 2") as raised:
        handled.client.change("flights", flights.flight_id(number), overtaken, attempts=2)
    assert (raised.value.outcome.code, raised.value.outcome.version) == ("conflict", 2)
    assert load(handled, number, at=2).version == 2


def test_what_the_domain_refuses_is_the_outcome_and_no_conflict(handled: Sandbox, number: int) -> None:
    outcome = handled.client.change("flights", flights.flight_id(number), lambda _: DEPART)
    assert outcome is not None
    assert (outcome.accepted, outcome.code) == (False, "not-scheduled")


def test_nothing_to_do_sends_nothing(handled: Sandbox, number: int) -> None:
    assert handled.client.change("flights", flights.flight_id(number), lambda _: None) is None
    assert all(record.key != flights.flight_id(number) for record in log.read(handled, "flights.commands"))
    with pytest.raises(UsageError, match="at least one"):
        handled.client.change("flights", flights.flight_id(number), lambda _: DEPART, attempts=0)


def test_an_unknown_outcome_is_asked_for_under_the_same_id(sandbox: Sandbox) -> None:
    """The handler sleeps while the command is sent twice; both ask for one event."""
    handler = sandbox.handler()
    assert load(sandbox, 1, after=commands.schedule(sandbox, 1)).version == 1
    os.kill(handler.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(
                sandbox.client.change, "flights", flights.flight_id(1), lambda _: DEPART, attempts=20, timeout_s=1
            )
            eventually(lambda: len(log.read(sandbox, "flights.commands")) >= 3, "the departure is sent twice")
            os.kill(handler.pid, signal.SIGCONT)
            outcome = changing.result(60)
    finally:
        os.kill(handler.pid, signal.SIGCONT)
    assert outcome is not None
    assert (outcome.accepted, outcome.version) == (True, 2)
    sent = log.read(sandbox, "flights.commands")
    assert len({record.header("ce_id") for record in sent}) == 2
    assert len(log.read(sandbox, "flights.events")) == 2


def test_several_that_change_one_aggregate_make_each_step_once(handled: Sandbox, number: int) -> None:
    steps = {None: ("flights.ScheduleFlight", flights.scheduled(number)), "scheduled": DEPART, "departed": ARRIVE}

    def walk(client: Client) -> int:
        made = 0
        while client.change("flights", flights.flight_id(number), lambda loaded: steps.get(loaded.state.get("status"))):
            made += 1
        return made

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(walk, [Client(handled.environ) for _ in range(4)]))
    assert sum(made) == 3
    mine = [event for event in log.read(handled, "flights.events") if event.key == flights.flight_id(number)]
    assert [event.header("ce_sequence") for event in mine] == ["1", "2", "3"]
