"""Whatever a Kafka client writes among the commands, the others are decided, and the log takes no harm."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from itertools import count

import pytest
from confluent_kafka import KafkaError, Producer

from eventfold.kafka.topics import Topics
from eventfold.schemas.ids import KEY_LIMIT, scoped_id
from eventfold.schemas.partitioner import partition_of
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

_NUMBERS = count(1)
Headers = dict[str, bytes]


@pytest.fixture(scope="module")
def handled(open_sandbox: OpenSandbox):  # type: ignore[no-untyped-def]
    with open_sandbox() as sandbox:
        sandbox.handler()
        yield sandbox


def write(sandbox: Sandbox, topic: str, key: bytes, value: bytes | None, headers: Headers, partition: int) -> None:
    """As a producer that compresses: a record may be far larger than its topic's limit, which counts compressed bytes."""
    failed: list[KafkaError] = []
    producer = Producer(
        {"bootstrap.servers": sandbox.stack.bootstrap, "message.max.bytes": 50_000_000, "compression.type": "zstd"}
    )
    producer.produce(
        sandbox.topic(topic),
        value,
        key,
        partition,
        headers=list(headers.items()),
        on_delivery=lambda error, _: failed.append(error) if error else None,
    )
    assert producer.flush(30) == 0 and not failed, failed


def letters(sandbox: Sandbox, partition: int) -> int:
    """How far a partition of the dead letters reaches."""
    place = (sandbox.topic("flights.dead-letters"), partition)
    return Topics(sandbox.installation.kafka).ends([place], committed=True)[place]


LARGE = b"x" * 5_000_000
ODD: dict[str, Callable[[bytes, Headers], tuple[bytes, Headers]]] = {
    "a correlation id of 5 MB": lambda key, headers: (key, headers | {"ce_correlationid": LARGE}),
    "a correlation id that is no UTF-8": lambda key, headers: (key, headers | {"ce_correlationid": b"\xff\xfe"}),
    "a correlation id with a newline": lambda key, headers: (key, headers | {"ce_correlationid": b"a\nb"}),
    "an actor of 5 MB": lambda key, headers: (key, headers | {"ce_actor": LARGE}),
    "a time of 5 MB": lambda key, headers: (key, headers | {"ce_time": b"2026-01-01T00:00:00." + b"0" * 5_000_000 + b"Z"}),
    "a trace of 5 MB": lambda key, headers: (key, headers | {"traceparent": LARGE}),
    "a header of nobody of 5 MB": lambda key, headers: (key, headers | {"x-nobody": LARGE}),
    "a process of 5 MB": lambda key, headers: (key, headers | {"ce_processid": LARGE}),
    "a source of 5 MB": lambda key, headers: (key, headers | {"ce_source": LARGE}),
    "a key of 900 kB": lambda key, headers: (b"k" * 900_000, headers | {"ce_subject": b"k" * 900_000}),
    "a key with NUL": lambda key, headers: (key + b"\0", headers | {"ce_subject": key + b"\0"}),
    "a key with a tab": lambda key, headers: (key + b"\t", headers | {"ce_subject": key + b"\t"}),
    "a key that is no UTF-8": lambda key, headers: (key + b"\xff", headers | {"ce_subject": key + b"\xff"}),
}
TAKEN = {"a trace of 5 MB", "a header of nobody of 5 MB", "a source of 5 MB"}
"""Nothing of these is copied, so they are as good as any."""


@pytest.mark.parametrize("kind", ODD)
def test_what_is_copied_is_checked_and_what_is_not_does_no_harm(handled: Sandbox, kind: str) -> None:
    number = next(_NUMBERS)
    usual, id_ = flights.flight_id(number), str(uuid.uuid4())
    headers: Headers = {
        name: value.encode() if isinstance(value, str) else value or b""
        for name, value in log.envelope("flights.ScheduleFlight", usual, id=id_)
    }
    value = handled.installation.codec.encode("flights.ScheduleFlight", flights.scheduled(number))
    key, odd = ODD[kind](usual.encode(), headers)
    place = partition_of(usual, 2)
    before = letters(handled, place)
    write(handled, "flights.commands", key, value, odd, place)
    if kind in TAKEN:
        assert handled.client.outcome(id_, key=usual, timeout_s=30).accepted
    else:
        # The next one of the same partition: whatever came before it was decided by then.
        assert commands.schedule(handled, number).accepted
        refusals = [r for r in log.read(handled, "flights.refusals") if r.header("ce_causationid") == id_]
        assert [handled.installation.codec.decode(refusal.value).data["code"] for refusal in refusals] == ["undecodable"]
        assert letters(handled, place) > before
    for topic in ("flights.events", "flights.refusals"):
        for record in log.read(handled, topic):
            assert record.key is not None and len(record.key) <= KEY_LIMIT and record.key.isprintable()
            assert all(len(of) <= 2_000 and of.isprintable() for of in dict(record.headers).values() if isinstance(of, str))
    assert handled.daemons[0].runs and "Traceback" not in handled.daemons[0].log


def test_the_topic_of_the_domain_s_own_processes_is_read_beside_the_commands(handled: Sandbox) -> None:
    """With ids of its own, so that nobody can take in advance what a process manager derives; and its offsets are committed."""
    number, id_ = next(_NUMBERS), str(uuid.uuid4())
    key = flights.flight_id(number)
    assert commands.schedule(handled, number).accepted
    assert commands.depart(handled, number, id=id_).accepted
    value = handled.installation.codec.encode("flights.ArriveFlight", flights.arriving(20))
    process = [("ce_processid", b"rebooking/P-1")]
    for topic in ("flights.commands", "flights.internal"):
        log.write(handled, topic, key, value, [*log.envelope("flights.ArriveFlight", key, id=id_), *process])
    assert handled.client.outcome(id_, key=key, timeout_s=30).version == 2, "the first one under this id from outside"
    events = eventually(
        lambda: found if len(found := [r for r in log.read(handled, "flights.events") if r.key == key]) == 3 else None,
        "the one from inside is decided",
    )
    assert [event.header("ce_causationid") for event in events[1:]] == [id_, id_]
    assert [dict(event.headers).get("ce_processid") for event in events] == [None, None, "rebooking/P-1"]
    assert scoped_id(id_, key) != scoped_id(id_, key, internal=True)
    committed = log.committed(handled, "flights.handler", "flights.internal")
    assert max(committed.values()) > 0
    outcome = handled.json("outcome", id_, "--key", key, "--internal")
    assert (outcome["outcome"], outcome["version"]) == ("accepted", 3)
