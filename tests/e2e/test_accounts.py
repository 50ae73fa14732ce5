"""Accounts by the command line: open, deposit, withdraw, close, and what the read models say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from eventfold.schemas.ids import new_id
from tests.support import log
from tests.support.sandbox import OpenSandbox, Sandbox

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def bank(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """A handler and the projectors of `accounts`, each with its partitions."""
    with open_sandbox(partitions=3, EVENTFOLD_DOMAINS="accounts") as sandbox:
        sandbox.handler(domain="accounts")
        sandbox.projector("accounts", "statements", "transfers", "totals")
        yield sandbox


@pytest.fixture
def id_(bank: Sandbox) -> str:
    """An open account in euros."""
    id_ = f"acc {next(_NUMBERS)}"
    bank.ok("accounts", "open", id_, "--owner", "Ada Lovelace", "--currency", "eur")
    return id_


def after(outcome: dict[str, Any]) -> tuple[str, str]:
    return "--after", outcome["positions"][-1]


def test_the_life_of_an_account(bank: Sandbox) -> None:
    id_ = f"acc {next(_NUMBERS)}"
    opened = bank.json("accounts", "open", id_, "--owner", "Grace Hopper", "--currency", "EUR")
    assert (opened["outcome"], opened["version"]) == ("accepted", 1)
    bank.ok("accounts", "deposit", id_, "100.00", "--currency", "EUR")
    done = bank.json("accounts", "withdraw", id_, "0.5", "--expect-version", "2")
    account = {"id": id_, "owner": "Grace Hopper", "currency": "EUR", "status": "open", "balance": "99.50", "version": 3}
    assert bank.json("query", "accounts", id_, *after(done)) == account
    assert bank.json("query", "accounts", id_, "--as-of-version", "2")["balance"] == "100.00"
    bank.ok("accounts", "withdraw", id_, "99.50")
    closed = bank.json("accounts", "close", id_)
    assert bank.json("query", "accounts", id_, *after(closed))["status"] == "closed"
    for args in (("deposit", id_, "1"), ("withdraw", id_, "1"), ("close", id_)):
        assert "(closed)" in bank.fails(1, "accounts", *args)
    history = bank.json("history", "accounts", id_)
    assert history[1]["data"] == {"amount": "100.0000", "currency": "EUR", "balance": "100.0000"}


def test_no_personal_data_in_keys_and_headers(bank: Sandbox, id_: str) -> None:
    for topic in ("accounts.events", "accounts.commands"):
        records = log.read(bank, topic)
        assert any(b"Ada Lovelace" in (record.value or b"") for record in records)
        for record in records:
            assert "Lovelace" not in f"{record.key}{record.headers}"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("withdraw", "{}", "0.01"), "overdraft"),
        (("deposit", "{}", "0.005"), "amount-too-fine"),
        (("deposit", "{}", "1", "--currency", "USD"), "other-currency"),
        (("open", "{}", "--owner", "Bob", "--currency", "EUR"), "already-open"),
        (("open", "gold", "--owner", "Bob", "--currency", "XAU"), "unknown-currency"),
        (("open", "nobodys", "--owner", " ", "--currency", "EUR"), "no-owner"),
        (("deposit", "nobody's", "1"), "not-open"),
        (("transfer", "{}", "{}", "1"), "same-account"),
        (("transfer", "{}", "b", "1", "--id", "{}"), "not-a-transfer"),
        (("deposit", "{}", "1", "--expect-version", "7"), "conflict"),
    ],
)
def test_what_is_refused(bank: Sandbox, id_: str, args: tuple[str, ...], code: str) -> None:
    assert f"({code})" in bank.fails(1, "accounts", *(arg.format(id_) for arg in args))


@pytest.mark.parametrize(
    "args",
    [
        *(("deposit", "a", amount) for amount in ("0", "1e3", "NaN", "abc", "1.00001", "9" * 15, "1,5")),
        ("withdraw", "a", "--", "-1"),
        ("deposit", "", "1"),
        ("open", "a", "--owner", "x", "--currency", "euro"),
        ("transfer", "a", "b", "1", "--deadline", "0"),
        ("transfer", "a", "b", "1", "--id", "t\n"),
    ],
)
def test_what_is_no_such_command(bank: Sandbox, args: tuple[str, ...]) -> None:
    message = bank.fails(2, "accounts", *args)
    assert "Error: " in message and len(message) < 400


def test_a_query_for_what_is_not_there(bank: Sandbox) -> None:
    for name in ("accounts", "statements", "transfers"):
        assert bank.fails(1, "query", name, "nobody's").startswith(f"eventfold: {name} has no \"nobody's")


def test_a_statement_in_pages(bank: Sandbox, id_: str) -> None:
    for number in range(1, 5):
        done = bank.json("accounts", "deposit", id_, str(number))
    first = bank.json("query", "statements", id_, "--limit", "3", *after(done))
    assert [(entry["version"], entry["what"], entry["amount"]) for entry in first["entries"]] == [
        (1, "opened", None),
        (2, "deposit", "1.00"),
        (3, "deposit", "2.00"),
    ]
    second = bank.json("query", "statements", id_, "--limit", "3", "--page", first["next"])
    assert [(entry["version"], entry["balance"]) for entry in second["entries"]] == [(4, "6.00"), (5, "10.00")]
    assert second["next"] is None
    shown = bank.run("query", "statements", id_, "--limit", "3")
    assert [line.split()[1] for line in shown.stdout.splitlines()[1:]] == ["opened", "deposit", "deposit"]
    assert shown.stderr == f"more: --page {first['next']}\n"
    assert "limit must be between" in bank.fails(2, "query", "statements", id_, "--limit", "0")
    past = bank.json("query", "statements", id_, "--as-of-version", "3", "--limit", "2")
    assert len(past["entries"]) == 2
    rest = bank.json("query", "statements", id_, "--as-of-version", "3", "--page", past["next"])
    assert [entry["version"] for entry in rest["entries"]] == [3]


def test_a_page_of_a_generation_that_is_not_live_any_more(bank: Sandbox, id_: str) -> None:
    for _ in range(2):
        done = bank.json("accounts", "deposit", id_, "1")
    page = bank.json("query", "statements", id_, "--limit", "1", *after(done))["next"]
    old = bank.generation("statements")
    assert old is not None
    bank.ok("replay", "statements")
    message = bank.fails(1, "query", "statements", id_, "--page", page)
    assert old in message and "is read now" in message
    assert len(bank.json("query", "statements", id_, "--page", page, "--generation", old)["entries"]) == 2


def test_the_same_command_and_the_same_transfer_twice(bank: Sandbox, id_: str) -> None:
    command = ("accounts", "deposit", id_, "5", "--command-id", new_id())
    assert bank.json(*command) == bank.json(*command)
    for more in ((), ("--id", f"{id_}'s")):
        request = ("accounts", "transfer", id_, "b", "5", "--command-id", new_id(), *more)
        first = bank.json(*request)
        assert first == bank.json(*request)
        assert first["version"] == 1


def test_a_transfer_that_is_requested(bank: Sandbox, id_: str) -> None:
    lines = bank.ok(
        "accounts", "transfer", id_, "somebody's", "12.50", "--id", f"{id_}'s rent", "--deadline", "3600"
    ).splitlines()
    assert lines[0].startswith("accepted, version 1")
    position = lines[0].split()[-1]
    quoted = "'" + f"{id_}'s rent".replace("'", "'\"'\"'") + "'"
    assert lines[1] == f"transfer {id_}'s rent; what becomes of it: eventfold query transfers {quoted} --after {position}"
    transfer = bank.json("query", "transfers", f"{id_}'s rent", "--after", position)
    assert (transfer["from"], transfer["to"], transfer["amount"], transfer["state"]) == (id_, "somebody's", "12.5", "requested")
    sent = bank.json("accounts", "transfer", id_, "somebody's", "1", "--no-wait")
    assert sent["outcome"] == "sent" and sent["transfer_id"]


def test_a_transfer_that_stands_still_is_given_up_by_hand(bank: Sandbox, id_: str) -> None:
    """No process manager runs here, so that is what it does."""
    transfer = bank.json("accounts", "transfer", id_, "b", "5", "--deadline", "3600")["transfer_id"]
    early = bank.fails(1, "accounts", "retry-refund", transfer)
    assert "a transfer that is requested does not take this (wrong-state)" in early
    given_up = bank.json("accounts", "expire", transfer)
    assert bank.json("query", "transfers", transfer, *after(given_up))["state"] == "failed"
    assert "a transfer that is failed does not take this (wrong-state)" in bank.fails(1, "accounts", "expire", transfer)
    assert "not-requested" in bank.fails(1, "accounts", "expire", "none such")


def test_totals(bank: Sandbox) -> None:
    id_ = f"acc {next(_NUMBERS)}"
    bank.ok("accounts", "open", id_, "--owner", "Ada Lovelace", "--currency", "KWD")
    bank.ok("accounts", "deposit", id_, "10")
    done = bank.json("accounts", "withdraw", id_, "0.125")
    found = {row["currency"]: row for row in bank.json("query", "totals", *after(done))}
    assert found["KWD"] == {
        "currency": "KWD",
        "balance": "9.875",
        "in_flight": "0.000",
        "deposited": "10.000",
        "withdrawn": "0.125",
        "accounts_open": 1,
    }
