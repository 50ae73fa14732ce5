"""Flights, imported while their daemons are killed with SIGKILL: nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from tests.faults.kills import seeds
from tests.support import expected, few_days, log
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.local_stack import LocalStack
from tests.support.numbers import assert_exact
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.soak import SOAK

HANDLER = ("run", "handler", "flights")
PUNCTUALITY = ("run", "projector", "punctuality")
FLIGHTS = ("run", "projector", "flights")
ALL = ("flights.handler", "punctuality", "flights")
DAYS = 31 if SOAK else 5
"""Of January."""
WANTED = expected.month(1, DAYS)
COMMANDS = sum(WANTED.events.values())
# A broker that was killed needs half a minute to be back where four of them share two cores.
_IMPORT_S = 400
pytestmark = pytest.mark.timeout(2 * _IMPORT_S)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PYTHONPATH by which January has so many days."""
    return few_days.cut(tmp_path_factory.mktemp("days"), 1, DAYS)


class Import:
    """`eventfold flights import` of January as a process, and how far it is."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._process = sandbox.start("flights", "import", "--months", "1", "--json")

    def decided(self) -> int:
        """How many commands the handler's group has committed by now; fails when the import ended with a fault."""
        if not self._process.runs:
            self.result()
        return sum(max(0, offset) for offset in log.committed(self._sandbox, "flights.handler", "flights.commands").values())

    def result(self) -> dict[str, object]:
        assert self._process.ended(_IMPORT_S) == 0, self._process.log
        found: dict[str, object] = json.loads(self._process.log.splitlines()[-1])
        return found


def at_random_moments(chance: random.Random, running: Import, count: int, act: Callable[[], None]) -> None:
    """Act `count` times, each when so many of the commands are decided and a moment more has passed."""
    for threshold in sorted(chance.randrange(COMMANDS // 100, COMMANDS * 9 // 10) for _ in range(count)):
        eventually(lambda threshold=threshold: running.decided() >= threshold, f"{threshold} commands are decided", 150)
        # Not to wait for anything: a kill is to fall anywhere within a batch.
        time.sleep(chance.random() * 0.3)
        act()


def nothing_is_lost(sandbox: Sandbox, running: Import, daemons: Sequence[Daemon]) -> None:
    """The import ends well, all numbers are the data's, nothing was refused, and every daemon still stops as it should."""
    assert running.result()["refused"] == 0
    sandbox.caught_up(*ALL, timeout_s=120)
    assert_exact(sandbox, days=DAYS)
    assert log.read(sandbox, "flights.refusals") == []
    assert [daemon.stop() for daemon in daemons] == [0] * len(daemons)


@pytest.mark.parametrize("seed", seeds(20))
def test_killing_handler_and_projector_during_an_import(open_sandbox: OpenSandbox, path: str, seed: int) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    with open_sandbox(partitions=6, PYTHONPATH=path) as sandbox:
        daemons: dict[tuple[str, ...], Daemon] = {args: sandbox.start(*args) for args in (HANDLER, PUNCTUALITY, FLIGHTS)}
        running = Import(sandbox)

        def kill_one() -> None:
            args = chance.choice([HANDLER, HANDLER, PUNCTUALITY])
            daemons[args].kill()
            daemons[args] = sandbox.start(*args)

        at_random_moments(chance, running, 4, kill_one)
        assert running.result() == {"months": [1], "flights": len(WANTED.flights), "commands": COMMANDS, "refused": 0}
        sandbox.caught_up(*ALL)
        assert_exact(sandbox, days=DAYS)

        again = sandbox.json("flights", "import", "--months", "1")
        assert (again["commands"], again["refused"]) == (COMMANDS, 0)
        sandbox.caught_up(*ALL)
        assert_exact(sandbox, days=DAYS)
        assert log.read(sandbox, "flights.refusals") == []
        assert [daemon.stop() for daemon in daemons.values()] == [0, 0, 0]


@pytest.mark.parametrize("seed", seeds(10))
def test_two_projectors_on_each_partition_and_a_killed_redis_during_an_import(
    open_sandbox: OpenSandbox, own_stack: LocalStack, path: str, seed: int
) -> None:
    """Redis comes back with what it had saved; who was cut off goes on from there."""
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    with open_sandbox(stack=own_stack, partitions=3, PYTHONPATH=path) as sandbox:
        pinned = (*PUNCTUALITY, "--partitions", "0,1,2")
        twins = [sandbox.start(*pinned, EVENTFOLD_INSTANCE=name) for name in ("left", "right")]
        daemons = [sandbox.start(*HANDLER), sandbox.start(*FLIGHTS), *twins]
        running = Import(sandbox)

        def kill_redis() -> None:
            os.kill(sandbox.stack.pid("redis"), signal.SIGKILL)
            sandbox.stack.up()

        at_random_moments(chance, running, 2, kill_redis)
        nothing_is_lost(sandbox, running, daemons)


@pytest.mark.parametrize("seed", seeds(10))
def test_a_handler_that_stops_to_run_and_wakes_up_as_a_zombie_during_an_import(
    open_sandbox: OpenSandbox, path: str, seed: int
) -> None:
    """Its partitions go to another meanwhile; what it still has at hand must not be committed.

    One that slept for longer than its transaction may last is fenced: it ends, and whoever runs it starts it again.
    """
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    with open_sandbox(partitions=6, PYTHONPATH=path) as sandbox:
        handlers = {name: sandbox.start("--instance", name, *HANDLER) for name in ("left", "right")}
        projectors = [sandbox.start(*PUNCTUALITY), sandbox.start(*FLIGHTS)]

        def shared() -> bool:
            for name, handler in handlers.items():
                if not handler.runs:
                    assert handler.ended() == 1 and "took the transactional id" in handler.log, handler.log
                    handlers[name] = sandbox.start("--instance", name, *HANDLER)
            return [*sandbox.members("flights.handler").values()] == [3, 3]

        each_has_half = partial(eventually, shared, "each has three partitions", 60)
        each_has_half()
        running = Import(sandbox)

        def put_to_sleep() -> None:
            each_has_half()
            sleeper, other = chance.sample([*handlers.values()], 2)
            assigned = other.log.count("event=assigned domain=flights")
            os.kill(sleeper.pid, signal.SIGSTOP)
            try:
                other.wait_for_log("event=assigned domain=flights", assigned + 1, 60)
            finally:
                os.kill(sleeper.pid, signal.SIGCONT)

        at_random_moments(chance, running, 2, put_to_sleep)
        each_has_half()
        nothing_is_lost(sandbox, running, [*handlers.values(), *projectors])


@pytest.mark.parametrize("seed", seeds(10))
def test_emptying_redis_and_killing_the_broker_during_an_import(
    open_sandbox: OpenSandbox, own_stack: LocalStack, path: str, seed: int
) -> None:
    """A transaction without an answer and a ledger that is gone in the midst of a batch."""
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    with open_sandbox(stack=own_stack, partitions=6, PYTHONPATH=path) as sandbox:
        daemons = [sandbox.start(*args) for args in (HANDLER, PUNCTUALITY, FLIGHTS)]
        running = Import(sandbox)

        def kill_broker() -> None:
            os.kill(sandbox.stack.pid("kafka-1"), signal.SIGKILL)
            sandbox.stack.up()

        at_random_moments(chance, running, 2, lambda: chance.choice([sandbox.redis.flushdb, kill_broker])())
        nothing_is_lost(sandbox, running, daemons)
