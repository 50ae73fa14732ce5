"""The same command id again: the first outcome, and nothing more in the log, whatever happened between."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eventfold.producers.commands import Command
from eventfold.schemas.message import Actor
from eventfold.store.decided_ids import TURN_MS
from eventfold.store.outcomes import Outcome
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

ACCEPTED, REFUSED = 1, 2


def nothing(_: Sandbox) -> None:
    return


def restart(sandbox: Sandbox) -> None:
    assert sandbox.daemons[-1].stop() == 0
    sandbox.handler()


def restart_after_a_kill(sandbox: Sandbox) -> None:
    sandbox.daemons[-1].kill()
    sandbox.handler()


def empty_redis(sandbox: Sandbox) -> None:
    sandbox.redis.flushdb()


def restart_on_an_empty_redis(sandbox: Sandbox) -> None:
    assert sandbox.daemons[-1].stop() == 0
    sandbox.redis.flushdb()
    sandbox.handler()


def forget_scripts(sandbox: Sandbox) -> None:
    sandbox.redis.script_flush()


def lose_the_outcomes(sandbox: Sandbox) -> None:
    sandbox.redis.delete(*sandbox.redis.keys("*:outcome:*"))


@pytest.mark.parametrize(
    "between",
    [nothing, restart, restart_after_a_kill, empty_redis, restart_on_an_empty_redis, forget_scripts, lose_the_outcomes],
)
def test_again_gives_the_first_outcome_and_no_second_event(sandbox: Sandbox, between: Callable[[Sandbox], None]) -> None:
    sandbox.handler()
    accepted, refused, other = (str(uuid.uuid4()) for _ in range(3))

    def submit() -> list[Outcome]:
        return [commands.schedule(sandbox, ACCEPTED, id=accepted), commands.depart(sandbox, REFUSED, id=refused)]

    first = submit()
    assert [outcome.accepted for outcome in first] == [True, False]
    assert commands.schedule(sandbox, REFUSED, id=other).accepted, "what was refused would be accepted by now"
    before = [log.read(sandbox, name) for name in ("flights.events", "flights.refusals")]
    between(sandbox)
    assert submit() == first
    assert submit() == first
    assert [log.read(sandbox, name) for name in ("flights.events", "flights.refusals")] == before


def test_a_group_that_lost_its_offset_decides_all_again_and_changes_nothing(sandbox: Sandbox) -> None:
    handler = sandbox.handler()
    for number in range(1, 11):
        assert commands.schedule(sandbox, number).accepted
        assert not commands.arrive(sandbox, number).accepted
    before = [log.read(sandbox, name) for name in ("flights.events", "flights.refusals")]
    assert handler.stop() == 0
    group = sandbox.topic("flights.handler")
    sandbox.admin.delete_consumer_groups([group])[group].result(30)
    again = sandbox.handler()
    sandbox.caught_up("flights.handler")
    assert [log.read(sandbox, name) for name in ("flights.events", "flights.refusals")] == before
    assert again.stop() == 0


def test_twice_in_one_batch_counts_once_and_answers_both(sandbox: Sandbox) -> None:
    """An importer that waits for nobody sent it first; the one who waits still learns the outcome."""
    id_ = str(uuid.uuid4())
    commands.post(sandbox, "ScheduleFlight", 1, flights.scheduled(1), id=id_, noreply=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(commands.schedule, sandbox, 1, id=id_, timeout_s=15)
        eventually(lambda: len(log.read(sandbox, "flights.commands")) == 2, "both are sent")
        sandbox.handler()
        assert waiting.result(60).accepted
    assert len(log.read(sandbox, "flights.events")) == 1


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_again_after_the_partitions_moved_to_another_handler(open_sandbox: OpenSandbox, protocol: str) -> None:
    """The new owner decides by what it folded itself; the refused departure would pass by now."""
    with open_sandbox(EVENTFOLD_GROUP_PROTOCOL=protocol) as sandbox:
        left = sandbox.handler("left")
        ids = [str(uuid.uuid4()) for _ in range(2)]
        first = [commands.schedule(sandbox, 1, id=ids[0]), commands.depart(sandbox, 2, id=ids[1])]
        assert commands.schedule(sandbox, 2).accepted
        assert left.stop() == 0
        sandbox.handler("right")
        assert [commands.schedule(sandbox, 1, id=ids[0]), commands.depart(sandbox, 2, id=ids[1])] == first
        assert len(log.read(sandbox, "flights.events")) == 2
        assert len(log.read(sandbox, "flights.refusals")) == 1


def test_from_several_processes_at_once_it_acts_once_and_all_learn_the_same(sandbox: Sandbox) -> None:
    sandbox.handler()
    assert commands.schedule(sandbox, 1).accepted
    accepted, refused = (str(uuid.uuid4()) for _ in range(2))
    depart = ("flights", "depart", flights.flight_id(1), "--at", "2013-02-08T12:05:00Z", "--json", "--command-id", accepted)
    arrive = ("flights", "arrive", flights.flight_id(2), "--at", "2013-02-08T18:20:00Z", "--json", "--command-id", refused)
    outcomes = at_once(sandbox, [depart, arrive] * 3)
    assert [code for code, _ in outcomes] == [0, 1] * 3
    assert outcomes[:2] * 3 == outcomes
    assert outcomes[0][1]["version"] == 2
    assert len(log.read(sandbox, "flights.events")) == 2
    assert len(log.read(sandbox, "flights.refusals")) == 1


def at_once(sandbox: Sandbox, calls: list[tuple[str, ...]]) -> list[tuple[int, Any]]:
    """Exit code and JSON of each call, all of them processes that run at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "eventfold", *call, "--timeout", "60"],
            env=sandbox.environ,
            cwd=sandbox.folder,
            stdout=subprocess.PIPE,
        )
        for call in calls
    ]
    return [(process.returncode, json.loads(out)) for process in processes for out in [process.communicate(timeout=90)[0]]]


