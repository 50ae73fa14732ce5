"""The read models of `accounts`, folded in memory."""

from __future__ import annotations

import random
from typing import Any

import pytest

from accounts.money import number
from accounts.projections import accounts, projections, statements, totals, transfers
from eventfold.projections.fold import FoldError
from eventfold.projections.paging import PageGoneError
from eventfold.projections.past import PastReader
from eventfold.projections.projection import Projection
from eventfold.projections.testing import assert_folds_alike, folded
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from eventfold.schemas.event import Event
from tests.support.accounts import as_events, event, moved, numbered, route
from tests.support.bank import Bank

UNIT = 10_000
OPENED = event("AccountOpened", owner="Ada Lovelace", currency="EUR")
DEADLINE = 1_360_324_800_000  # 2013-02-08T12:00:00Z


def ask(projection: Projection, events: list[Event], **params: Any) -> Any:
    """What the projection's query answers after these events."""
    assert projection.query is not None
    given = {
        param.name: param.default if param.check is None else param.check(param.default or "")
        for param in projection.query.params
    }
    return projection.query.run(PastReader(projection, events), **{**given, **params})


@pytest.fixture(scope="module")
def log() -> list[Event]:
    """What came of many transfers between a few accounts, with deadlines in between."""
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    choice, bank = random.Random(seed), Bank()
    for key in ("a", "b", "c", "d#1"):
        bank.ask("accounts.OpenAccount", key, owner="Ada", currency="JPY" if key == "c" else "EUR")
        bank.ask("accounts.Deposit", key, amount=number(9 * UNIT), currency=None)
    for n in range(60):
        payer, payee = choice.sample(("a", "b", "c", "d#1", "x"), 2)
        data = {"from_account": payer, "to_account": payee, "amount": number(choice.randint(1, 4) * UNIT), "deadline": DEADLINE}
        bank.ask("accounts.RequestTransfer", f"t{n}", **data)
        bank.run(choice, choice.randrange(25))
        bank.fire(choice.randrange(100))
        bank.ask("accounts.Withdraw", choice.choice("abc"), amount=number(UNIT), currency=None)
    bank.drain(choice)
    for key in ("a", "b"):
        bank.ask("accounts.Withdraw", key, amount=number(bank.kind("account")[key]["balance"]), currency=None)
        bank.ask("accounts.CloseAccount", key)
    return numbered(bank.log)


@pytest.mark.parametrize("projection", projections, ids=lambda projection: projection.name)
def test_a_log_folds_alike(projection: Projection, log: list[Event]) -> None:
    assert {"accounts.TransferCompensated", "accounts.CreditCancelled"} <= {event.type for event in log}
    assert_folds_alike(projection, log, rounds=3)


@pytest.mark.parametrize("projection", projections, ids=lambda projection: projection.name)
def test_what_the_codec_reads_of_events_is_folded_into_the_same_rows(
    projection: Projection, log: list[Event], codec: Codec
) -> None:
    read = codec.reader(projection.reads)
    found = [(read(codec.encode(event.type, event.data)), event) for event in log]
    events = [event._replace(type=message[0], data=message[1]) for message, event in found if message is not None]
    assert folded(projection, events) == folded(projection, log)


def test_every_event_of_an_id_counts_in_its_version(log: list[Event]) -> None:
    last = {event.key: event.record.headers()[0][1] for event in log if event.record is not None}
    for projection in (accounts, transfers):
        for key, row in folded(projection, log)[projection.name].items():
            assert b"%d" % row["version"] == last[key]


def test_an_account(log: list[Event]) -> None:
    events = as_events("a", OPENED, event("MoneyDeposited", **moved(1_005_000, 1_005_000)))
    expected = {"id": "a", "owner": "Ada Lovelace", "currency": "EUR", "status": "open", "balance": "100.50", "version": 2}
    assert ask(accounts, events, id="a") == expected
    assert ask(accounts, log, id="a")["status"] == "closed"
    assert ask(accounts, log, id="a")["balance"] == "0.00"


def test_an_id_whose_credit_was_cancelled_is_no_account_until_it_is_opened() -> None:
    cancelled = event("CreditCancelled", transfer_id="t")
    assert ask(accounts, as_events("x", cancelled), id="x") is None
    assert folded(accounts, as_events("x", cancelled))["accounts"]["x"]["status"] == "unknown"
    assert ask(statements, as_events("x", cancelled), id="x") is None
    assert ask(accounts, as_events("x", cancelled, OPENED), id="x")["version"] == 2


def test_a_statement() -> None:
    events = as_events(
        "a",
        OPENED,
        event("MoneyDeposited", **moved(100 * UNIT, 100 * UNIT)),
        event("AccountDebited", transfer_id="t", to_account="b", **moved(30 * UNIT, 70 * UNIT)),
        event("CreditCancelled", transfer_id="u"),
        event("AccountRefunded", transfer_id="t", **moved(30 * UNIT, 100 * UNIT)),
        event("AccountCredited", transfer_id="v", from_account="c", **moved(UNIT, 101 * UNIT)),
        event("MoneyWithdrawn", **moved(101 * UNIT, 0)),
        event("AccountClosed", currency="EUR"),
    )
    found = ask(statements, events, id="a")
    assert found["next"] is None
    columns = ("version", "what", "amount", "balance", "transfer_id", "counterparty")
    assert [tuple(entry[name] for name in columns) for entry in found["entries"]] == [
        (1, "opened", None, "0.00", None, None),
        (2, "deposit", "100.00", "100.00", None, None),
        (3, "transfer out", "30.00", "70.00", "t", "b"),
        (5, "refund", "30.00", "100.00", "t", None),
        (6, "transfer in", "1.00", "101.00", "v", "c"),
        (7, "withdrawal", "101.00", "0.00", None, None),
        (8, "closed", None, "0.00", None, None),
    ]


