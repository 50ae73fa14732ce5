"""The rules of accounts and transfers, and that no sequence of commands breaks what must always be true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from accounts.account import MOST
from accounts.domain import decider
from accounts.money import LARGEST, number, units
from eventfold.processors.handler.decide import LARGEST_STATE
from eventfold.producers.decider import Refusal, State, evolved
from eventfold.producers.testing import Given, given
from eventfold.schemas.codec import Codec
from eventfold.schemas.message import Message
from eventfold.store.rows import to_json
from tests.support.accounts import command, event, moved, route

OPENED = event("AccountOpened", owner="Ada Lovelace", currency="EUR")
FULL = event("MoneyDeposited", **moved(10_000, 10_000))
DEBITED = event("AccountDebited", transfer_id="t", to_account="b", **moved(4_000, 6_000))
CREDITED = event("AccountCredited", transfer_id="t", from_account="a", **moved(4_000, 4_000))
CANCELLED = event("CreditCancelled", transfer_id="t")
CLOSED = event("AccountClosed", currency="EUR")
DEBIT = command("DebitAccount", transfer_id="t", to_account="b", amount=number(4_000))
CREDIT = command("CreditAccount", transfer_id="t", from_account="a", amount=number(4_000), currency="EUR")
CANCEL = command("CancelCredit", transfer_id="t")
REFUND = command("RefundDebit", transfer_id="t")

ASKED = event("TransferRequested", **route(), deadline=7)
PAID = event("TransferDebited", **route(), currency="EUR", deadline=7)
LATE = event("TransferOverdue", **route(), currency="EUR")
ARRIVED = event("TransferCompleted", **route(), currency="EUR")
FAILED = event("TransferFailed", code="deadline", message="late", **route())
BACK = event("TransferReturned", **route(), currency="EUR", code="closed", message="it is closed")
MADE_GOOD = event("TransferCompensated", **route(), currency="EUR")


def deposit(amount: int, currency: str | None = None) -> Message:
    return command("Deposit", amount=number(amount), currency=currency)


def withdraw(amount: int, currency: str | None = None) -> Message:
    return command("Withdraw", amount=number(amount), currency=currency)


def account(*events: Message) -> Given:
    return given(decider, *events)


# -- accounts ------------------------------------------------------------------------------------------------------------


def test_the_life_of_an_account() -> None:
    opened = account().when(command("OpenAccount", owner="Ada Lovelace", currency="EUR")).then(OPENED)
    full = opened.when(deposit(10_000)).then(FULL)
    empty = full.when(withdraw(10_000, "EUR")).then(event("MoneyWithdrawn", **moved(10_000, 0)))
    empty.when(command("CloseAccount")).then(CLOSED)


def test_one_half_of_a_transfer_and_the_other() -> None:
    debited = account(OPENED, FULL).when(DEBIT).then(DEBITED)
    debited.when(REFUND).then(event("AccountRefunded", transfer_id="t", **moved(4_000, 10_000)))
    debited.when(command("SettleDebit", transfer_id="t")).then(event("DebitSettled", transfer_id="t"))
    credited = account(OPENED).when(CREDIT).then(CREDITED)
    settled = credited.when(command("SettleCredit", transfer_id="t")).then(event("CreditSettled", transfer_id="t"))
    settled.when(command("SettleCredit", transfer_id="t")).then_refused("no-such-credit")


def test_a_credit_is_cancelled_wherever_it_was_to_go() -> None:
    account().when(CANCEL).then(CANCELLED)
    account(OPENED, CLOSED).when(CANCEL).then(CANCELLED)
    opened = account(CANCELLED).when(command("OpenAccount", owner="Ada Lovelace", currency="EUR")).then(OPENED)
    opened.when(CREDIT).then_refused("credit-cancelled")
    opened.when(CANCEL).then_refused("credit-cancelled")


@pytest.mark.parametrize(
    ("before", "asked", "code"),
    [
        ([OPENED], command("OpenAccount", owner="Bob", currency="EUR"), "already-open"),
        ([OPENED, CLOSED], command("OpenAccount", owner="Bob", currency="EUR"), "closed"),
        ([], command("OpenAccount", owner=" ", currency="EUR"), "no-owner"),
        ([], command("OpenAccount", owner="Bob", currency="XAU"), "unknown-currency"),
        ([], command("OpenAccount", owner="Bob", currency="eur"), "unknown-currency"),
        ([], deposit(100), "not-open"),
        ([CANCELLED], deposit(100), "not-open"),
        ([OPENED, CLOSED], deposit(100), "closed"),
        ([OPENED], deposit(0), "amount-not-positive"),
        ([OPENED], deposit(-100), "amount-not-positive"),
        ([OPENED], deposit(150), "amount-too-fine"),
        ([OPENED], deposit(100, "USD"), "other-currency"),
        ([OPENED, FULL], deposit(LARGEST // 100 * 100), "balance-too-large"),
        ([], withdraw(100), "not-open"),
        ([OPENED, CLOSED], withdraw(100), "closed"),
        ([OPENED, FULL], withdraw(10_100), "overdraft"),
        ([OPENED, FULL], withdraw(-100), "amount-not-positive"),
        ([OPENED, FULL], withdraw(1), "amount-too-fine"),
        ([OPENED, FULL], withdraw(100, "USD"), "other-currency"),
        ([], command("CloseAccount"), "not-open"),
        ([CANCELLED], command("CloseAccount"), "not-open"),
        ([OPENED, CLOSED], command("CloseAccount"), "closed"),
        ([OPENED, FULL], command("CloseAccount"), "balance-not-zero"),
        ([OPENED, FULL, DEBITED, event("MoneyWithdrawn", **moved(6_000, 0))], command("CloseAccount"), "transfers-pending"),
        ([], DEBIT, "not-open"),
        ([OPENED, CLOSED], DEBIT, "closed"),
        ([OPENED], DEBIT, "overdraft"),
        ([OPENED, FULL, DEBITED], DEBIT, "already-debited"),
        ([OPENED, FULL], command("DebitAccount", transfer_id="t", to_account="b", amount=number(0)), "amount-not-positive"),
        ([OPENED, FULL], command("DebitAccount", transfer_id="t", to_account="b", amount=number(1)), "amount-too-fine"),
        ([], CREDIT, "not-open"),
        ([OPENED, CLOSED], CREDIT, "closed"),
        ([OPENED, CREDITED], CREDIT, "already-credited"),
        ([OPENED, CANCELLED], CREDIT, "credit-cancelled"),
        ([OPENED, CANCELLED, CLOSED], CREDIT, "credit-cancelled"),
        ([event("AccountOpened", owner="Bob", currency="USD")], CREDIT, "other-currency"),
        ([OPENED, CREDITED], CANCEL, "already-credited"),
        ([], REFUND, "no-such-debit"),
        ([OPENED, FULL], REFUND, "no-such-debit"),
        ([OPENED, FULL, DEBITED, event("DebitSettled", transfer_id="t")], REFUND, "no-such-debit"),
        ([], command("SettleDebit", transfer_id="t"), "no-such-debit"),
        ([], command("SettleCredit", transfer_id="t"), "no-such-credit"),
        ([CANCELLED], command("SettleCredit", transfer_id="t"), "no-such-credit"),
    ],
)
def test_what_an_account_refuses(before: list[Message], asked: Message, code: str) -> None:
    account(*before).when(asked).then_refused(code)


def test_a_balance_keeps_room_for_what_may_come_back() -> None:
    most = LARGEST // 100 * 100
    before = [
        OPENED,
        event("MoneyDeposited", **moved(most, most)),
        event("AccountDebited", transfer_id="t", to_account="b", **moved(most, 0)),
    ]
    account(*before).when(deposit(100)).then_refused("balance-too-large")
    account(*before).when(REFUND).then(event("AccountRefunded", transfer_id="t", **moved(most, most)))


# -- transfers -----------------------------------------------------------------------------------------------------------

RECORD = command("RecordDebit", currency="EUR")
LOST = command("RecordDebit", currency=None)
EXPIRE = command("ExpireTransfer")
REFUSED = command("RecordCreditRefused", code="closed", message="it is closed")


def test_the_ways_that_a_transfer_may_go() -> None:
    asked = account().when(command("RequestTransfer", **route(), deadline=7)).then(ASKED)
    paid = asked.when(RECORD).then(PAID)
    paid.when(command("RecordCredit")).then(ARRIVED)
    back = paid.when(REFUSED).then(BACK)
    back.when(command("RecordRefund")).then(MADE_GOOD)
    late = paid.when(EXPIRE).then(LATE)
    late.when(EXPIRE).then(LATE)
    late.when(command("RecordCredit")).then(ARRIVED)
    late.when(REFUSED).then(BACK)
    asked.when(command("FailTransfer", code="overdraft", message="no")).then(
        event("TransferFailed", code="overdraft", message="no", **route())
    )


def test_a_refund_is_asked_for_again() -> None:
    again = account(ASKED, PAID, BACK).when(command("RetryRefund")).then(BACK)
    again.when(command("RecordRefund")).then(MADE_GOOD)


@pytest.mark.parametrize(
    ("before", "asked", "currency", "code"),
    [
        ([ASKED, FAILED], RECORD, "EUR", "deadline"),
        ([ASKED, FAILED], LOST, None, "deadline"),
        ([ASKED], LOST, None, "record-lost"),
    ],
)
def test_a_debit_that_is_told_too_late_is_given_back(
    before: list[Message], asked: Message, currency: str | None, code: str
) -> None:
    decision = account(*before).when(asked).decision
    assert not isinstance(decision, Refusal)
    assert [(message.type, message.data["currency"], message.data["code"]) for message in decision] == [
        ("accounts.TransferReturned", currency, code)
    ]


def test_nothing_moved_before_the_deadline() -> None:
    decision = account(ASKED).when(EXPIRE).decision
    assert not isinstance(decision, Refusal)
    assert [(message.type, message.data["code"]) for message in decision] == [("accounts.TransferFailed", "deadline")]


_PATHS = {
    "requested": [ASKED],
    "debited": [ASKED, PAID],
    "overdue": [ASKED, PAID, LATE],
    "returned": [ASKED, PAID, BACK],
    "completed": [ASKED, PAID, ARRIVED],
    "failed": [ASKED, FAILED],
    "compensated": [ASKED, PAID, BACK, MADE_GOOD],
}
_ALLOWED: dict[str, tuple[Message, set[str]]] = {
    "record": (RECORD, {"requested", "failed"}),
    "fail": (command("FailTransfer", code="x", message="y"), {"requested"}),
    "credit": (command("RecordCredit"), {"debited", "overdue"}),
    "refused": (REFUSED, {"debited", "overdue"}),
    "refund": (command("RecordRefund"), {"returned"}),
    "expire": (EXPIRE, {"requested", "debited", "overdue"}),
    "retry": (command("RetryRefund"), {"returned"}),
}


@pytest.mark.parametrize("status", _PATHS)
@pytest.mark.parametrize("what", _ALLOWED)
def test_what_a_transfer_takes_in_each_state(what: str, status: str) -> None:
    asked, allowed = _ALLOWED[what]
    decided = account(*_PATHS[status]).when(asked)
    if status in allowed:
        assert not isinstance(decided.decision, Refusal)
    else:
        decided.then_refused("wrong-state")
    account().when(asked).then_refused("not-requested")


@pytest.mark.parametrize(
    ("before", "asked", "code"),
    [
        ([ASKED], command("RequestTransfer", **route(), deadline=7), "already-requested"),
        ([], command("RequestTransfer", **{**route(), "to_account": "a"}, deadline=7), "same-account"),
        ([], command("RequestTransfer", **{**route(), "amount": number(0)}, deadline=7), "amount-not-positive"),
        ([], command("RequestTransfer", **{**route(), "from_account": ""}, deadline=7), "not-an-id"),
        ([], command("RequestTransfer", **{**route(), "to_account": "b\n"}, deadline=7), "not-an-id"),
        ([OPENED, FULL], command("DebitAccount", transfer_id="", to_account="b", amount=number(100)), "not-an-id"),
        (
            [OPENED],
            command("CreditAccount", transfer_id="x" * 513, from_account="a", amount=number(100), currency="EUR"),
            "not-an-id",
        ),
        ([], command("CancelCredit", transfer_id="\0"), "not-an-id"),
        ([ASKED], deposit(100), "not-an-account"),
        ([ASKED], command("OpenAccount", owner="Ada", currency="EUR"), "not-an-account"),
        ([ASKED], CANCEL, "not-an-account"),
        ([OPENED], command("RequestTransfer", **route(), deadline=7), "not-a-transfer"),
        ([CANCELLED], command("RequestTransfer", **route(), deadline=7), "not-a-transfer"),
        ([], Message("accounts.Rob", {}), "unknown-command"),
    ],
)
def test_what_an_id_refuses(before: list[Message], asked: Message, code: str) -> None:
    account(*before).when(asked).then_refused(code)


LONG = ["é" * 512, "~" + "a" * 32, '"' * 512, "x" * 41]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (lambda id_: command("CancelCredit", transfer_id=id_), "too-many-cancelled"),
        (
            lambda id_: command("CreditAccount", transfer_id=id_, from_account="a", amount=number(100), currency="EUR"),
            "too-many-transfers",
        ),
        (lambda id_: command("DebitAccount", transfer_id=id_, to_account="b", amount=number(100)), "too-many-transfers"),
    ],
    ids=["cancelled", "credited", "debited"],
)
def test_the_state_of_an_account_is_bounded_and_each_id_counts_once(asked: Callable[[str], Message], code: str) -> None:
    """What does not fit is refused, at a size that the handler takes, and an id is known as long as it must be."""
    at = account(OPENED, event("MoneyDeposited", **moved(LARGEST // 200 * 100, LARGEST // 200 * 100)))
    ids = [*(f"{long}{number}"[-512:] for long in LONG for number in range(300)), "t"]
    taken, state = [], at.state
    for id_ in ids:
        decision = decider.decide(state, asked(id_))
        if isinstance(decision, Refusal):
            assert (decision.code, len(taken)) == (code, MOST)
        else:
            taken.append(id_)
            (state,) = [evolved(decider, state, made) for made in decision]
    assert len(taken) == MOST
    assert len(to_json(state)) < LARGEST_STATE / 3
    for id_ in taken[::50]:
        again = decider.decide(state, asked(id_))
        assert isinstance(again, Refusal) and again.code in ("credit-cancelled", "already-credited", "already-debited")


def test_a_full_memory_of_cancellations_holds_nobody_up_for_good() -> None:
    """What is remembered stays so; once the account is closed, it takes no credit of anyone and need not remember more."""
    full = [OPENED, *(event("CreditCancelled", transfer_id=f"t{number}") for number in range(MOST))]
    account(*full).when(CANCEL).then_refused("too-many-cancelled")
    account(*full).when(deposit(100)).then(event("MoneyDeposited", **moved(100, 100)))
    closed = account(*full).when(command("CloseAccount")).then(CLOSED).when(CANCEL).then(CANCELLED)
    closed.when(CREDIT).then_refused("closed")
    closed.when(command("CancelCredit", transfer_id="t7")).then_refused("credit-cancelled")


def test_a_log_of_before_with_more_is_folded() -> None:
    more = [OPENED, *(event("CreditCancelled", transfer_id=f"t{number}") for number in range(MOST + 5))]
    account(*more).when(command("CancelCredit", transfer_id=f"t{MOST + 4}")).then_refused("credit-cancelled")


# -- no sequence of commands ---------------------------------------------------------------------------------------------

amounts = st.integers(-200, 1_000).map(lambda n: n * 100) | st.sampled_from([1, LARGEST, LARGEST // 100 * 100])
ids = st.sampled_from(["t", "u"])
currencies = st.sampled_from(["EUR", "USD"])
commands = st.one_of(
    st.builds(lambda c: command("OpenAccount", owner="Ada", currency=c), currencies),
    st.builds(lambda a, c: deposit(a, c), amounts, currencies | st.none()),
    st.builds(lambda a, c: withdraw(a, c), amounts, currencies | st.none()),
    st.just(command("CloseAccount")),
    st.builds(lambda t, a: command("DebitAccount", transfer_id=t, to_account="b", amount=number(a)), ids, amounts),
    st.builds(
        lambda t, a, c: command("CreditAccount", transfer_id=t, from_account="b", amount=number(a), currency=c),
        ids,
        amounts,
        currencies,
    ),
    st.builds(
        lambda name, t: command(name, transfer_id=t),
        st.sampled_from(["CancelCredit", "RefundDebit", "SettleDebit", "SettleCredit"]),
        ids,
    ),
)


@hypothesis_given(asked=st.lists(commands, max_size=40))
def test_no_sequence_of_commands_breaks_an_account(codec: Codec, asked: list[Message]) -> None:
    at: Given = account()
    history: list[Message] = []
    for message in asked:
        decided = at.when(message)
        if isinstance(decided.decision, Refusal):
            continue
        before, events = _account(at.state), [*decided.decision]
        for made in events:
            codec.encode(made.type, made.data)
            _check(before, made)
            history.append(made)
        at = decided.then(*events)
        state = _account(at.state)
        if "status" in state:
            assert 0 <= state["balance"] <= LARGEST - sum(state["debits"].values())
            assert state["balance"] % 100 == 0
    for id_ in ("t", "u"):
        types = [made.type.partition(".")[2] for made in history if made.data.get("transfer_id") == id_]
        cancelled = types.index("CreditCancelled") if "CreditCancelled" in types else len(types)
        assert "AccountCredited" not in types[cancelled:]


def _account(state: State) -> dict[str, Any]:
    found: dict[str, Any] = state["state"] if state else {}
    return found


def _check(before: dict[str, Any], made: Message) -> None:
    """An event against the state it came after."""
    data = made.data
    if "balance" in data:
        assert before["status"] == "open"
        assert data["currency"] == before["currency"]
        assert data["amount"] > 0
        assert abs(units(data["balance"]) - before["balance"]) == units(data["amount"])
    if made.type == "accounts.AccountClosed":
        assert before["balance"] == 0 and not before["debits"]
    if made.type == "accounts.AccountRefunded":
        assert units(data["amount"]) == before["debits"][data["transfer_id"]]
