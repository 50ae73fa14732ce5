"""Accounts and transfers in memory: deciders, the process manager's reactions, and all the delays that Kafka allows between.

Commands of one source partition reach one destination partition in their order (or, if the bank is not `ordered`, in any:
money must be safe even then); everything else may be late by any time. A command id acts once. Whatever is emitted may be
refused undecided; handlers and process manager may sleep until ids are forgotten, after which the process manager reads all
events again.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from accounts.domain import decider
from accounts.money import units
from accounts.transfer_process import transfers
from eventfold.producers.decider import Refusal, State
from eventfold.producers.process_manager import Emit, Refused
from eventfold.schemas.event import Event
from eventfold.schemas.message import Message
from eventfold.schemas.partitioner import partition_of

PARTITIONS = 3
MONEY = {"accounts.MoneyDeposited": 1, "accounts.MoneyWithdrawn": -1}
MOVES = {"accounts.AccountDebited": 1, "accounts.AccountCredited": -1, "accounts.AccountRefunded": -1}
ENDS = ("completed", "failed", "compensated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command on its way. age: the bank's when what it follows from was recorded; process: the transfer's id."""

    id: str
    emit: Emit
    process: str
    age: int


@dataclass(slots=True, kw_only=True)
class Source:
    """One partition of events or of refusals, and how far the process manager has read it."""

    records: list[tuple[int, str, Event | Refused]] = field(default_factory=list)
    offset: int = 0


