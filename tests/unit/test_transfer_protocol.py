"""The whole protocol of transfers in any interleaving: money is neither made nor lost, and every transfer comes to an end."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accounts import account
from accounts.money import number
from accounts.projections import accounts, totals
from accounts.transfer_process import transfers
from eventfold.producers.process_manager import Refused
from eventfold.projections.testing import folded
from eventfold.schemas.codec import Codec
from tests.support.bank import ENDS, Bank
from tests.support.soak import SOAK

ACCOUNTS = ("a", "b", "c", "d")
UNIT = 10_000
numbers = st.integers(0, 1_000)
# "x" is never opened, "t0" may be a transfer's.
anyone = st.sampled_from((*ACCOUNTS, "x", "t0"))
amounts = st.integers(1, 6).map(lambda n: n * UNIT)


class Protocol(RuleBasedStateMachine):
    """Steps of people, handlers, process manager, clocks and faults, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = Bank()
        self.seed = 0
        self.requested = 0

    @initialize(ordered=st.booleans())
    def begin(self, ordered: bool) -> None:
        self.bank.ordered = ordered
        for key in ACCOUNTS[:3]:
            self.bank.ask("accounts.OpenAccount", key, owner="Ada", currency="EUR")
            self.bank.ask("accounts.Deposit", key, amount=number(5 * UNIT), currency=None)

    @rule(key=anyone, currency=st.sampled_from(("EUR", "JPY")))
    def open(self, key: str, currency: str) -> None:
        self.bank.ask("accounts.OpenAccount", key, owner="Ada", currency=currency)

    @rule(key=anyone, amount=amounts)
    def deposit(self, key: str, amount: int) -> None:
        self.bank.ask("accounts.Deposit", key, amount=number(amount), currency=None)

    @rule(key=anyone, close=st.booleans())
    def empty(self, key: str, close: bool) -> None:
        """Withdraw all that there is, and close the account."""
        balance = self.bank.kind("account").get(key, {}).get("balance", 0)
        self.bank.ask("accounts.Withdraw", key, amount=number(balance), currency=None)
        if close:
            self.bank.ask("accounts.CloseAccount", key)

    @rule(payer=anyone, payee=anyone, amount=amounts)
    def request(self, payer: str, payee: str, amount: int) -> None:
        data = {"from_account": payer, "to_account": payee, "amount": number(amount), "deadline": 1}
        self.bank.ask("accounts.RequestTransfer", f"t{self.requested}", **data)
        self.requested += 1

    @rule(n=numbers)
    def deliver(self, n: int) -> None:
        self.bank.deliver(n)

    @rule(n=numbers)
    def react(self, n: int) -> None:
        self.bank.react(n)

    @rule(n=numbers)
    def fire(self, n: int) -> None:
        self.bank.fire(n)

    @rule(n=numbers)
    def reread(self, n: int) -> None:
        self.bank.reread(n)

    @rule(n=numbers)
    def expire(self, n: int) -> None:
        self.bank.deliver(n, "expired")

    @rule(n=numbers)
    def fail(self, n: int) -> None:
        self.bank.deliver(n, "decider-failed")

    @precondition(lambda self: self.bank.age < 3)
    @rule()
    def sleep(self) -> None:
        self.bank.sleep()

    @rule(seed=numbers, steps=st.integers(1, 30))
    def run(self, seed: int, steps: int) -> None:
        self.seed = seed
        self.bank.run(random.Random(seed), steps)

    @invariant()
    def money_is_where_it_should_be(self) -> None:
        self.bank.check()

    def teardown(self) -> None:
        bank, choice = self.bank, random.Random(self.seed)
        bank.drain(choice)
        bank.check()
        while bank.timers:
            bank.fire(choice.randrange(1_000))
        bank.drain(choice)
        for _ in range(3):
            bank.mend()
            bank.drain(choice)
        bank.check_rest()
        self._read_models_agree()

    def _read_models_agree(self) -> None:
        found = folded(accounts, self.bank.log)["accounts"]
        expected = {
            key: (state.get("status", "unknown"), state.get("balance")) for key, state in self.bank.kind("account").items()
        }
        assert {key: (row["status"], row["balance"]) for key, row in found.items()} == expected
        for currency, row in folded(totals, self.bank.log)["totals"].items():
            there = [s for s in self.bank.kind("account").values() if s.get("currency") == currency]
            assert int(row["balance"]) == sum(state["balance"] for state in there)
            assert int(row["balance"]) == int(row["deposited"]) - int(row["withdrawn"])
            assert row["in_flight"] == "0"
            assert row["accounts_open"] == sum(state["status"] == "open" for state in there)


Protocol.TestCase.settings = settings(max_examples=1_000 if SOAK else 60, stateful_step_count=50, deadline=None)
TestProtocol = Protocol.TestCase


def get_in_the_way(bank: Bank, choice: random.Random, fault: str) -> None:
    n = choice.randrange(1_000)
    match choice.randrange(8):
        case 0 | 1:
            bank.fire(n)
        case 2 | 3:
            bank.deliver(n, fault)
        case 4:
            bank.reread(n)
        case 5:
            bank.sleep()
        case 6:
            bank.ask("accounts.CloseAccount", choice.choice("ab"))
        case 7:
            bank.ask("accounts.OpenAccount", "x", owner="Ada", currency="EUR")


