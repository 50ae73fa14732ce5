"""Every door through which a message is written is as strict as any other, and what was written before is still read."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Message as Record

from eventfold.processors.handler.asked import CommandReader
from eventfold.processors.handler.decide import Rules, decide
from eventfold.processors.reactor.emitting import Cause, Emitter
from eventfold.processors.testing import given as given_manager
from eventfold.producers.commands import Command, CommandSender
from eventfold.producers.decider import Decider
from eventfold.producers.process_manager import Emit, ProcessManager
from eventfold.projections.in_memory import folded
from eventfold.projections.projection import Projection, Table
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Envelope
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.message import Message
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.upcasting import Upcaster
from eventfold.schemas.writing import written
from eventfold.store.outcomes import Outcomes
from eventfold.tools.written_before import wrong_in
from tests.support.avro import catalog_of
from tests.unit.test_decide import Memory

INSTALLED = Codec(Catalog.installed(["accounts"]))
READER = CommandReader(INSTALLED, "accounts", "accounts.internal")
DEPOSIT, DEPOSITED, NAMES = "accounts.Deposit", "accounts.MoneyDeposited", Names()
ID, NOW = str(uuid.UUID(int=7)), 1_700_000_000_000


class Sent:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []

    def send(self, topic: str, key: Any, value: bytes | None, headers: Any, delivered: Any = None) -> None:
        self.values.append(value)

    def flush(self, still_s: float = 0) -> None:
        """Nothing is kept back."""


def by_codec(amount: Any) -> bytes | None:
    return INSTALLED.encode(DEPOSIT, {"amount": amount, "currency": "EUR"})


def by_client(amount: Any) -> bytes | None:
    """As the client, and the command line of a domain."""
    sent = Sent()
    sender = CommandSender(sent, INSTALLED, NAMES, cast(Outcomes, None), "/test")
    sender.send(Command(type=DEPOSIT, key="A-1", data={"amount": amount, "currency": "EUR"}))
    return sent.values[0]


def by_process_manager(amount: Any) -> bytes | None:
    emitter = Emitter("pays", names=NAMES, codec=INSTALLED, deciding=["accounts"], partitions=lambda topic: 1)
    cause = Cause(id=ID, time=NOW, correlation_id=ID, process="P", traceparent=None)
    return emitter.records([Emit(DEPOSIT, "A-1", {"amount": amount, "currency": "EUR"})], cause, None)[0].record.value


def by_json(amount: Any) -> bytes | None:
    """As HTTP, `publish` and `schemas record`."""
    return INSTALLED.encode(DEPOSIT, INSTALLED.from_json(DEPOSIT, {"amount": amount, "currency": "EUR"}))


DOORS: Sequence[Callable[[Any], bytes | None]] = (by_codec, by_client, by_process_manager, by_json)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("amount", [1_000_000, 100, 100.0, True, None, "1e2", "100.00001", b"\x01"], ids=repr)
def test_what_is_no_amount_is_refused_at_every_door_by_the_name_of_its_field(door: Callable[[Any], Any], amount: Any) -> None:
    with pytest.raises(UsageError, match=r"^accounts\.Deposit: the field 'amount'"):
        door(amount)


def test_an_amount_is_taken_at_every_door() -> None:
    whole = by_codec(Decimal(100))
    assert {door("100.00") for door in DOORS} == {whole}
    assert {door(Decimal("100.0")) for door in DOORS if door is not by_json} == {whole}
    assert INSTALLED.decode(whole).data["amount"] == Decimal(100)


def test_a_decider_whose_event_does_not_fit_refuses_the_command_alone() -> None:
    def wrong(state: Any, command: Message) -> Any:
        return [Message(DEPOSITED, {"amount": 100, "currency": "EUR", "balance": Decimal(1)})]

    decider = Decider(version=1, initial=dict, decide=wrong, evolve=lambda state, event: state)
    asked = READER.read(asking("A-1"))
    (decided,) = decide(Rules(decider=decider, codec=INSTALLED, partitions=1), cast(Any, Memory(decider)), [asked], NOW)
    assert decided.refusal is not None and decided.refusal.code == "decider-failed"
    assert "the field 'amount' must be a Decimal, or text like '1.0000', not 100" in decided.refusal.message


def asking(key: str) -> Record:
    envelope = Envelope(id=ID, type=DEPOSIT, source="/t", time=NOW, subject=key)
    value = by_codec(Decimal(100))
    headers: Any = envelope.to_headers()
    return Record(topic="accounts.commands", partition=0, offset=7, key=key.encode(), value=value, headers=headers)


@pytest.mark.parametrize("key", ["", "a\nb", "\0", "x" * 513])
def test_a_command_from_elsewhere_for_what_is_no_aggregates_id_cannot_be_read(key: str) -> None:
    asked = READER.read(asking(key))
    assert asked.message is None and "is not an aggregate's id" in asked.wrong
    assert partition_of("A-1", 1) == 0 and READER.read(asking("A-1")).message is not None


def test_what_a_deadline_keeps_comes_back_as_it_was_read() -> None:
    manager = ProcessManager(name="late", domains=("accounts",))

    @manager.deadline("late", starts="accounts.TransferRequested", ends="accounts.TransferFailed", due="deadline")
    def late(event: Event) -> Sequence[Emit]:
        return [Emit(DEPOSIT, "A-1", {"amount": event.data["amount"], "currency": "EUR"})]

    data = {"from_account": "a", "to_account": "b", "amount": Decimal("12.5000"), "deadline": 5}
    started = Event("accounts.TransferRequested", "T-1", data)
    expected = Emit(DEPOSIT, "A-1", {"amount": Decimal("12.5"), "currency": "EUR"})
    given_manager(manager, INSTALLED).at_deadline("late", started).then(expected)


# -- what was written before ---------------------------------------------------------------------------------------------

FIELDS: list[dict[str, Any]] = [
    {"name": "by", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "ratio", "type": "float"},
    {"name": "part", "type": {"type": "array", "items": {"type": "long", "logicalType": "timestamp-millis"}}},
    {"name": "on", "type": ["null", {"type": "int", "logicalType": "date"}]},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}},
]
ADDED = {"name": "added", "type": "int", "default": 0}
BEFORE: dict[str, Any] = {
    "by": "nobody",
    "ratio": math.inf,
    "part": [2**63 - 1],
    "on": 2**31 - 1,
    "price": Decimal("12345.67"),
}


def upcast(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "added": 1}


@pytest.mark.parametrize("way", ["same version", "older version", "upcaster"])
def test_what_was_written_before_is_decoded_and_folded_as_it_is_and_told(tmp_path: Path, way: str) -> None:
    files = {"Sold.v1": FIELDS} if way == "same version" else {"Sold.v1": FIELDS, "Sold.v2": [*FIELDS, ADDED]}
    catalog = catalog_of(tmp_path, files, [Upcaster("shop.Sold", 1, upcast)] if way == "upcaster" else ())
    codec = Codec(catalog)
    value = written(catalog, "shop.Sold", 1, BEFORE, as_written=True)
    expected = BEFORE | ({} if way == "same version" else {"added": int(way == "upcaster")})
    for decode in (codec.decode, codec.reader({"shop.Sold": None})):
        assert decode(value) == ("shop.Sold", expected)
    shown = json.loads(json.dumps(codec.shown(value).data, allow_nan=False))
    assert (shown["by"], shown["ratio"], shown["price"]) == ("nobody", "inf", "12345.67")

    sold = Projection(name="sold", version=1, topics=("shop.events",), tables=(Table(name="sold"),))
    sold.on("shop.Sold")(lambda row, event: {"by": event.data["by"], "on": event.data["on"], "price": str(event.data["price"])})
    row = {"by": "nobody", "on": 2**31 - 1, "price": "12345.67"}
    assert folded(sold, [Event("shop.Sold", "a\nb", codec.decode(value).data)]) == {"sold": {"a\nb": row}}

    record = Record(topic="shop.events", partition=0, offset=7, key=b"a\nb", value=value)
    key, data = wrong_in(codec, record)
    assert key == "'a\\nb' is not an aggregate's id: 1 to 512 printable characters"
    assert data.startswith("shop.Sold: the field 'by' must be a UUID, not 'nobody'; the field 'ratio' must lie between")
    assert all(f"the field '{name}'" in data for name in ("part/0", "on", "price"))


def test_of_what_can_be_written_and_of_what_cannot_be_read_nothing_is_told(tmp_path: Path) -> None:
    codec = Codec(catalog_of(tmp_path, {"Sold.v1": FIELDS}))
    data = {"by": ID, "ratio": 0.1, "part": [5], "on": None, "price": "1.5"}
    value = codec.encode("shop.Sold", data)
    for there in (value, value[:-1], b"", None):
        assert wrong_in(codec, Record(topic="shop.events", partition=0, offset=7, key=b"a", value=there)) == []
    with pytest.raises(DecodeError):
        codec.decode(value[:-1])
