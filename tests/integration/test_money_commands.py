"""Commands about money: refused once is refused for good, and decisions that depend on the balance are made on the balance."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accounts.money import number
from eventfold import Client
from eventfold.processors.lookup.loading import Loaded
from eventfold.store.outcomes import Outcome
from tests.support import log
from tests.support.sandbox import OpenSandbox, Sandbox

UNIT = 10_000
ACCOUNT = "A-1"


@pytest.fixture
def bank(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(EVENTFOLD_DOMAINS="accounts") as sandbox:
        yield sandbox


def submit(sandbox: Sandbox, verb: str, data: Mapping[str, Any], **more: Any) -> Outcome:
    return sandbox.client.submit(f"accounts.{verb}", ACCOUNT, data, timeout_s=30, **more)


def units(count: int) -> dict[str, Any]:
    return {"amount": number(count * UNIT), "currency": None}


def opened(sandbox: Sandbox, count: int) -> None:
    """The account, with so much money in it."""
    assert submit(sandbox, "OpenAccount", {"owner": "Ada", "currency": "EUR"}).accepted
    assert submit(sandbox, "Deposit", units(count)).accepted


def balance(loaded: Loaded) -> int:
    """The state of a domain that has several kinds of aggregates says of which kind it is."""
    assert loaded.state["kind"] == "account"
    found: int = loaded.state["state"]["balance"]
    return found


def test_a_withdrawal_that_was_refused_does_not_pass_later_under_its_id(bank: Sandbox) -> None:
    handler = bank.handler(domain="accounts")
    opened(bank, 10)
    id_ = str(uuid.uuid4())
    refused = submit(bank, "Withdraw", units(11), id=id_)
    assert (refused.accepted, refused.code) == (False, "overdraft")
    assert submit(bank, "Deposit", units(90)).accepted
    assert submit(bank, "Withdraw", units(11), id=id_) == refused
    assert handler.stop() == 0
    bank.redis.flushdb()
    bank.handler(domain="accounts")
    assert submit(bank, "Withdraw", units(11), id=id_) == refused
    assert bank.client.outcome(id_) == refused
    loaded = bank.client.load("accounts", ACCOUNT)
    assert (loaded.version, balance(loaded)) == (3, 100 * UNIT)
    assert len(log.read(bank, "accounts.refusals")) == 1


def test_each_of_many_changes_at_once_is_decided_on_the_balance_that_it_changes(bank: Sandbox) -> None:
    """Each takes out the half: only if none was decided on an old balance, the last one leaves exactly so much."""
    bank.handler(domain="accounts")
    clients, each = 3, 4
    opened(bank, 2 ** (clients * each))

    def halve(loaded: Loaded) -> tuple[str, Mapping[str, Any]]:
        return "accounts.Withdraw", {"amount": number(balance(loaded) // 2), "currency": "EUR"}

    def halve_often(client: Client) -> list[bool]:
        outcomes = [client.change("accounts", ACCOUNT, halve, attempts=100, timeout_s=30) for _ in range(each)]
        return [outcome is not None and outcome.accepted for outcome in outcomes]

    with ThreadPoolExecutor(clients) as pool:
        done = list(pool.map(halve_often, [Client(bank.environ) for _ in range(clients)]))
    assert done == [[True] * each] * clients
    loaded = bank.client.load("accounts", ACCOUNT, at=2 + clients * each)
    assert balance(loaded) == UNIT
    conflicts = log.read(bank, "accounts.refusals")
    assert {bank.installation.codec.decode(record.value).data["code"] for record in conflicts} <= {"conflict"}