@pytest.mark.parametrize("fault", ["expired", "decider-failed"])
@pytest.mark.parametrize("ordered", [True, False])
def test_few_transfers_and_every_fault_at_random_moments(ordered: bool, fault: str) -> None:
    """Deeper than the state machine comes. After what expired nobody has to mend anything."""
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    choice = random.Random(seed)
    ended, rounds = Counter[str](), 5_000 if SOAK else 500
    for _ in range(rounds):
        bank = Bank(ordered=ordered)
        for key in ("a", "b"):
            bank.ask("accounts.OpenAccount", key, owner="Ada", currency="EUR")
            bank.ask("accounts.Deposit", key, amount=number(3 * UNIT), currency=None)
        for n in range(2):
            payer, payee = choice.choice((("a", "b"), ("b", "a"), ("a", "x")))
            data = {"from_account": payer, "to_account": payee, "amount": number(choice.randint(1, 3) * UNIT), "deadline": 1}
            bank.ask("accounts.RequestTransfer", f"t{n}", **data)
        for _ in range(choice.randrange(9)):
            bank.run(choice, choice.randrange(9))
            get_in_the_way(bank, choice, fault)
        bank.drain(choice)
        bank.check()
        for _ in range(0 if fault == "expired" else 3):
            bank.mend()
            bank.drain(choice)
        bank.check_rest()
        ended.update(transfer["status"] for transfer in bank.kind("transfer").values())
    assert min(ended[status] for status in ENDS) > rounds // 20, ended


@pytest.mark.parametrize("ordered", [True, False])
def test_accounts_that_can_remember_no_more_keep_the_money_safe(ordered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transfers that cannot be cancelled stand still, all others end; money is made or lost by none."""
    monkeypatch.setattr(account, "MOST", 1)
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    choice = random.Random(seed)
    codes = Counter[str]()
    for _ in range(100):
        bank = Bank(ordered=ordered)
        for key in ("a", "b"):
            bank.ask("accounts.OpenAccount", key, owner="Ada", currency="EUR")
            bank.ask("accounts.Deposit", key, amount=number(8 * UNIT), currency=None)
            bank.ask("accounts.CancelCredit", key, transfer_id="of before")
        for n in range(6):
            payer, payee = choice.choice((("a", "b"), ("b", "a")))
            data = {"from_account": payer, "to_account": payee, "amount": number(UNIT), "deadline": 1}
            bank.ask("accounts.RequestTransfer", f"t{n}", **data)
        for _ in range(20):
            bank.run(choice, choice.randrange(9))
            get_in_the_way(bank, choice, choice.choice(("expired", "decider-failed")))
            bank.check()
        bank.drain(choice)
        bank.check()
        refused = [r for (topic, _), of in bank.sources.items() if topic == "refusals" for _, _, r in of.records]
        codes.update(r.code for r in refused if isinstance(r, Refused))
        for state in bank.kind("account").values():
            assert max(len(state.get(name, ())) for name in ("debits", "credits", "cancelled")) <= 1
    assert codes["too-many-transfers"] and codes["too-many-cancelled"], codes


def test_without_faults_every_transfer_ends_and_leaves_nothing_behind(codec: Codec) -> None:
    """Many at once, with deadlines, but none refused undecided: no person has to mend anything."""
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    choice = random.Random(seed)
    ended = set()
    for _ in range(60):
        bank = Bank()
        for key in ACCOUNTS:
            bank.ask("accounts.OpenAccount", key, owner="Ada", currency=choice.choice(("EUR", "EUR", "EUR", "JPY")))
            bank.ask("accounts.Deposit", key, amount=number(10 * UNIT), currency=None)
        for n in range(20):
            source, target = choice.sample((*ACCOUNTS, "x"), 2)
            data = {"from_account": source, "to_account": target, "amount": number(choice.randint(1, 6) * UNIT), "deadline": 1}
            bank.ask("accounts.RequestTransfer", f"t{n}", **data)
            bank.run(choice, choice.randrange(30))
            if choice.random() < 0.5:
                bank.fire(choice.randrange(100))
            bank.check()
        bank.drain(choice)
        bank.check_rest()
        ended |= {transfer["status"] for transfer in bank.kind("transfer").values()}
        assert not any(account.get("credits") for account in bank.kind("account").values())
        assert not bank.timers
        for message in (*bank.emitted, *bank.log):
            codec.encode(message.type, message.data)
    assert ended == set(ENDS)


def test_reactions_read_fields_that_there_are(codec: Codec) -> None:
    codec.reader(transfers.reads)
    types = {*codec.catalog.types("accounts", "commands")}
    assert transfers.refusals.keys() <= types
    deadline = transfers.deadlines["overdue"]
    assert {*deadline.starts, *deadline.ends} <= {*codec.catalog.types("accounts", "events")}
    for type_ in deadline.starts:
        assert deadline.due in (transfers.reads[type_] or ())
