"""`accounts`: a row per account.

Amounts in rows are ints (accounts.money), and become text when they are asked for: how many decimals
a currency has may be amended, and the same log must always give the same rows. `version` counts every event of the id. An
id whose credits were cancelled before it was ever opened has a row with the status `unknown`; a query finds no account there.
"""

from __future__ import annotations

from accounts.money import text, units
from eventfold import Event, Param, Projection, Row, Table

accounts = Projection(name="accounts", version=1, topics=("accounts.events",), tables=(Table(name="accounts"),), changes=1_000)


@accounts.on("accounts.AccountOpened", reads=("owner", "currency"))
def opened(row: Row | None, event: Event) -> Row:
    row = _next(row, event)
    row |= {"owner": event.data["owner"], "currency": event.data["currency"], "status": "open", "balance": 0}
    return row


@accounts.on(
    *("accounts.MoneyDeposited", "accounts.MoneyWithdrawn"),
    *("accounts.AccountDebited", "accounts.AccountCredited", "accounts.AccountRefunded"),
    reads=("balance",),
)
def moved(row: Row | None, event: Event) -> Row:
    row = _next(row, event)
    row["balance"] = units(event.data["balance"])
    return row


@accounts.on("accounts.AccountClosed", reads=())
def closed(row: Row | None, event: Event) -> Row:
    row = _next(row, event)
    row["status"] = "closed"
    return row


@accounts.on("accounts.DebitSettled", "accounts.CreditSettled", "accounts.CreditCancelled", reads=())
def noted(row: Row | None, event: Event) -> Row:
    return _next(row, event)


def _next(row: Row | None, event: Event) -> Row:
    if row is None:
        row = {"id": event.key, "owner": None, "currency": None, "status": "unknown", "balance": None, "version": 0}
    row["version"] += 1
    return row


def _shown(row: Row) -> Row | None:
    if row["status"] == "unknown":
        return None
    return {**row, "balance": text(row["balance"], row["currency"])}


accounts.gets(
    "accounts",
    Param(name="id", positional=True, aggregate=True, help="the account's id"),
    help="One account by its id: owner, currency, balance, status.",
    show=_shown,
    columns=["id", "owner", "currency", "balance", "status", "version"],
)
