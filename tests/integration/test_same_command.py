"""The same command id again: the first outcome, and nothing more in the log, whatever happened between."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from producers.outcomes import Outcome
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

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
