"""The command handler: what it accepts, what it refuses, and what it then writes."""

from __future__ import annotations

import hashlib
import itertools
import time
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from eventfold.kafka.topics import Topics
from eventfold.producers.commands import Command
from eventfold.schemas.errors import UsageError
from eventfold.schemas.ids import derived_from, scoped_id
from eventfold.schemas.longest import LONGEST
from eventfold.schemas.partitioner import partition_of
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def handled(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """A handler that runs during all of these tests; each has a flight of its own."""
    with open_sandbox(partitions=3) as sandbox:
        sandbox.handler()
        yield sandbox


@pytest.fixture
def number() -> int:
    return next(_NUMBERS)


def events(sandbox: Sandbox, number: int) -> list[log.Record]:
    return [event for event in log.read(sandbox, "flights.events") if event.key == flights.flight_id(number)]


def test_an_accepted_command_says_version_and_positions_of_its_events(handled: Sandbox, number: int) -> None:
    outcomes = [command(handled, number) for command in (commands.schedule, commands.depart, commands.arrive)]
    assert all(outcome.accepted for outcome in outcomes)
    assert [outcome.version for outcome in outcomes] == [1, 2, 3]
    found = events(handled, number)
    assert [event.header("ce_type") for event in found] == [
        "flights.FlightScheduled",
        "flights.FlightDeparted",
        "flights.FlightArrived",
    ]
    places = [(position.partition, position.offset) for outcome in outcomes for position in outcome.positions]
    assert places == [(event.partition, event.offset) for event in found]


def test_events_are_cloudevents_that_name_their_command(handled: Sandbox, number: int) -> None:
    id_, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    happened = flights.DEPARTURE - 1_500
    outcome = commands.schedule(handled, number, id=id_, correlation_id=correlation, time=happened)
    event = events(handled, number)[0]
    assert dict(event.headers) == {
        "content-type": "application/avro",
        "ce_specversion": "1.0",
        "ce_id": derived_from(scoped_id(id_, flights.flight_id(number)), "0"),
        "ce_type": "flights.FlightScheduled",
        "ce_source": "/eventfold/flights/handler",
        "ce_time": "2013-02-08T11:59:58.500Z",
        "ce_subject": flights.flight_id(number),
        "ce_sequence": "1",
        "ce_correlationid": correlation,
        "ce_causationid": id_,
        "ce_fingerprint": event.header("ce_fingerprint"),
    }
    assert len(event.header("ce_fingerprint")) == 32
    # As docs/design.md has it.
    scoped = hashlib.sha1(uuid.UUID(id_).bytes + flights.flight_id(number).encode()).digest()[:16]
    assert event.header("ce_id") == str(uuid.uuid5(uuid.UUID(bytes=scoped), "0"))
    assert handled.installation.codec.decode(event.value).data == flights.scheduled(number)
    assert outcome.command_id == id_


def test_the_trace_context_is_handed_on(handled: Sandbox, number: int) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    value = handled.installation.codec.encode("flights.ScheduleFlight", flights.scheduled(number))
    key = flights.flight_id(number)
    headers = log.envelope("flights.ScheduleFlight", key, traceparent=trace)
    log.write(handled, "flights.commands", key, value, headers)
    found = eventually(lambda: events(handled, number), "the event is there")
    assert found[0].header("traceparent") == trace


def test_events_lie_on_the_partition_that_java_would_choose(handled: Sandbox) -> None:
    """librdkafka's own murmur2, which Java's equals, put the command there; the event follows it."""
    numbers = [next(_NUMBERS) for _ in range(12)]
    outcomes = {number: commands.schedule(handled, number) for number in numbers}
    places = {record.key: record.partition for record in log.read(handled, "flights.commands")}
    for number, outcome in outcomes.items():
        key = flights.flight_id(number)
        assert outcome.positions[0].partition == places[key] == partition_of(key, 3)
    assert len({outcome.positions[0].partition for outcome in outcomes.values()}) == 3


def test_a_refused_command_writes_a_refusal_and_no_event(handled: Sandbox, number: int) -> None:
    id_ = str(uuid.uuid4())
    outcome = commands.depart(handled, number, id=id_)
    assert (outcome.accepted, outcome.code, outcome.version) == (False, "not-scheduled", 0)
    assert events(handled, number) == []
    refusal = next(r for r in log.read(handled, "flights.refusals") if r.header("ce_causationid") == id_)
    assert refusal.header("ce_id") == derived_from(scoped_id(id_, flights.flight_id(number)), "refused")
    assert refusal.key == flights.flight_id(number)
    data = handled.installation.codec.decode(refusal.value).data
    assert len(data.pop("fingerprint")) == 32
    assert data == {
        "command_id": id_,
        "command_type": "flights.DepartFlight",
        "code": "not-scheduled",
        "message": outcome.message,
        "version": 0,
        "reused": False,
    }


def test_another_version_than_expected_is_a_conflict(handled: Sandbox, number: int) -> None:
    assert commands.schedule(handled, number, expected_version=0).accepted
    refused = commands.depart(handled, number, expected_version=0)
    assert (refused.code, refused.version) == ("conflict", 1)
    assert commands.depart(handled, number, expected_version=1).accepted
    assert len(events(handled, number)) == 2


def test_an_expired_command_is_refused_undecided(handled: Sandbox, number: int) -> None:
    now = time.time_ns() // 1_000_000
    assert commands.schedule(handled, number, expires=now - 1).code == "expired"
    assert commands.schedule(handled, number, expires=now + 600_000).accepted


def test_a_command_on_a_foreign_partition_is_refused(handled: Sandbox, number: int) -> None:
    key, id_ = flights.flight_id(number), str(uuid.uuid4())
    value = handled.installation.codec.encode("flights.ScheduleFlight", flights.scheduled(number))
    foreign = (partition_of(key, 3) + 1) % 3
    headers = log.envelope("flights.ScheduleFlight", key, id=id_)
    log.write(handled, "flights.commands", key, value, headers, partition=foreign)
    refusal = eventually(
        lambda: [r for r in log.read(handled, "flights.refusals") if r.header("ce_causationid") == id_], "it is refused"
    )[0]
    assert handled.installation.codec.decode(refusal.value).data["code"] == "wrong-partition"
    assert refusal.partition == foreign
    assert commands.schedule(handled, number).accepted
    assert len(events(handled, number)) == 1


@pytest.mark.parametrize("kind", ["garbage", "no value", "no headers", "bad id", "foreign subject", "bad version", "no key"])
def test_a_command_that_cannot_be_read_is_a_dead_letter_and_holds_nobody_up(handled: Sandbox, number: int, kind: str) -> None:
    key, id_ = flights.flight_id(number), str(uuid.uuid4())
    value: bytes | None = handled.installation.codec.encode("flights.ScheduleFlight", flights.scheduled(number))
    headers = dict(log.envelope("flights.ScheduleFlight", key, id=id_))
    match kind:
        case "garbage":
            value = b"garbage of a command"
        case "no value":
            value = None
        case "no headers":
            headers = {}
        case "bad id":
            headers["ce_id"] = b"seventeen"
        case "foreign subject":
            headers["ce_subject"] = b"somebody else"
        case "bad version":
            headers["ce_expectedversion"] = b"latest"
    sent_key = None if kind == "no key" else key
    log.write(handled, "flights.commands", sent_key, value, list(headers.items()), partition=partition_of(key, 3))
    assert commands.schedule(handled, number).accepted
    origin = next(
        f"{handled.topic('flights.commands')}/{record.partition}@{record.offset}"
        for record in reversed(log.read(handled, "flights.commands"))
        if record.key == sent_key and record.value == value
        if dict(record.headers) == {name: v.decode() for name, v in headers.items()}  # type: ignore[union-attr]
    )
    letters = [r for r in log.read(handled, "flights.dead-letters") if r.header("eventfold-origin") == origin]
    assert len(letters) == 1
    assert (letters[0].key, letters[0].value) == (sent_key, value)
    assert letters[0].header("eventfold-error")
    assert origin in handled.daemons[0].log


def test_a_command_that_cannot_be_read_but_has_an_id_is_refused(handled: Sandbox, number: int) -> None:
    key, id_ = flights.flight_id(number), str(uuid.uuid4())
    log.write(handled, "flights.commands", key, b"garbage", log.envelope("flights.ScheduleFlight", key, id=id_))
    outcome = handled.client.outcome(id_, key=key, timeout_s=30)
    assert (outcome.accepted, outcome.code) == (False, "undecodable")


def test_an_event_among_the_commands_is_refused(handled: Sandbox, number: int) -> None:
    key, id_ = flights.flight_id(number), str(uuid.uuid4())
    value = handled.installation.codec.encode("flights.FlightScheduled", flights.scheduled(number))
    log.write(handled, "flights.commands", key, value, log.envelope("flights.FlightScheduled", key, id=id_))
    outcome = handled.client.outcome(id_, key=key, timeout_s=30)
    assert (outcome.code, outcome.message) == ("undecodable", "the value is no command of this domain")


def test_an_id_in_capitals_is_the_same_id(handled: Sandbox, number: int) -> None:
    id_ = str(uuid.uuid4())
    assert commands.schedule(handled, number, id=id_.upper(), timeout_s=5).accepted
    assert commands.schedule(handled, number, id=id_).accepted
    assert len(events(handled, number)) == 1


def test_a_time_beyond_what_a_calendar_holds_is_refused(handled: Sandbox, number: int) -> None:
    """No read model could show it: the partition would stand still for ever."""
    assert commands.schedule(handled, number).accepted
    beyond = flights.DEPARTURE + 5_000_000_000 * flights.MINUTE_MS
    data = {"departed_at": beyond, "departure_delay_min": None, "tail_number": None}
    with pytest.raises(UsageError, match="departed_at"):
        handled.client.submit("flights.DepartFlight", flights.flight_id(number), data, timeout_s=10)


def test_an_event_that_its_schema_cannot_hold_is_refused_and_holds_nobody_up(handled: Sandbox, number: int) -> None:
    """A departure so late that its minutes of delay need more than the 32 bits of Avro's int."""
    assert commands.schedule(handled, number).accepted
    late = flights.DEPARTURE + 2**31 * flights.MINUTE_MS
    data = {"departed_at": late, "departure_delay_min": None, "tail_number": None}
    refused = handled.client.submit("flights.DepartFlight", flights.flight_id(number), data, timeout_s=20)
    assert not refused.accepted
    assert commands.depart(handled, number).accepted


def test_a_command_as_large_as_kafka_lets_it_be_is_parked_or_decided(handled: Sandbox, number: int) -> None:
    """A Java producer's limit is the topic's, 1 MiB, and what a handler makes of it is larger still."""
    key = flights.flight_id(number)
    with closing(handled.new_producer(**{"message.max.bytes": 1_048_588})) as large:
        headers = log.envelope("flights.ScheduleFlight", key)
        topic = handled.topic("flights.commands")
        large.produce(topic, key=key, value=b"g" * 1_047_000, headers=headers, partition=partition_of(key, 3))
        assert large.flush(20) == 0
    letters = eventually(
        lambda: [r for r in log.read(handled, "flights.dead-letters") if len(r.value or b"") == 1_047_000], "it is parked"
    )
    assert letters[0].key == key
    long_name = {**flights.scheduled(number), "tail_number": "N" * LONGEST}
    assert handled.client.submit("flights.ScheduleFlight", key, long_name, timeout_s=20).accepted


def test_an_emptied_redis_is_noticed_at_rest(sandbox: Sandbox) -> None:
    """Not by the next command, which would have to wait until the whole log is folded."""
    handler = sandbox.handler()
    assert commands.schedule(sandbox, 1).accepted
    sandbox.redis.flushdb()
    handler.wait_for_log("folded the tail of the log")
    again = commands.schedule(sandbox, 1)
    assert (again.accepted, again.version) == (False, 1)


@pytest.mark.parametrize("name", ["events", "refusals"])
def test_a_topic_that_never_takes_a_record_ends_the_handler(sandbox: Sandbox, name: str) -> None:
    """Instead of deciding the same batch for ever."""
    handler = sandbox.handler()
    sandbox.configure(f"flights.{name}", **{"max.message.bytes": "100"})
    if name == "events":
        commands.post(sandbox, "ScheduleFlight", 1, flights.scheduled(1))
    else:
        commands.post(sandbox, "DepartFlight", 1, flights.departing(5))
    assert handler.ended() == 1
    assert "Kafka does not take what" in handler.log
    assert "Traceback" not in handler.log


def test_without_a_topic_for_dead_letters_a_handler_does_not_start(sandbox: Sandbox) -> None:
    topic = sandbox.topic("flights.dead-letters")
    sandbox.admin.delete_topics([topic])[topic].result(30)
    topics = Topics(sandbox.installation.kafka)
    eventually(lambda: not topics.existing([topic]), "the topic is gone")
    assert topic in sandbox.fails(1, "run", "handler", "flights")


def test_another_writer_in_the_log_only_costs_a_look_at_it(sandbox: Sandbox) -> None:
    """Offsets that do not lie in a row are found in the log, and every outcome with them."""
    handler = sandbox.handler()
    numbers = flights.numbers_on(0, 2, 40)
    foreign = sandbox.new_producer()
    topic, key = sandbox.topic("flights.events"), flights.flight_id(numbers[0])
    value = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(numbers[0]))
    headers = log.envelope("flights.FlightScheduled", key, sequence=1)
    sender = sandbox.installation.write_side.sender("/test")
    ids = {number: str(uuid.uuid4()) for number in numbers[1:]}
    for number, id_ in ids.items():
        data = flights.scheduled(number)
        sender.send(Command(type="flights.ScheduleFlight", key=flights.flight_id(number), data=data, id=id_))
        foreign.produce(topic, key=key, value=value, headers=headers, partition=0)
        foreign.flush(10)
    sender.flush()
    outcomes = {n: sandbox.client.outcome(id_, key=flights.flight_id(n), timeout_s=30) for n, id_ in ids.items()}
    assert all(outcome.accepted for outcome in outcomes.values())
    lie = {r.key: r.offset for r in log.read(sandbox, "flights.events")}
    assert {flights.flight_id(n): o.positions[0].offset for n, o in outcomes.items()}.items() <= lie.items()
    assert handler.stop() == 0
