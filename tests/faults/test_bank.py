"""A bank under fire: whatever is killed, money is neither made nor lost, and each command acts once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.faults.bank import Bank, assert_conserved, assert_decided_once, assert_read_models, read_bank
from tests.faults.kills import seeds
from tests.faults.teller import OPENING, openings, read_notes
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.local_stack import REPOSITORY, LocalStack
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.soak import SOAK

ACCOUNTS, TELLERS = 50, 8
TRANSFERS = 20_000 if SOAK else 800
STRUCK_AFTERWARDS = 6
KILLS_EVERY_S = (0.2, 3.0)
QUIET_S = 1_200 if SOAK else 180
PROJECTIONS = ("accounts", "statements", "transfers", "totals")
DAEMONS = {
    "handler left": ("--instance", "left", "run", "handler", "accounts"),
    "handler right": ("--instance", "right", "run", "handler", "accounts"),
    "projectors": ("run", "projector", *PROJECTIONS),
    "manager left": ("--instance", "left", "run", "process-manager", "transfers"),
    "manager right": ("--instance", "right", "run", "process-manager", "transfers"),
}
ALL = ("accounts.handler", "transfers.process-manager", "transfers-timers", *PROJECTIONS)


class Tellers:
    """The submitters, a process each, started again when they were killed."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self._sandbox = sandbox
        self._args = [TELLERS, seed, TRANSFERS, ACCOUNTS, int(time.time() * 1000)]
        self._processes = {number: self._start(number) for number in range(TELLERS)}

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.faults.teller", str(self._sandbox.folder), str(number), *map(str, self._args)]
        with (self._sandbox.folder / f"teller-{number}.log").open("ab") as output:
            return subprocess.Popen(command, env=self._sandbox.environ, cwd=REPOSITORY, stdout=output, stderr=output)

    def kill(self, chance: random.Random) -> None:
        number = chance.randrange(TELLERS)
        process = self._processes[number]
        if process.poll() is None:
            process.kill()
            process.wait()
            self._processes[number] = self._start(number)

    @property
    def done(self) -> bool:
        """Whether every one has ended; AssertionError when one failed."""
        codes = {number: process.poll() for number, process in self._processes.items()}
        for number, code in codes.items():
            assert code in (None, 0), (self._sandbox.folder / f"teller-{number}.log").read_text()[-3000:]
        return all(code == 0 for code in codes.values())

    def told(self) -> dict[str, dict[str, object]]:
        """Each outcome that a teller was told, by command id."""
        found: dict[str, dict[str, object]] = {}
        for number in range(TELLERS):
            found |= read_notes(self._sandbox.folder / f"teller-{number}.jsonl")
        return found

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


@pytest.mark.timeout(QUIET_S * 4)
@pytest.mark.parametrize("seed", seeds(3, fixed=(1, 5)))  # Of these one draws either protocol of groups.
def test_killing_everything_loses_no_money(open_sandbox: OpenSandbox, own_stack: LocalStack, seed: int) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    protocol = chance.choice(["consumer", "classic"])
    with open_sandbox(
        stack=own_stack, partitions=6, EVENTFOLD_DOMAINS="accounts", EVENTFOLD_GROUP_PROTOCOL=protocol
    ) as sandbox:
        daemons = {name: sandbox.start(*args) for name, args in DAEMONS.items()}
        _open_the_bank(sandbox, seed)
        tellers = Tellers(sandbox, seed)
        try:
            struck = _fire(sandbox, daemons, tellers, chance)
        finally:
            tellers.close()
        print(f"  {protocol}, killed: {struck}")
        eventually(lambda: _all_run(sandbox, daemons), "all daemons run", QUIET_S)
        bank = _at_rest(sandbox)
        assert_conserved(bank, ACCOUNTS * OPENING)
        refused = assert_decided_once(sandbox, bank)
        assert_read_models(sandbox, bank)
        told = tellers.told()
        assert len(told) == TRANSFERS
        for id_, outcome in told.items():
            assert outcome.get("code", "") == refused.get(id_, ""), f"a teller was told {outcome}"
        states = sorted(set(bank.transfers.values()))
        print(f"  {len(bank.transfers)} transfers: {states}, {sum(bank.versions.values())} events")
        assert len(bank.transfers) == TRANSFERS and "completed" in states and "compensated" in states
        assert [daemon.stop() for daemon in daemons.values()] == [0] * len(daemons)


def _open_the_bank(sandbox: Sandbox, seed: int) -> None:
    sender = sandbox.installation.write_side.sender("/test")
    for command in openings(seed, ACCOUNTS):
        assert sender.submit(command, 90).accepted


def _fire(sandbox: Sandbox, daemons: dict[str, Daemon], tellers: Tellers, chance: random.Random) -> dict[str, int]:
    """SIGKILL for one after the other, until every teller is done and a while longer; how often each was struck."""
    struck: dict[str, int] = {}

    def kill_redis() -> None:
        os.kill(sandbox.stack.pid("redis"), signal.SIGKILL)
        sandbox.stack.up()

    def kill_daemon(name: str) -> Callable[[], None]:
        def kill() -> None:
            daemons[name].kill()
            daemons[name] = sandbox.start(*DAEMONS[name])

        return kill

    acts = {name: kill_daemon(name) for name in daemons}
    acts |= {"redis": kill_redis, "redis emptied": sandbox.redis.flushdb, "teller": lambda: tellers.kill(chance)}
    deadline = time.monotonic() + QUIET_S * 2
    left = STRUCK_AFTERWARDS
    while left:
        left -= tellers.done
        assert time.monotonic() < deadline, "the tellers do not come to an end"
        # Not to wait for anything: a kill is to fall anywhere.
        time.sleep(chance.uniform(*KILLS_EVERY_S))
        name = chance.choice(sorted(acts))
        acts[name]()
        struck[name] = struck.get(name, 0) + 1
    return struck


def _all_run(sandbox: Sandbox, daemons: dict[str, Daemon]) -> bool:
    """Whether every daemon is past its start; one that met no Redis then has ended, and is started again."""
    for name, daemon in daemons.items():
        if not daemon.runs:
            assert daemon.ended() == 1 and "eventfold: Redis at" in daemon.log, daemon.log
            daemons[name] = sandbox.start(*DAEMONS[name])
    return all(" runs" in daemon.log for daemon in daemons.values())


def _at_rest(sandbox: Sandbox) -> Bank:
    """The bank once every transfer has ended and nothing is left to do."""

    def ended() -> bool:
        states = {row["state"] for row in sandbox.rows("transfers").values()}
        return bool(states) and states <= {"completed", "compensated", "failed"}

    sandbox.caught_up(*ALL, timeout_s=QUIET_S)
    eventually(ended, "every transfer has ended", QUIET_S, 0.5)
    # What ended the last transfer is followed by commands that settle it.
    sandbox.caught_up(*ALL, timeout_s=QUIET_S)
    return read_bank(sandbox)
