"""`eventfold outcome` and `eventfold aggregate`: what became of a command, and what its aggregate is now."""

from __future__ import annotations

import itertools
import json
import uuid

import pytest

from eventfold.schemas.errors import UsageError
from eventfold.store.outcomes import OutcomeUnknownError
from tests.support import commands, flights, log
from tests.support.sandbox import Sandbox

_NUMBERS = itertools.count(6_001)


@pytest.fixture
def number() -> int:
    return next(_NUMBERS)


def forget_the_keys(sandbox: Sandbox) -> None:
    """As after a quarter of an hour, when only the ledgers know."""
    if keys := sandbox.redis.keys("*:outcome:*"):
        sandbox.redis.delete(*keys)


@pytest.mark.parametrize("remembered_by", ["key", "ledger"])
def test_an_accepted_command_by_its_id(running: Sandbox, number: int, remembered_by: str) -> None:
    outcome, key = commands.schedule(running, number), flights.flight_id(number)
    if remembered_by == "ledger":
        forget_the_keys(running)
    assert running.json("outcome", outcome.command_id.upper(), "--key", key, "--wait") == outcome.to_json()
    assert running.client.outcome(outcome.command_id, key=key, domain="flights") == outcome
    assert running.ok("outcome", outcome.command_id, "--key", key) == f"accepted, version 1, {outcome.positions[0]}\n"


@pytest.mark.parametrize("remembered_by", ["key", "ledger"])
def test_a_refused_command_ends_with_1_as_when_it_was_sent(running: Sandbox, number: int, remembered_by: str) -> None:
    outcome, key = commands.depart(running, number), flights.flight_id(number)
    if remembered_by == "ledger":
        forget_the_keys(running)
    assert running.client.outcome(outcome.command_id, key=key, timeout_s=10) == outcome
    assert running.fails(1, "outcome", outcome.command_id, "--key", key) == f"refused: {outcome.message} (not-scheduled)\n"
    done = running.run("outcome", outcome.command_id, "--key", key, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, outcome.to_json())


def test_a_conflict_names_the_expected_and_the_actual_version(running: Sandbox, number: int) -> None:
    commands.schedule(running, number)
    arguments = ("flights", "depart", flights.flight_id(number), "--at", "2013-02-08T12:05:00Z", "--expect-version", "7")
    message = f"expected version 7, but {flights.flight_id(number)} is at version 1"
    assert running.fails(1, *arguments) == f"refused: {message} (conflict)\n"
    done = running.run(*arguments, "--json")
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["code"], shown["message"], shown["version"]) == (1, "conflict", message, 1)


def test_of_an_id_that_nobody_knows_it_says_what_that_may_mean(running: Sandbox) -> None:
    id_ = str(uuid.uuid4())
    message = running.fails(3, "outcome", id_, "--key", "x")
    for part in (id_, "not decided yet", "longer ago", "never had it", f"--command-id {id_}"):
        assert part in message
    assert running.fails(3, "outcome", id_, "--key", "x", "--wait", "--timeout", "0.3").startswith(
        f"eventfold: the outcome of command {id_} is unknown after 0.3 s"
    )
    with pytest.raises(OutcomeUnknownError) as raised:
        running.client.outcome(id_, key="x")
    assert raised.value.command_id == id_


def test_what_is_no_id_and_no_domain_is_said_so(running: Sandbox) -> None:
    assert "is not an aggregate's id" in running.fails(2, "outcome", str(uuid.uuid4()), "--key", "a\tb")
    assert "UUID" in running.fails(2, "outcome", "seventeen", "--key", "x")
    assert "no domain 'nothing' declares a decider" in running.fails(
        2, "outcome", str(uuid.uuid4()), "--key", "x", "--domain", "nothing"
    )
    with pytest.raises(UsageError):
        running.client.outcome("seventeen", key="x")


def test_a_waiter_that_timed_out_learns_it_later_without_sending_again(sandbox: Sandbox) -> None:
    id_ = str(uuid.uuid4())
    arguments = ("flights", "schedule", "--number", "1", *flights.SCHEDULE_OPTIONS, "--command-id", id_)
    message = sandbox.fails(3, *arguments, "--timeout", "0.2")
    assert f"the outcome of command {id_} is unknown after 0.2 s" in message
    key = flights.flight_id(1)
    assert f"`eventfold outcome {id_} --key {key}`" in message
    assert "it is not decided yet" in sandbox.fails(3, "outcome", id_, "--key", key), "nobody has decided anything there"
    handler = sandbox.handler()
    assert sandbox.json("outcome", id_, "--key", key, "--wait", "--timeout", "30")["outcome"] == "accepted"
    assert handler.stop() == 0
    forget_the_keys(sandbox)
    assert sandbox.json("outcome", id_, "--key", key)["version"] == 1, "no handler has to run"
    assert len(log.read(sandbox, "flights.commands")) == 1
    sandbox.redis.flushdb()
    assert id_ in sandbox.fails(3, "outcome", id_, "--key", key)


def test_with_redis_away_it_is_unknown(running: Sandbox) -> None:
    id_ = str(uuid.uuid4())
    assert "ask again later" in running.fails(3, "outcome", id_, "--key", "x", environ={"REDIS_URL": "redis://127.0.0.1:9/0"})


def test_an_aggregate_as_its_decider_sees_it(running: Sandbox, number: int) -> None:
    id_ = flights.flight_id(number)
    scheduled, departed = commands.schedule(running, number), commands.depart(running, number)
    first, second = map(str, (scheduled.positions[0], departed.positions[0]))
    now = running.json("aggregate", "flights", id_, "--after", second)
    assert (now["key"], now["version"], now["state"]["status"]) == (id_, 2, "departed")
    for option, point in (("--as-of-position", first), ("--as-of-version", "1")):
        then = running.json("aggregate", "flights", id_, option, point)
        assert (then["version"], then["position"], then["state"]["status"]) == (1, first, "scheduled")
    assert running.json("aggregate", "flights", flights.flight_id(number + 1_000))["version"] == 0
    assert "version   2" in running.ok("aggregate", "flights", id_)
    assert "give one of them" in running.fails(2, "aggregate", "flights", id_, "--as-of-version", "1", "--after", first)
    assert "no domain 'nothing'" in running.fails(2, "aggregate", "nothing", id_)
    assert "no version 9 yet" in running.fails(1, "aggregate", "flights", id_, "--as-of-version", "9")
