"""Keys and fields of Redis are deleted, renamed and set back under running daemons: no decision and no row is wrong for it."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from eventfold.producers.commands import Command
from eventfold.schemas.errors import NotFoundError
from eventfold.store.outcomes import Outcome
from eventfold.store.slices import TornError
from tests.faults.kills import seeds
from tests.support import truth
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.soak import SOAK
from tests.support.tampering import Tampering

ROUNDS = 2_000 if SOAK else 25
CHECKED_EVERY = 25
ACCOUNTS = 12
PROJECTIONS = ("accounts", "totals")
_WAIT_S = 120.0
_LATEST_S = 0.03


@dataclass(slots=True)
class Oracle:
    """What each account is by the outcomes that were told, and which outcome each command had first."""

    balances: dict[str, Decimal] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[Command, Outcome]] = field(default_factory=dict)

    def check(self, command: Command, outcome: Outcome) -> None:
        """AssertionError for an outcome that no whole memory of the log would have decided."""
        if command.id in self.first:
            assert outcome == self.first[command.id][1], "a command that was sent again has another outcome"
            return
        self.first[command.id] = command, outcome
        name, key = command.type.removeprefix("accounts."), command.key
        refused = self._refused(name, key, command.data)
        assert (outcome.code or "") == refused, f"{name} of {key} at version {self.versions.get(key, 0)}: {outcome}"
        if not refused:
            change = {"Deposit": 1, "Withdraw": -1}.get(name, 0) * command.data.get("amount", Decimal(0))
            self.balances[key] = self.balances.get(key, Decimal(0)) + change
            self.versions[key] = self.versions.get(key, 0) + 1
        assert outcome.version == self.versions.get(key, 0), f"{name} of {key}: {outcome}"

    def _refused(self, name: str, key: str, data: dict[str, Any]) -> str:
        if name == "OpenAccount":
            return "already-open" if key in self.balances else ""
        if key not in self.balances:
            return "not-open"
        return "overdraft" if name == "Withdraw" and data["amount"] > self.balances[key] else ""


def drawn(chance: random.Random, oracle: Oracle) -> Command:
    """A command at random, or one that was sent before."""
    if oracle.first and chance.random() < 0.25:
        return chance.choice(list(oracle.first.values()))[0]
    name = chance.choice(["OpenAccount", "Deposit", "Deposit", "Withdraw"])
    data: dict[str, Any] = {"owner": "Somebody", "currency": "EUR"}
    if name != "OpenAccount":
        data = {"amount": Decimal(chance.randrange(1, 200)), "currency": None}
    key, id_ = f"acc-{chance.randrange(ACCOUNTS)}", str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return Command(type=f"accounts.{name}", key=key, data=data, id=id_)


@pytest.mark.timeout(3 * 3600 if SOAK else 300)
@pytest.mark.parametrize("seed", seeds(1, fixed=(15,)))
def test_a_damaged_redis_changes_no_decision_and_no_row(open_sandbox: OpenSandbox, seed: int) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    with open_sandbox(partitions=2, EVENTFOLD_DOMAINS="accounts") as sandbox:
        daemons = [sandbox.handler(domain="accounts"), sandbox.projector(*PROJECTIONS)]
        sender = sandbox.installation.write_side.sender("/test")
        # Of ledgers and read models alone, their registries too; not the outcomes, nor the signs of life.
        tampering, oracle, damaged = Tampering(sandbox.redis, chance, "{*", spared=b":outcome:"), Oracle(), []
        for number in range(1, ROUNDS + 1):
            commands = [drawn(chance, oracle) for _ in range(4)]
            damage = threading.Timer(chance.random() * _LATEST_S, lambda: damaged.append(tampering.damage()))
            tampering.remember()
            damage.start()
            for command in commands:
                oracle.check(command, sender.submit(command, _WAIT_S))
            damage.join()
            if number % CHECKED_EVERY == 0:
                _assert_rows(sandbox, PROJECTIONS)
        assert sum(map(bool, damaged)) > ROUNDS / 2
        torn = sum(daemon.log.count("a slice was torn") for daemon in daemons)
        print(f"  {len(oracle.first)} commands, damaged {sum(map(bool, damaged))} times, {torn} torn slices were folded anew")
        assert torn
        assert [daemon.stop() for daemon in daemons] == [0, 0]


def _assert_rows(sandbox: Sandbox, projections: Sequence[str]) -> None:
    """Each read model comes to be what the log says, without a restart."""
    events = truth.read_log(sandbox, "accounts")
    for name in projections:
        wanted = truth.folded(sandbox.installation.projections[name], sandbox.topic("accounts.events"), events).tables

        def right(name: str = name, wanted: object = wanted) -> bool:
            try:
                return sandbox.tables(name) == wanted
            except (TornError, NotFoundError):
                # Torn, or without a pointer to what is live, until its daemon has noticed.
                return False

        eventually(right, f"the rows of {name} are those of the log", 60)