def test_the_pages_of_a_statement_are_the_whole_of_it(log: list[Event]) -> None:
    for key in ("a", "c", "d#1"):
        whole = ask(statements, log, id=key, limit=1_000)
        assert whole["next"] is None
        for limit in (1, 2, 7, len(whole["entries"])):
            entries: list[Any] = []
            token: str | None = ""
            while token is not None:
                page = ask(statements, log, id=key, limit=limit, page=token)
                assert 1 <= len(page["entries"]) <= limit
                entries += page["entries"]
                token = page["next"]
            assert entries == whole["entries"]


def test_the_entries_of_accounts_with_like_names_do_not_mix() -> None:
    names = ["a", "a#1", "a#1#1", "a|1", "a0", "a "]
    events = numbered([Event(OPENED.type, name, OPENED.data) for name in names])
    for name in names:
        assert len(ask(statements, events, id=name)["entries"]) == 1


def test_the_token_of_a_page_holds_for_one_build_and_one_account(log: list[Event]) -> None:
    token = ask(statements, log, id="a", limit=1)["next"]
    for wrong in (token[:-1], "?", "AAAA", "é"):
        with pytest.raises(UsageError, match="is not the token of a page"):
            ask(statements, log, id="a", page=wrong)
    with pytest.raises(UsageError, match="is not the token of a page"):
        ask(statements, log, id="c", page=token)

    class Next(PastReader):
        build = "20270101-000000-abc"  # type: ignore[assignment]

    assert statements.query is not None
    with pytest.raises(PageGoneError, match=r"of the generation past, and 20270101-000000-abc is read now"):
        statements.query.run(Next(statements, log), id="a", limit=1, page=token)


@pytest.mark.parametrize("given", ["0", "-1", "1001", "ten", "1.5", "", "9" * 5_000])
def test_how_many_entries_a_page_may_have(given: str) -> None:
    assert statements.query is not None
    limit = next(param for param in statements.query.params if param.name == "limit")
    assert limit.check is not None and limit.check("1000") == 1_000
    with pytest.raises(UsageError, match="limit must be between 1 and 1,000"):
        limit.check(given)


def test_an_event_without_a_version_has_no_place_in_a_statement() -> None:
    with pytest.raises(FoldError, match="no ce_sequence"):
        folded(statements, [Event(OPENED.type, "a", OPENED.data)])


def test_a_transfer() -> None:
    asked = event("TransferRequested", **{**route(), "amount": number(15_000)}, deadline=DEADLINE)
    debited = event("TransferDebited", **route(), currency="EUR", deadline=DEADLINE)
    row = ask(transfers, as_events("t", asked), id="t")
    assert row == {
        "id": "t",
        "from": "a",
        "to": "b",
        "amount": "1.5",
        "currency": None,
        "state": "requested",
        "code": None,
        "message": None,
        "deadline": "2013-02-08T12:00:00Z",
        "version": 1,
    }
    assert ask(transfers, as_events("t", asked, debited), id="t") == {
        **row,
        "amount": "1.50",
        "currency": "EUR",
        "state": "debited",
        "version": 2,
    }
    back = event("TransferReturned", **route(), currency="EUR", code="closed", message="it is closed")
    returned = ask(transfers, as_events("t", asked, debited, back), id="t")
    assert (returned["state"], returned["code"], returned["message"]) == ("returned", "closed", "it is closed")
    with pytest.raises(FoldError, match="never requested"):
        folded(transfers, as_events("t", debited))


def test_the_totals_add_up(log: list[Event]) -> None:
    rows = {row["currency"]: row for row in ask(totals, log)}
    assert rows.keys() == {"EUR", "JPY"}
    for currency, row in rows.items():
        money: dict[str, float] = {name: float(of) for name, of in row.items() if name != "currency"}
        assert money["balance"] == money["deposited"] - money["withdrawn"]
        assert money["in_flight"] == 0
        assert ("." in row["balance"]) is (currency == "EUR")
    assert rows["EUR"]["accounts_open"] == 1


def test_money_on_its_way_is_in_no_balance() -> None:
    events = as_events(
        "a",
        OPENED,
        event("MoneyDeposited", **moved(100 * UNIT, 100 * UNIT)),
        event("AccountDebited", transfer_id="t", to_account="b", **moved(30 * UNIT, 70 * UNIT)),
    )
    assert ask(totals, events) == [
        {
            "currency": "EUR",
            "balance": "70.00",
            "in_flight": "30.00",
            "deposited": "100.00",
            "withdrawn": "0.00",
            "accounts_open": 1,
        }
    ]


def test_sums_may_be_larger_than_the_numbers_of_json() -> None:
    most = 10**18 - 100
    deposits = [event("MoneyDeposited", **moved(most, most)) for _ in range(20)]
    events = [e for n, deposit in enumerate(deposits) for e in as_events(f"a{n}", OPENED, deposit)]
    assert ask(totals, events)[0]["balance"] == "1999999999999999.80"
