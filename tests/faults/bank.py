"""What the log says of a bank, counted in plain Python with nothing of eventfold but the codec and the reading of a topic."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from accounts.money import units
from tests.faults.teller import UNIT
from tests.support import log
from tests.support.sandbox import Sandbox

PAID_IN, PAID_OUT = {"MoneyDeposited", "AccountCredited", "AccountRefunded"}, {"MoneyWithdrawn", "AccountDebited"}
LAST = {
    "TransferRequested": "requested",
    "TransferDebited": "debited",
    "TransferCompleted": "completed",
    "TransferFailed": "failed",
    "TransferOverdue": "overdue",
    "TransferReturned": "returned",
    "TransferCompensated": "compensated",
}


@dataclass(slots=True)
class Bank:
    """Accounts and transfers as the log leaves them.

    balances: by account, in units. versions: events by aggregate. transfers: the state of each. moved: of each transfer what
    was taken from accounts and given to them, in units. events: ids by the id of the command that caused them; known: what that
    command is known by, as docs/design.md has it.
    """

    balances: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    transfers: dict[str, str] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    refunded: Counter[str] = field(default_factory=Counter)
    amounts: dict[str, int] = field(default_factory=dict)
    paid_in: int = 0
    events: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    known: dict[str, bytes] = field(default_factory=dict)


def read_bank(sandbox: Sandbox) -> Bank:
    """The whole log, event by event; AssertionError for a balance below zero at any point, or one that contradicts itself."""
    codec, bank = sandbox.installation.codec, Bank()
    for record in log.read(sandbox, "accounts.events"):
        event, key = codec.decode(record.value), record.key
        assert key is not None
        name = event.type.removeprefix("accounts.")
        bank.versions[key] += 1
        assert record.header("ce_sequence") == str(bank.versions[key]), f"{record}: a version twice, or left out"
        command, headers = record.header("ce_causationid"), dict(record.headers)
        bank.events[command].append(record.header("ce_id"))
        name_ = f"\n{key}" if "ce_processid" in headers else key
        known = hashlib.sha1(UUID(command).bytes + name_.encode()).digest()[:16]
        assert bank.known.setdefault(command, known) == known, f"{command} has events of two aggregates"
        _count(bank, key, name, event.data, record)
    return bank


def _count(bank: Bank, key: str, name: str, data: Mapping[str, Any], record: log.Record) -> None:
    amount = units(data["amount"]) if "amount" in data else 0
    if name in PAID_IN | PAID_OUT:
        bank.balances[key] += amount if name in PAID_IN else -amount
        assert bank.balances[key] >= 0, f"{key} is negative at {record.partition}@{record.offset}"
        says = f"{key} says {data['balance']} at {record.partition}@{record.offset}"
        assert units(data["balance"]) == bank.balances[key], says
    if name == "MoneyDeposited":
        bank.paid_in += amount
    elif name == "MoneyWithdrawn":
        bank.paid_in -= amount
    elif name == "AccountDebited":
        bank.taken[data["transfer_id"]] += amount
    elif name == "AccountCredited":
        bank.given[data["transfer_id"]] += amount
    elif name == "AccountRefunded":
        bank.refunded[data["transfer_id"]] += amount
    if name in LAST:
        bank.transfers[key] = LAST[name]
    if name == "TransferRequested":
        bank.amounts[key] = amount


def assert_conserved(bank: Bank, paid_in: int) -> None:
    """All money that was paid in lies on accounts, and each transfer moved its amount once, or not at all."""
    assert bank.paid_in == paid_in
    assert sum(bank.balances.values()) == paid_in
    for id_, state in bank.transfers.items():
        amount = bank.amounts[id_]
        moved = bank.taken[id_], bank.given[id_], bank.refunded[id_]
        right = {"completed": (amount, amount, 0), "compensated": (amount, 0, amount), "failed": (0, 0, 0)}
        assert state in right, f"the transfer {id_} is {state}"
        assert moved == right[state], f"the transfer {id_} of {amount} is {state}, but moved {moved}"


def assert_decided_once(sandbox: Sandbox, bank: Bank) -> Mapping[str, str]:
    """Every command has one outcome's worth of events, or one refusal; returns the codes of the refused ones by id."""
    codec = sandbox.installation.codec
    refused: dict[str, str] = {}
    for record in log.read(sandbox, "accounts.refusals"):
        data = codec.decode(record.value).data
        assert data["command_id"] not in refused, f"{data['command_id']} is refused twice"
        refused[data["command_id"]] = data["code"]
    topics = ("accounts.commands", "accounts.internal")
    asked = {record.header("ce_id") for topic in topics for record in log.read(sandbox, topic)}
    both = bank.events.keys() & refused.keys()
    assert not both, f"accepted and refused: {sorted(both)[:3]}"
    assert bank.events.keys() | refused.keys() == asked
    for command, ids in bank.events.items():
        made = [str(uuid5(UUID(bytes=bank.known[command]), str(index))) for index in range(len(ids))]
        assert ids == made, f"{command} has the events {ids}"
    return refused


def assert_read_models(sandbox: Sandbox, bank: Bank) -> None:
    """What queries answer is what the log says."""
    client = sandbox.client
    for key, balance in bank.balances.items():
        row = client.query("accounts", id=key)
        assert (Decimal(row["balance"]), row["version"]) == (Decimal(balance) / UNIT, bank.versions[key]), key
    rows = sandbox.rows("transfers")
    assert {id_: row["state"] for id_, row in rows.items()} == bank.transfers
    totals = client.query("totals")
    assert sum(Decimal(row["balance"]) for row in totals) == Decimal(sum(bank.balances.values())) / UNIT
    assert all(Decimal(row["in_flight"]) == 0 for row in totals)
