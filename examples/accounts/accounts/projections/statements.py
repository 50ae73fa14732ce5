"""`statements`: what happened to an account, entry by entry in the order of its history, in pages.

A row is one entry, under `<account id>#<version>`, so none grows with its account. The version is that of the event
(`ce_sequence`); events that move nothing (a credit cancelled, a transfer settled) have no entry, so versions may be left out.
Such rows lie in the slice of the account's partition, and `Reader.get` does not find them; the index does.
"""

from __future__ import annotations

from typing import Any

from accounts.money import text, units
from eventfold import Event, Index, Param, Projection, Row, Table
from eventfold.schemas.errors import DecodeError


def _place(key: str, row: Row) -> tuple[str, str]:
    return key.rpartition("#")[0], f"{row['version']:019d}"


def _version(event: Event) -> int:
    version = event.header("ce_sequence")
    if version is None:
        raise DecodeError("the record has no ce_sequence header, so its entry has no place")
    return int(version)


def _key(event: Event) -> str:
    return f"{event.key}#{_version(event)}"


statements = Projection(
    name="statements",
    version=2,
    topics=("accounts.events",),
    tables=(Table(name="entries", indexes=(Index(name="by_version", member=_place),)),),
    changes=1_000,
)

_MOVED = {
    "accounts.MoneyDeposited": "deposit",
    "accounts.MoneyWithdrawn": "withdrawal",
}


@statements.on("accounts.AccountOpened", "accounts.AccountClosed", key=_key, reads=("currency",))
def opened_or_closed(row: Row | None, event: Event) -> Row:
    return _entry(event, "opened" if event.type == "accounts.AccountOpened" else "closed", amount=None, balance=0)


@statements.on(*_MOVED, key=_key, reads=("amount", "currency", "balance"))
def moved(row: Row | None, event: Event) -> Row:
    return _entry(event, _MOVED[event.type])


@statements.on("accounts.AccountDebited", key=_key, reads=("transfer_id", "to_account", "amount", "currency", "balance"))
def debited(row: Row | None, event: Event) -> Row:
    return _entry(event, "transfer out", transfer_id=event.data["transfer_id"], counterparty=event.data["to_account"])


@statements.on("accounts.AccountCredited", key=_key, reads=("transfer_id", "from_account", "amount", "currency", "balance"))
def credited(row: Row | None, event: Event) -> Row:
    return _entry(event, "transfer in", transfer_id=event.data["transfer_id"], counterparty=event.data["from_account"])


@statements.on("accounts.AccountRefunded", key=_key, reads=("transfer_id", "amount", "currency", "balance"))
def refunded(row: Row | None, event: Event) -> Row:
    return _entry(event, "refund", transfer_id=event.data["transfer_id"])


def _entry(event: Event, what: str, **more: Any) -> Row:
    row = {"transfer_id": None, "counterparty": None, "currency": event.data["currency"], **more}
    if "balance" not in more:
        row |= {name: units(event.data[name]) for name in ("amount", "balance")}
    return {"version": _version(event), "what": what, **row}


def _of(id: str) -> str:
    return id


def _shown(row: Row) -> Row:
    amount, currency = row["amount"], row["currency"]
    balance = text(row["balance"], currency)
    return {**row, "amount": None if amount is None else text(amount, currency), "balance": balance}


statements.lists(
    "entries",
    "by_version",
    _of,
    params=[Param(name="id", positional=True, aggregate=True, help="the account's id")],
    help="An account's entries in order, in pages: `next` is what to give as --page to go on, null at the end.",
    columns=["version", "what", "amount", "balance", "currency", "counterparty", "transfer_id"],
    show=_shown,
)
