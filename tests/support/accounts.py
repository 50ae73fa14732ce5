"""Messages of `accounts` to try things on: 0.40 EUR from account a to account b."""

from __future__ import annotations

from typing import Any

from schemas.message import Message


def command(name: str, **data: Any) -> Message:
    return Message(f"accounts.{name}", data)


event = command


def moved(amount: int, balance: int) -> dict[str, Any]:
    """What every event holds that moves money."""
    return {"amount": amount, "currency": "EUR", "balance": balance}


def route() -> dict[str, Any]:
    """What every event of a transfer holds."""
    return {"from_account": "a", "to_account": "b", "amount": 4_000}
