"""`transfers`: a row per transfer, how far it has come.

The currency is known once the account that pays was debited; until then an amount is shown with as many decimals as it needs.
As in `accounts`, rows hold ints and queries give text. `version` counts the events of the transfer.
"""

from __future__ import annotations

from accounts.money import text, units
from eventfold import Event, Param, Projection, Row, Table
from eventfold.schemas.times import iso

transfers = Projection(name="transfers", version=1, topics=("accounts.events",), tables=(Table(name="transfers"),))


@transfers.on("accounts.TransferRequested", reads=("from_account", "to_account", "amount", "deadline"))
def requested(row: Row | None, event: Event) -> Row:
    data = event.data
    return {
        "id": event.key,
        "from": data["from_account"],
        "to": data["to_account"],
        "amount": units(data["amount"]),
        "currency": None,
        "state": "requested",
        "code": None,
        "message": None,
        "deadline": iso(data["deadline"]),
        "version": 1,
    }


@transfers.on("accounts.TransferDebited", reads=("currency",))
def debited(row: Row | None, event: Event) -> Row:
    row = _became(row, "debited")
    row["currency"] = event.data["currency"]
    return row


@transfers.on("accounts.TransferOverdue", reads=())
def overdue(row: Row | None, event: Event) -> Row:
    return _became(row, "overdue")


@transfers.on("accounts.TransferCompleted", reads=())
def completed(row: Row | None, event: Event) -> Row:
    return _became(row, "completed")


@transfers.on("accounts.TransferFailed", reads=("code", "message"))
def failed(row: Row | None, event: Event) -> Row:
    row = _became(row, "failed")
    row |= {name: event.data[name] for name in ("code", "message")}
    return row


@transfers.on("accounts.TransferReturned", reads=("currency", "code", "message"))
def returned(row: Row | None, event: Event) -> Row:
    row = _became(row, "returned")
    row |= {name: event.data[name] for name in ("currency", "code", "message")}
    return row


@transfers.on("accounts.TransferCompensated", reads=())
def compensated(row: Row | None, event: Event) -> Row:
    return _became(row, "compensated")


def _became(row: Row | None, state: str) -> Row:
    if row is None:
        raise ValueError("it was never requested")
    row["version"] += 1
    row["state"] = state
    return row


def _shown(row: Row) -> Row:
    return {**row, "amount": text(row["amount"], row["currency"])}


transfers.gets(
    "transfers",
    Param(name="id", positional=True, aggregate=True, help="the transfer's id"),
    help="One transfer by its id: from where to where, how much, and how far it has come.",
    show=_shown,
    columns=["id", "from", "to", "amount", "currency", "state", "code", "message", "deadline", "version"],
)
