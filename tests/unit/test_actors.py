"""Who asks is known wherever a state is made: by a handler, from the log, and in a test of one's own."""

from __future__ import annotations

import copy
import pickle

from accounts.domain import decider, domain, may
from eventfold.producers.testing import given
from eventfold.schemas.message import Actor, Message

MINE, THEIRS = Actor("mine", "person"), Actor("theirs", "person")
OPEN = Message("accounts.OpenAccount", {"owner": "Ada", "currency": "EUR"})
OPENED = Message("accounts.AccountOpened", {"owner": "Ada", "currency": "EUR"})
WITHDRAW = Message("accounts.Withdraw", {"amount": 1, "currency": None})


def test_a_message_by_somebody_is_equal_to_one_by_nobody_and_keeps_them() -> None:
    by = OPEN.by(MINE)
    assert by == OPEN and (by.actor, OPEN.actor) == (MINE, None)
    assert copy.deepcopy(by).actor == MINE and pickle.loads(pickle.dumps(by)).actor == MINE
    assert OPEN.by(None) is OPEN and by.by(THEIRS).actor == THEIRS
    type_, data = by
    assert (type_, data) == (OPEN.type, OPEN.data)


def test_who_opened_an_account_is_alone_in_taking_money_out_of_it() -> None:
    opened = given(decider).when(OPEN.by(MINE)).then(OPENED)
    assert opened.state["state"]["actor"] == "mine"
    assert given(decider, OPENED.by(MINE)).state == opened.state
    assert may(WITHDRAW.by(MINE), opened.state)
    assert not may(WITHDRAW.by(THEIRS), opened.state) and not may(WITHDRAW, opened.state)
    debit = Message("accounts.DebitAccount", {})
    assert not may(debit.by(THEIRS), opened.state)
    assert may(Message("accounts.Deposit", {}).by(THEIRS), opened.state)
    assert may(WITHDRAW.by(THEIRS), given(decider).when(OPEN).then(OPENED).state), "of somebody unknown it is everybody's"


def test_what_accounts_and_transfers_say_to_each_other_nobody_else_may() -> None:
    assert {"accounts.CreditAccount", "accounts.DebitAccount", "accounts.RecordCredit"} <= domain.internal
    assert not domain.internal & {"accounts.Deposit", "accounts.RequestTransfer", "accounts.ExpireTransfer"}
    assert (domain.scope_of("accounts.ExpireTransfer"), domain.scope_of("accounts.Deposit")) == (
        "accounts:operate",
        "accounts:write",
    )
