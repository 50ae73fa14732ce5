"""Messages of `accounts` to try things on: 0.40 EUR from account a to account b."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Message as Record

from accounts.money import number
from eventfold.schemas.event import Event
from eventfold.schemas.message import Message


def command(name: str, **data: Any) -> Message:
    return Message(f"accounts.{name}", data)


event = command


def moved(amount: int, balance: int) -> dict[str, Any]:
    """What every event holds that moves money, of so many ten-thousandths."""
    return {"amount": number(amount), "currency": "EUR", "balance": number(balance)}


def route() -> dict[str, Any]:
    """What every event of a transfer holds."""
    return {"from_account": "a", "to_account": "b", "amount": number(4_000)}


def as_events(key: str, *messages: Message) -> list[Event]:
    """The events of one aggregate, as the log numbers them."""
    return numbered([Event(message.type, key, message.data) for message in messages])


def numbered(events: Iterable[Event]) -> list[Event]:
    """Events in the order of the log, each with a record that holds its version (`ce_sequence`)."""
    versions: Counter[str] = Counter()
    found = []
    for offset, event in enumerate(events):
        versions[event.key] += 1
        headers: list[tuple[str, str | bytes | None]] = [("ce_sequence", b"%d" % versions[event.key])]
        record = Record(topic="accounts.events", partition=0, offset=offset, key=event.key.encode(), headers=headers)
        found.append(event._replace(record=record))
    return found
