"""From records to commands: which records a process manager looks at, and what it makes of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Message as Record

from eventfold.processors.reactor.emitting import Emitted, Emitter
from eventfold.processors.reactor.reacting import ReactionError, Reactions, check_declared
from eventfold.processors.reactor.timers import due_text, index_name, timers_of
from eventfold.producers.process_manager import COMMANDS_LIVE_MS, Emit, ProcessManager, Refused
from eventfold.projections.testing import assert_folds_alike, folded, given
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Envelope
from eventfold.schemas.errors import NotFoundError, Transient, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.ids import derived_id
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from tests.support.flights import DEPARTURE, departed, flight_id, scheduled

PARTITIONS, NOW = 6, 1_700_000_000_000
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ID, OTHER = flight_id(1), flight_id(2)


def rebooking() -> ProcessManager:
    """A departed flight cancels the next one; where that is refused, the one after is; nobody waits longer than an hour."""
    manager = ProcessManager(name="rebooking", domains=("flights",))

    @manager.on("flights.FlightDeparted", reads=("departed_at",))
    def next_one(event: Event) -> Sequence[Emit]:
        return [Emit("flights.CancelFlight", OTHER, {"cancelled_at": event.data["departed_at"]})]

    @manager.refused("flights.CancelFlight")
    def another(refused: Refused) -> Sequence[Emit]:
        return [Emit("flights.CancelFlight", refused.process, {"cancelled_at": 1})] * 2

    @manager.deadline(
        "late", starts="flights.FlightScheduled", ends="flights.FlightDeparted", due="scheduled_departure", reads=()
    )
    def late(event: Event) -> Sequence[Emit]:
        return [Emit("flights.CancelFlight", event.key, {"cancelled_at": event.data["scheduled_departure"]})]

    return manager


def reactions(codec: Codec, manager: ProcessManager, partitions: Any = lambda topic: PARTITIONS) -> Reactions:
    emitter = Emitter(manager.name, names=Names(prefix="x."), codec=codec, deciding=["flights"], partitions=partitions)
    return Reactions(manager, emitter, codec, ["x.flights.refusals"])


def event(codec: Codec, type_: str = "flights.FlightDeparted", data: Any = None, key: str | None = ID, **more: Any) -> Record:
    value = codec.encode(type_, departed(1) if data is None else data)
    return record("x.flights.events", key, value, type_, **more)


def record(topic: str, key: str | None, value: bytes | None, type_: str, without: str = "", **more: Any) -> Record:
    fields: dict[str, Any] = {"id": str(uuid.uuid4()), "source": "/t", "time": NOW, "subject": key or "", **more}
    headers: Any = [header for header in Envelope(type=type_, **fields).to_headers() if header[0] != without]
    raw = None if key is None else key.encode()
    return Record(topic=topic, partition=3, offset=7, key=raw, value=value, headers=headers, timestamp=(2, NOW + 5))


def refusal(codec: Codec, process_id: str | None, command: str = "flights.CancelFlight", value: bytes | None = None) -> Record:
    data = {"command_id": "x", "command_type": command, "code": "no", "message": "no", "version": 1}
    encoded = codec.encode("eventfold.CommandRefused", data) if value is None else value
    return record("x.flights.refusals", OTHER, encoded, "eventfold.CommandRefused", process_id=process_id)


def envelopes(emitted: Sequence[Emitted]) -> list[Envelope]:
    return [Envelope.from_headers(of.record.headers) for of in emitted]


def test_a_command_follows_from_its_event_alone(codec: Codec) -> None:
    came = event(codec, correlation_id="c", traceparent=TRACE)
    emitted = reactions(codec, rebooking()).of(came)
    assert emitted == reactions(codec, rebooking()).of(came)
    (one,) = emitted
    id_ = dict(came.headers() or ())["ce_id"].decode()  # type: ignore[union-attr]
    assert one.place == ("x.flights.internal", partition_of(OTHER, PARTITIONS))
    assert codec.decode(one.record.value).data == {"cancelled_at": departed(1)["departed_at"]}
    assert envelopes(emitted) == [
        Envelope(
            id=derived_id(id_, "rebooking:0"),
            type="flights.CancelFlight",
            source="/eventfold/process-managers/rebooking",
            time=NOW,
            subject=OTHER,
            correlation_id="c",
            causation_id=id_,
            expires=NOW + 5 + COMMANDS_LIVE_MS,
            traceparent=TRACE,
            process_id=f"rebooking/{ID}",
        )
    ]


def test_a_process_goes_on_under_its_own_id_only(codec: Codec) -> None:
    def process(of: str | None) -> str | None:
        return envelopes(reactions(codec, rebooking()).of(event(codec, process_id=of)))[0].process_id

    assert process("rebooking/P/1") == "rebooking/P/1"
    assert process("refunds/P-1") == f"rebooking/{ID}"
    assert process("rebooking") == process(None) == f"rebooking/{ID}"


def test_of_refusals_only_its_own_are_looked_into(codec: Codec) -> None:
    reacting = reactions(codec, rebooking())
    emitted = reacting.of(refusal(codec, f"rebooking/{ID}"))
    assert [of.subject for of in envelopes(emitted)] == [ID, ID]
    assert len({of.id for of in envelopes(emitted)}) == 2
    for other in (None, "refunds/1", "rebookings/1"):
        foreign = refusal(codec, other, value=b"never decoded")
        assert (reacting.of(foreign), reacting.wants(foreign)) == ((), False)
    assert reacting.of(refusal(codec, f"rebooking/{ID}", "flights.DepartFlight")) == ()
    with pytest.raises(ReactionError, match=r"x\.flights\.refusals/3@7 key b'.*': not Avro"):
        reacting.of(refusal(codec, f"rebooking/{ID}", value=b"garbage that is long enough"))


def test_what_it_does_not_react_to_is_not_decoded(codec: Codec) -> None:
    reacting = reactions(codec, rebooking())
    cut = record("x.flights.events", ID, codec.encode("flights.FlightScheduled", scheduled(1))[:-3], "flights.FlightScheduled")
    assert (reacting.of(cut), reacting.wants(cut)) == ((), False)
    assert reacting.wants(event(codec))
    assert reacting.wants(record("x.flights.events", ID, b"garbage that is long enough", "?"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"without": "ce_id"}, "no ce_id header"),
        ({"without": "ce_time"}, "no ce_time header"),
        ({"id": "42"}, "'42' is not a command id"),
        ({"key": None}, "the record has no key"),
    ],
)
def test_a_record_from_which_no_id_follows_is_at_fault(codec: Codec, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ReactionError, match=f"x.flights.events/3@7 key .*{says}"):
        reactions(codec, rebooking()).of(event(codec, **change))


@pytest.mark.parametrize(
    ("emits", "says"),
    [
        ([Emit("flights.Nothing", ID, {})], "'flights.Nothing' is no command of an enabled domain"),
        ([Emit("flights.FlightDeparted", ID, departed(1))], "'flights.FlightDeparted' is no command"),
        ([Emit("flights.CancelFlight", ID, {})], "'cancelled_at' is missing"),
        ([Emit("flights.CancelFlight", "", {"cancelled_at": 1})], "is not an aggregate's id"),
        ([Emit("flights.CancelFlight", 7, {"cancelled_at": 1})], "TypeError"),  # type: ignore[arg-type]
        (None, "returned None"),
        (["flights.CancelFlight"], "ValueError"),
    ],
)
def test_what_cannot_be_sent_is_the_reactions_fault(codec: Codec, emits: Any, says: str) -> None:
    manager = ProcessManager(name="rebooking", domains=("flights",))
    manager.on("flights.FlightDeparted")(lambda event: emits)
    with pytest.raises(ReactionError, match=f"x.flights.events/3@7 key .*: rebooking cannot react: .*{says}"):
        reactions(codec, manager).of(event(codec))


@pytest.mark.parametrize("fault", [Transient("away"), NotFoundError("no such topic")])
def test_a_kafka_that_is_away_is_not_the_records_fault(codec: Codec, fault: Exception) -> None:
    def partitions(topic: str) -> int:
        raise fault

    with pytest.raises(type(fault)):
        reactions(codec, rebooking(), partitions).of(event(codec))


def test_what_no_enabled_domain_has_is_refused_at_start(codec: Codec) -> None:
    check_declared(rebooking(), codec.catalog, ["flights"], ["flights"])
    with pytest.raises(UsageError, match="reads 'flights', which is not enabled; there are: shop"):
        check_declared(rebooking(), codec.catalog, ["shop"], [])
    with pytest.raises(UsageError, match=r"'flights\.CancelFlight', which is no command of its domains"):
        check_declared(rebooking(), codec.catalog, ["flights"], [])
    manager = ProcessManager(name="m", domains=("flights",))
    manager.on("flights.Departed")(lambda event: [])
    with pytest.raises(UsageError, match=r"names 'flights\.Departed', which is no event of its domains"):
        check_declared(manager, codec.catalog, ["flights"], ["flights"])


# -- timers --------------------------------------------------------------------------------------------------------------


def test_timers_run_from_start_to_end() -> None:
    timers = timers_of(rebooking())
    assert timers is not None
    assert (timers.name, timers.topics) == ("rebooking-timers", ("flights.events",))
    start, end = Event("flights.FlightScheduled", ID, scheduled(1)), Event("flights.FlightDeparted", ID, departed(1))
    row = {
        "due": DEPARTURE,
        "id": "",
        "correlation": "",
        "process": ID,
        "trace": "",
        "type": "flights.FlightScheduled",
        "data": {"scheduled_departure": DEPARTURE},
    }
    given(timers, start).then("late", ID, row).then_none("late", OTHER)
    given(timers, start, end).then_none("late", ID)
    given(timers, end, start).then("late", ID, row)
    assert_folds_alike(timers, [start, end, start, Event("flights.FlightScheduled", OTHER, scheduled(2))])


def test_a_timer_remembers_the_process_and_its_trace(codec: Codec) -> None:
    timers = timers_of(rebooking())
    assert timers is not None
    came = event(
        codec, "flights.FlightScheduled", scheduled(1), process_id="rebooking/P-1", correlation_id="c", traceparent=TRACE
    )
    row = folded(timers, [Event("flights.FlightScheduled", ID, scheduled(1), came)])["late"][ID]
    assert (row["process"], row["correlation"], row["trace"]) == ("P-1", "c", TRACE)
    assert row["id"] == Envelope.from_headers(came.headers()).id


def test_several_deadlines_of_one_key_do_not_collide() -> None:
    manager = ProcessManager(name="m", domains=("flights",), version=3)
    for name, ends in (("early", "flights.FlightDeparted"), ("late", "flights.FlightArrived")):
        manager.deadline(name, starts="flights.FlightScheduled", ends=ends, due="scheduled_arrival")(lambda event: [])
    timers = timers_of(manager)
    assert timers is not None and timers.version == 3
    events = [Event("flights.FlightScheduled", ID, scheduled(1)), Event("flights.FlightDeparted", ID, {})]
    found = folded(timers, events)
    assert (list(found["early"]), list(found["late"])) == ([], [ID])


def test_no_deadline_no_timers_and_one_without_a_time_does_not_run() -> None:
    assert timers_of(ProcessManager(name="m", domains=("flights",))) is None
    timers = timers_of(rebooking())
    assert timers is not None
    given(timers, Event("flights.FlightScheduled", ID, {"scheduled_departure": None})).then_none("late", ID)


def test_an_event_that_starts_and_ends_a_deadline_begins_it_anew() -> None:
    manager = ProcessManager(name="m", domains=("flights",))
    both = ("flights.FlightScheduled", "flights.FlightDeparted")
    manager.deadline("late", starts="flights.FlightScheduled", ends=both, due="scheduled_arrival")(lambda event: [])
    timers = timers_of(manager)
    assert timers is not None
    later = {**scheduled(1), "scheduled_arrival": 5}
    events = [Event("flights.FlightScheduled", ID, data) for data in (scheduled(1), later)]
    assert folded(timers, events)["late"][ID]["due"] == 5


def test_timers_are_ordered_by_when_they_are_due() -> None:
    texts = [due_text(ms) for ms in (-5, 0, 9, 10, DEPARTURE, 253_402_300_799_999)]
    assert texts == sorted(texts)
    assert index_name("late") != "late"
