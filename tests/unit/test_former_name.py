"""What was written when eventfold was called logfold stays readable: refusals, dead letters, exports."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Message as KafkaMessage

from eventfold import Emit, ProcessManager, Refused
from eventfold.processors.dead_letters.letters import PARKED, RETRIED, Letter, open_letters, own_headers, read
from eventfold.processors.reactor.emitting import Emitter
from eventfold.processors.reactor.reacting import Reactions
from eventfold.schemas import container
from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Envelope, Headers
from eventfold.schemas.names import Names
from eventfold.schemas.position import Position
from eventfold.schemas.record import Record
from eventfold.schemas.registry.framing import Confluent
from tests.support.local_stack import REPOSITORY

ORIGIN = Position("flights.events", 1, 5)


def record(topic: str, value: bytes | None, headers: Headers) -> Record:
    return KafkaMessage(topic=topic, partition=1, offset=7, key=b"UA1", value=value, headers=headers, timestamp=(2, 5))


def letter(name: str, state: str) -> Record:
    """A dead letter as the product wrote it under this name."""
    own: Headers = [(f"{name}-owner", b"billing"), (f"{name}-origin", str(ORIGIN).encode()), (f"{name}-error", b"no")]
    return record("flights.dead-letters", b"v", [("ce_id", b"1"), *own, (f"{name}-state", state.encode())])


def test_a_process_manager_reacts_to_refusals_of_both_names(codec: Codec) -> None:
    manager = ProcessManager(name="billing", domains=("flights",))

    @manager.refused("flights.CancelFlight")
    def not_cancelled(refused: Refused) -> Sequence[Emit]:
        return [Emit("flights.CancelFlight", refused.process, {"cancelled_at": 1})]

    emitter = Emitter("billing", names=Names(), codec=codec, deciding=["flights"], partitions=lambda _: 3)
    reactions = Reactions(manager, emitter, codec, ["flights.refusals"])
    data = {"command_id": "x", "command_type": "flights.CancelFlight", "code": "no", "message": "no", "version": 1}
    for type_ in ("eventfold.CommandRefused", "logfold.CommandRefused"):
        envelope = Envelope(id=str(uuid.uuid4()), type=type_, source="/t", time=1, subject="UA1", process_id="billing/P-1")
        refusal = record("flights.refusals", codec.encode(type_, data), envelope.to_headers())
        assert [emitted.place[0] for emitted in reactions.of(refusal)] == ["flights.internal"]


def test_a_dead_letter_of_the_former_name_is_one(codec: Codec) -> None:
    for name in ("eventfold", "logfold"):
        found = read(letter(name, PARKED), "flights.handler")
        assert (found.owner, found.origin, found.error, found.state) == ("billing", ORIGIN, "no", PARKED)
        assert found.headers == [("ce_id", b"1")]
        assert own_headers(letter(name, PARKED))["owner"] == b"billing"


def test_a_dead_letter_of_the_former_name_is_ended_under_the_new_one() -> None:
    former: Letter = read(letter("logfold", PARKED), "")
    assert open_letters([former, read(letter("eventfold", RETRIED), "")]) == []


class Registry:
    """Ids of schemas, and which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def id_of(self, message: MessageSchema) -> int:
        self.asked.append(message.type)
        return len(self.asked)

    def schema(self, id_: int) -> MessageSchema:
        return Catalog.installed([]).newest("logfold.CommandRefused")


def test_a_registry_is_not_asked_to_hold_the_former_name_but_what_it_holds_is_read() -> None:
    registry = Registry()
    framing = Confluent(Catalog.installed([]), registry)
    framing.load()
    assert {*registry.asked} == {"eventfold.CommandRefused"}
    _, message = framing.unknown(b"\0\0\0\0\7body")
    assert (message.type, message.version) == ("logfold.CommandRefused", 1)


def test_an_export_of_the_former_name_is_read() -> None:
    path = REPOSITORY / "tests" / "recorded" / "flights.refusals-0.avro"
    assert b"logfold.topic" in Path(path).read_bytes()
    with container.opened(path) as (about, records):
        assert about["topic"] == "flights.refusals"
        assert len(list(records)) > 0