@pytest.mark.parametrize("between", [nothing, restart_on_an_empty_redis], ids=["at once", "from the log alone"])
def test_an_id_belongs_to_who_used_it_first_for_what(sandbox: Sandbox, between: Callable[[Sandbox], None]) -> None:
    """For its aggregate; the refusal of another command is no proof of it, whatever the ledger is made of."""
    sandbox.handler()
    same, beside = flights.numbers_on(0, 2, 2)
    mine, theirs, id_ = Actor("mine", "person"), Actor("theirs", "person"), str(uuid.uuid4())
    first = commands.schedule(sandbox, same, id=id_, actor=mine)
    assert first.accepted

    def others() -> list[str]:
        found = [
            commands.depart(sandbox, same, id=id_, actor=mine),
            commands.schedule(sandbox, same, id=id_, actor=theirs),
            commands.schedule(sandbox, same, id=id_),
            commands.schedule(sandbox, same, id=id_, actor=mine, expected_version=0),
        ]
        return [outcome.code for outcome in found]

    assert others() == ["id-reused"] * 4
    assert commands.schedule(sandbox, same, id=id_, actor=mine) == first
    between(sandbox)
    assert others() == ["id-reused"] * 4
    assert commands.schedule(sandbox, same, id=id_, actor=mine) == first
    assert sandbox.client.outcome(id_, key=flights.flight_id(same)) == first
    assert commands.schedule(sandbox, beside, id=id_, actor=theirs).accepted, "to another aggregate it is another command"
    assert len(log.read(sandbox, "flights.events")) == 2


def test_how_far_back_ids_reach_when_the_ledger_comes_from_the_log(sandbox: Sandbox) -> None:
    """Two turns of eight days; what is older is decided anew, on a state that is as whole as ever."""
    for name in ("flights.events", "flights.commands"):
        sandbox.configure(name, **{"message.timestamp.type": "CreateTime"})
    turn = time.time_ns() // 1_000_000 // TURN_MS * TURN_MS
    numbers = dict(zip(("forgotten", "last turn", "this turn"), flights.numbers_on(0, 2, 3), strict=True))
    recorded = {"forgotten": turn - TURN_MS - 1, "last turn": turn - TURN_MS, "this turn": turn}
    ids = {name: str(uuid.uuid4()) for name in numbers}
    for name, number in numbers.items():
        key = flights.flight_id(number)
        value = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(number))
        headers = log.envelope("flights.FlightScheduled", key, sequence=1, causation_id=ids[name])
        sandbox.producer.produce(
            sandbox.topic("flights.events"), value, key, partition=0, timestamp=recorded[name], headers=headers
        )
    assert sandbox.producer.flush(20) == 0
    sandbox.handler()
    again = {name: commands.schedule(sandbox, number, id=ids[name]) for name, number in numbers.items()}
    assert {name: outcome.accepted for name, outcome in again.items()} == {
        "forgotten": False,
        "last turn": True,
        "this turn": True,
    }
    assert (again["forgotten"].code, again["forgotten"].version) == ("already-scheduled", 1)
    assert sandbox.client.load("flights", flights.flight_id(numbers["forgotten"])).version == 1
    assert len(log.read(sandbox, "flights.events")) == 3


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_group_that_loses_its_offset_under_load_changes_nothing(open_sandbox: OpenSandbox, protocol: str) -> None:
    """A handler is killed amid a stream of commands, half of which are refused, and its group is deleted."""
    with open_sandbox(EVENTFOLD_GROUP_PROTOCOL=protocol) as sandbox:
        handler = sandbox.handler()
        count = 1_500
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(stream, sandbox, count)
            eventually(
                lambda: sum(log.committed(sandbox, "flights.handler", "flights.commands").values()) > 300, "some are decided"
            )
            handler.kill()
            group = sandbox.topic("flights.handler")
            eventually(lambda: not sandbox.members("flights.handler"), "nobody is left")
            sandbox.admin.delete_consumer_groups([group])[group].result(30)
            assert set(decided(sandbox)) == {-1001}, "no offset is left"
            sandbox.handler()
            sent = sending.result(90)
        sandbox.caught_up("flights.handler")
        causes = {
            name: [record.header("ce_causationid") for record in log.read(sandbox, f"flights.{name}")]
            for name in ("events", "refusals")
        }
        assert {name: sorted(found) for name, found in causes.items()} == {name: sorted(ids) for name, ids in sent.items()}


def decided(sandbox: Sandbox) -> list[int]:
    """The offsets of the commands that the group has committed."""
    return list(log.committed(sandbox, "flights.handler", "flights.commands").values())


def stream(sandbox: Sandbox, count: int) -> dict[str, list[str]]:
    """Send commands of which every second one must be refused; the ids of those that make events, and of the others."""
    sender = sandbox.installation.write_side.sender("/test")
    sent: dict[str, list[str]] = {"events": [], "refusals": []}
    for number in range(1, count + 1):
        key = flights.flight_id(number)
        scheduling = Command(type="flights.ScheduleFlight", key=key, data=flights.scheduled(number))
        arriving = Command(type="flights.ArriveFlight", key=key, data=flights.arriving())
        for command, name in ((scheduling, "events"), (arriving, "refusals")):
            sender.send(command)
            sent[name].append(command.id)
        if number % 100 == 0:
            sender.flush()
    sender.flush()
    return sent
