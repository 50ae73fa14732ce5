"""`totals`: per currency the sum of all balances, and of the money that is on its way between two accounts.

Once nothing is on its way, balance and in_flight together are deposited less withdrawn; a read merges several partitions, each
at an offset of its own, so it may waver while money moves. Rows hold sums as text, since JSON's numbers end at 64 bits.
"""

from __future__ import annotations

from typing import Any

from accounts.money import text, units
from eventfold import Event, Projection, Reader, Row, Table

_SUMS = ("balance", "in_flight", "deposited", "withdrawn")


def merge(left: Row, right: Row) -> Row:
    merged: Row = {name: str(int(left[name]) + int(right[name])) for name in _SUMS}
    return {**merged, "accounts_open": left["accounts_open"] + right["accounts_open"]}


def _currency(event: Event) -> str:
    currency: str = event.data["currency"]
    return currency


def _amount(event: Event) -> int:
    return units(event.data["amount"])


totals = Projection(
    name="totals",
    version=1,
    topics=("accounts.events",),
    tables=(Table(name="totals", merge=merge),),
)


@totals.on("accounts.AccountOpened", key=_currency, reads=("currency",))
def opened(row: Row | None, event: Event) -> Row:
    return _moved(row, accounts_open=1)


@totals.on("accounts.AccountClosed", key=_currency, reads=("currency",))
def closed(row: Row | None, event: Event) -> Row:
    return _moved(row, accounts_open=-1)


@totals.on("accounts.MoneyDeposited", key=_currency, reads=("currency", "amount"))
def deposited(row: Row | None, event: Event) -> Row:
    return _moved(row, balance=_amount(event), deposited=_amount(event))


@totals.on("accounts.MoneyWithdrawn", key=_currency, reads=("currency", "amount"))
def withdrawn(row: Row | None, event: Event) -> Row:
    return _moved(row, balance=-_amount(event), withdrawn=_amount(event))


@totals.on("accounts.AccountDebited", key=_currency, reads=("currency", "amount"))
def debited(row: Row | None, event: Event) -> Row:
    return _moved(row, balance=-_amount(event), in_flight=_amount(event))


@totals.on("accounts.AccountCredited", "accounts.AccountRefunded", key=_currency, reads=("currency", "amount"))
def arrived(row: Row | None, event: Event) -> Row:
    return _moved(row, balance=_amount(event), in_flight=-_amount(event))


def _moved(row: Row | None, *, accounts_open: int = 0, **by: int) -> Row:
    row = row or {**dict.fromkeys(_SUMS, "0"), "accounts_open": 0}
    for name, amount in by.items():
        row[name] = str(int(row[name]) + amount)
    row["accounts_open"] += accounts_open
    return row


def sums(reader: Reader) -> list[Row]:
    """Per currency: balances, money in flight, what was ever deposited and withdrawn, open accounts."""
    return [_shown(currency, row) for currency, row in reader.all("totals").items()]


def _shown(currency: str, row: Row) -> dict[str, Any]:
    shown = {name: text(int(row[name]), currency) for name in _SUMS}
    return {"currency": currency, **shown, "accounts_open": row["accounts_open"]}


totals.answers(sums, columns=["currency", *_SUMS, "accounts_open"])
