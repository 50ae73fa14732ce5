"""Transfers from end to end: requested by the command line, moved by the process manager, read from the read models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

_NUMBERS = itertools.count(1)
_READ_MODELS = ("accounts", "statements", "transfers", "totals")


@pytest.fixture(scope="module")
def bank(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """`accounts` with a handler, its process manager and its projectors."""
    with open_sandbox(partitions=3, EVENTFOLD_DOMAINS="accounts") as sandbox:
        sandbox.handler(domain="accounts")
        sandbox.process_manager("transfers")
        sandbox.projector(*_READ_MODELS)
        yield sandbox


def opened(bank: Sandbox, balance: str = "", currency: str = "EUR") -> str:
    """The id of an account that was just opened, and filled."""
    id_ = f"A-{next(_NUMBERS)}"
    bank.ok("accounts", "open", id_, "--owner", "Ada Lovelace", "--currency", currency)
    if balance:
        bank.ok("accounts", "deposit", id_, balance)
    return id_


def moved(bank: Sandbox, payer: str, payee: str, amount: str, ends_as: str) -> dict[str, Any]:
    """A transfer, once it has ended so."""
    requested = bank.json("accounts", "transfer", payer, payee, amount)
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(bank.json("query", "transfers", requested["transfer_id"], "--after", requested["positions"][0]))
        assert found["state"] == ends_as or found["state"] not in ("completed", "failed", "compensated"), found
        return bool(found["state"] == ends_as)

    eventually(ended, f"the transfer is {ends_as}", pause_s=0.2)
    bank.caught_up(*_READ_MODELS)
    return found


def balance(bank: Sandbox, id_: str) -> str:
    found: str = bank.json("query", "accounts", id_)["balance"]
    return found


def test_money_moves(bank: Sandbox) -> None:
    payer, payee = opened(bank, "100.00"), opened(bank)
    transfer = moved(bank, payer, payee, "30.50", "completed")
    assert (transfer["amount"], transfer["currency"], transfer["version"]) == ("30.50", "EUR", 3)
    assert (balance(bank, payer), balance(bank, payee)) == ("69.50", "30.50")
    out = bank.json("query", "statements", payer)["entries"][-1]
    into = bank.json("query", "statements", payee)["entries"][-1]
    assert (out["what"], out["counterparty"], out["transfer_id"]) == ("transfer out", payee, transfer["id"])
    assert (into["what"], into["counterparty"], into["amount"]) == ("transfer in", payer, "30.50")
    for id_, last in ((payer, "accounts.DebitSettled"), (payee, "accounts.CreditSettled")):
        eventually(lambda id_=id_, last=last: bank.json("history", "accounts", id_)[-1]["type"] == last, f"{id_}: {last}")


@pytest.mark.parametrize(
    ("amount", "code"), [("100.01", "overdraft"), ("0.001", "amount-too-fine")], ids=["overdraft", "too fine"]
)
def test_a_debit_that_is_refused_ends_the_transfer(bank: Sandbox, amount: str, code: str) -> None:
    payer = opened(bank, "100.00")
    transfer = moved(bank, payer, opened(bank), amount, "failed")
    assert (transfer["code"], transfer["currency"]) == (code, None)
    assert balance(bank, payer) == "100.00"


@pytest.mark.parametrize("code", ["not-open", "closed", "other-currency", "not-an-account"])
def test_a_credit_that_is_refused_is_given_back(bank: Sandbox, code: str) -> None:
    payer = opened(bank, "100.00")
    match code:
        case "not-open":
            payee = f"A-{next(_NUMBERS)}"
        case "closed":
            payee = opened(bank)
            bank.ok("accounts", "close", payee)
        case "other-currency":
            payee = opened(bank, currency="USD")
        case _:
            payee = bank.json("accounts", "transfer", payer, "nobody", "500")["transfer_id"]
    transfer = moved(bank, payer, payee, "30.00", "compensated")
    assert transfer["code"] == code
    assert balance(bank, payer) == "100.00"
    assert [entry["what"] for entry in bank.json("query", "statements", payer)["entries"]][-2:] == ["transfer out", "refund"]
    bank.ok("accounts", "withdraw", payer, "100.00")
    bank.ok("accounts", "close", payer)


def test_no_money_is_in_flight_at_rest(bank: Sandbox) -> None:
    moved(bank, opened(bank, "7.00"), opened(bank), "5.00", "completed")
    for row in bank.json("query", "totals"):
        assert Decimal(row["in_flight"]) == 0
        assert Decimal(row["balance"]) == Decimal(row["deposited"]) - Decimal(row["withdrawn"])


def test_a_deadline_that_is_over_at_once(bank: Sandbox) -> None:
    """It passes while the money moves: whatever is decided first, the money is whole in the end."""
    payer, payee = opened(bank, "100.00"), opened(bank)
    requested = bank.json("accounts", "transfer", payer, payee, "10.00", "--deadline", "0.001")

    def at_rest() -> bool:
        state = bank.json("query", "transfers", requested["transfer_id"])["state"]
        whole = Decimal(balance(bank, payer)) + Decimal(balance(bank, payee)) == 100
        return whole and state in ("completed", "compensated", "failed")

    eventually(at_rest, "the transfer has ended and the money is whole", pause_s=0.2)