class Bank:
    """All state of the system; every method is one step that may happen at any moment."""

    def __init__(self, *, ordered: bool = True) -> None:
        self.ordered = ordered
        self.states: dict[str, State] = {}
        self.log: list[Event] = []
        self.emitted: list[Emit] = []
        self.age = 0
        self.sources: dict[tuple[str, int], Source] = defaultdict(Source)
        self.channels: dict[tuple[tuple[str, int], int], deque[Sent]] = defaultdict(deque)
        self.decided: set[str] = set()
        self.timers: dict[str, tuple[str, Event]] = {}
        self._numbers = iter(range(10**9))

    # -- what may happen -----------------------------------------------------------------------------------------------

    def ask(self, type_: str, key: str, **data: Any) -> Refusal | None:
        """A person's command, decided at once."""
        return self._decide(Sent(id=f"user-{next(self._numbers)}", emit=Emit(type_, key, data), process="", age=self.age))

    def deliver(self, n: int, fault: str | None = None) -> None:
        """The next command of one of the channels is decided, or refused undecided."""
        waiting = sorted(channel for channel, sent in self.channels.items() if sent)
        if waiting:
            channel = self.channels[waiting[n % len(waiting)]]
            if not self.ordered:
                channel.rotate(n)
            self._decide(channel.popleft(), fault)

    def react(self, n: int) -> None:
        """The process manager takes the next record of one of its partitions."""
        behind = sorted(place for place, source in self.sources.items() if source.offset < len(source.records))
        if not behind:
            return
        place = behind[n % len(behind)]
        source = self.sources[place]
        age, id_, record = source.records[source.offset]
        source.offset += 1
        if isinstance(record, Refused):
            reaction = transfers.refusals.get(record.command)
            self._emit(place, id_, record.process, age, reaction(record) if reaction else ())
        else:
            # As it is decoded: without the fields that the reaction does not declare to read.
            react, reads = transfers.reactions.get(record.type), transfers.reads.get(record.type)
            read = record._replace(data={k: v for k, v in record.data.items() if reads is None or k in reads})
            self._emit(place, id_, record.key, age, react(read) if react else ())
            self._timer(id_, record)

    def fire(self, n: int) -> None:
        """A deadline is over."""
        if self.timers:
            id_, event = self.timers.pop(sorted(self.timers)[n % len(self.timers)])
            place = ("events", partition_of(event.key, PARTITIONS))
            self._emit(place, f"{id_}/overdue", event.key, self.age, transfers.deadlines["overdue"].fires(event))

    def reread(self, n: int) -> None:
        """The process manager reads a partition again from any place: it emits the same commands under the same ids."""
        for source in self.sources.values():
            source.offset = min(source.offset, n % (len(source.records) + 1))

    def sleep(self) -> None:
        """Weeks later: what was sent has expired, ids are forgotten, refusals deleted, and all events are read again."""
        self.age += 1
        self.decided.clear()
        for (topic, _), source in self.sources.items():
            source.offset = 0 if topic == "events" else len(source.records)

    def run(self, choice: random.Random, steps: int) -> None:
        """So many steps in a random order, without a fault."""
        for _ in range(steps):
            choice.choice((self.deliver, self.react))(choice.randrange(1_000))

    def drain(self, choice: random.Random) -> None:
        """Until nothing is left to do."""
        for _ in range(100_000):
            if not self._busy():
                return
            self.run(choice, 1)
        raise AssertionError("the bank never comes to rest")

    # -- what must be true ---------------------------------------------------------------------------------------------

    def kind(self, kind: str) -> dict[str, State]:
        return {key: state["state"] for key, state in self.states.items() if state["kind"] == kind}

    def check(self) -> None:
        """At any moment: no overdraft, nothing on a closed account, a debit goes to one place or the other, once."""
        in_flight: Counter[str] = Counter()
        amounts: dict[str, int] = {}
        money: Counter[str] = Counter()
        closed = set()
        for event in self.log:
            data = event.data
            if event.type in MONEY:
                money[data["currency"]] += MONEY[event.type] * units(data["amount"])
            if event.type in MOVES:
                money[data["currency"]] -= MOVES[event.type] * units(data["amount"])
                in_flight[data["transfer_id"]] += MOVES[event.type] * units(data["amount"])
                amounts.setdefault(data["transfer_id"], units(data["amount"]))
            if event.type == "accounts.AccountClosed":
                closed.add(event.key)
            assert event.key not in closed or "balance" not in data, f"{event} on a closed account"
        balances: Counter[str] = Counter()
        for key, account in self.kind("account").items():
            if "status" in account:
                assert account["balance"] >= 0, f"{key} is overdrawn"
                balances[account["currency"]] += account["balance"]
        assert balances + Counter() == money + Counter()
        wrong = {id_: amount for id_, amount in in_flight.items() if amount not in (0, amounts[id_])}
        assert not wrong, f"money was made or lost: {wrong}"

    def check_rest(self) -> None:
        """Once nothing is left to do: every transfer has ended, and no money is in flight."""
        self.check()
        for id_, transfer in self.kind("transfer").items():
            assert transfer["status"] in ENDS, f"{id_} stands still: {transfer}"
        for key, account in self.kind("account").items():
            assert not account.get("debits"), f"{key} has open debits: {account}"

    def mend(self) -> None:
        """What a person sends, as docs/accounts.md says, where faults left transfers standing."""
        debits = {id_ for account in self.kind("account").values() for id_ in account.get("debits", ())}
        for id_, transfer in self.kind("transfer").items():
            match transfer["status"]:
                case "requested" | "failed" if id_ in debits:
                    self.ask("accounts.RecordDebit", id_, currency=None)
                case "requested" | "debited" | "overdue":
                    self.ask("accounts.ExpireTransfer", id_)
                case "returned":
                    self.ask("accounts.RetryRefund", id_)
                case "completed" if id_ in debits:
                    self.ask("accounts.SettleDebit", transfer["from_account"], transfer_id=id_)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _busy(self) -> bool:
        return any(self.channels.values()) or any(s.offset < len(s.records) for s in self.sources.values())

    def _decide(self, sent: Sent, fault: str | None = None) -> Refusal | None:
        type_, key, data = sent.emit
        if sent.id in self.decided:
            return None
        self.decided.add(sent.id)
        partition = partition_of(key, PARTITIONS)
        state = self.states.get(key, decider.initial())
        fault = "expired" if sent.age < self.age else fault
        decision = Refusal(code=fault, message=fault) if fault else decider.decide(state, Message(type_, dict(data)))
        if isinstance(decision, Refusal):
            if sent.process:
                refused = Refused(type_, key, sent.process, decision.code, decision.message)
                self.sources["refusals", partition].records.append((self.age, f"{sent.id}/refused", refused))
            return decision
        assert decision, f"{type_} changes nothing"
        for n, message in enumerate(decision):
            event = Event(message.type, key, dict(message.data))
            state = decider.evolve(state, message)
            self.log.append(event)
            self.sources["events", partition].records.append((self.age, f"{sent.id}/{n}", event))
        self.states[key] = state
        return None

    def _emit(self, place: tuple[str, int], id_: str, process: str, age: int, emits: Any) -> None:
        self.emitted += emits
        for n, emit in enumerate(emits):
            sent = Sent(id=f"{id_}>{n}", emit=emit, process=process, age=age)
            self.channels[place, partition_of(emit.key, PARTITIONS)].append(sent)

    def _timer(self, id_: str, event: Event) -> None:
        deadline = transfers.deadlines["overdue"]
        if event.type in deadline.starts:
            self.timers[event.key] = (id_, event)
        elif event.type in deadline.ends:
            self.timers.pop(event.key, None)
