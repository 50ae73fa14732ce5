"""Records that no client can read, as a hostile producer or a broken disk leaves them: told, and passed over once asked for.

A record of 110 MB of zeros takes 3 kB in a topic, so the broker takes it; Kafka's client unpacks no more than 100 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.skips import Skips, UnreadableError, unreadable_at
from eventfold.kafka.topics import Topics
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.parcels import importable, install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

BAD, GOOD = 0, 1
BAD_NUMBERS = flights.numbers_on(BAD, 2, 3)
GOOD_NUMBERS = flights.numbers_on(GOOD, 2, 2)
HALF = bytes(55_000_000)
_ALONE = {"message.max.bytes": 200_000_000, "compression.type": "zstd", "queue.buffering.max.kbytes": 400_000}


def unreadable(sandbox: Sandbox, name: str, partition: int, values: tuple[bytes, ...] = (HALF + HALF,)) -> Position:
    """Write values as one batch; where the first lies."""
    producer = sandbox.new_producer(**_ALONE, **{"linger.ms": 1_000, "batch.size": 2**31 - 1, "partitioner": "consistent"})
    found: list[Any] = []
    for value in values:
        producer.produce(
            sandbox.topic(name), value, partition=partition, on_delivery=lambda error, of: found.append((error, of))
        )
    assert producer.flush(30) == 0 and not any(error for error, _ in found)
    return Position(sandbox.topic(name), partition, min(of.offset() for _, of in found))


def schedule(sandbox: Sandbox, number: int) -> None:
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))


def said(sandbox: Sandbox, daemon: str, name: str) -> Any:
    """What a daemon's sign of life says under a name, if there is one."""
    return {body["name"]: body for body in sandbox.status()}.get(f"{daemon}@one", {}).get(name)


def test_a_projector_and_a_rebuild_stand_still_until_a_person_gives_up_what_nobody_can_read(sandbox: Sandbox) -> None:
    projector = sandbox.projector("flights")
    schedule(sandbox, BAD_NUMBERS[0])
    at = unreadable(sandbox, "flights.events", BAD)
    schedule(sandbox, BAD_NUMBERS[1])
    schedule(sandbox, GOOD_NUMBERS[0])
    place, way_on = f"{at.topic}/{BAD}", f"eventfold dead-letters skip {at}"
    projector.wait_for_log("the partition stands still")
    before = {flights.flight_id(number) for number in (BAD_NUMBERS[0], GOOD_NUMBERS[0])}
    eventually(lambda: sandbox.rows("flights").keys() == before, "all but what follows it")
    told = eventually(lambda: said(sandbox, "flights", "stalled"), "the sign of life says it")
    assert list(told) == [place] and f"from {at} on: Decompression" in told[place] and way_on in told[place]
    status, doctor = sandbox.run("status"), sandbox.run("doctor")
    assert f"stands still: {place}" in status.stdout and way_on in status.stderr
    assert doctor.returncode == 1 and f"{place} stands still: {told[place]}" in doctor.stdout
    assert way_on in sandbox.fails(1, "replay", "flights", "--switch", "always")
    # The client has said it many times by now.
    assert projector.log.count("the partition stands still") == 1
    assert "can be read" in sandbox.fails(2, "dead-letters", "skip", f"{at.topic}/{BAD}@0", "--yes")
    assert "--yes" in sandbox.fails(2, "dead-letters", "skip", str(at))
    assert "has no partition 7" in sandbox.fails(2, "dead-letters", "skip", f"{at.topic}/7@0", "--yes")
    assert sandbox.json("dead-letters", "skip", str(at), "--yes") == {"since": str(at), "until": at.offset + 1}
    assert sandbox.json("dead-letters", "skip", str(at), "--yes") == {"since": str(at), "until": at.offset + 1}
    after = before | {flights.flight_id(BAD_NUMBERS[1])}
    eventually(lambda: sandbox.rows("flights").keys() == after, "what follows it")
    projector.wait_for_log("passing over what nobody can read")
    eventually(lambda: not said(sandbox, "flights", "stalled"), "it stands still no more")
    assert sandbox.json("dead-letters", "list") == []
    rebuilt = sandbox.json("replay", "flights", "--resume", "--switch", "always")
    assert (rebuilt["switched"], rebuilt["passed_over"]) == (True, [str(at)])
    assert sandbox.rows("flights").keys() == after
    assert projector.stop() == 0


def test_a_batch_is_given_up_as_a_whole_and_no_more(sandbox: Sandbox) -> None:
    schedule(sandbox, BAD_NUMBERS[0])
    at = unreadable(sandbox, "flights.events", BAD, (*[b"small"] * 9, HALF, HALF, *[b"small"] * 9))
    schedule(sandbox, BAD_NUMBERS[1])
    kafka: KafkaSettings = sandbox.installation.kafka
    skips, reader = Skips(kafka), RangeReader(kafka, sandbox.topic("test"))
    assert at.offset == 1
    assert unreadable_at(kafka, at._replace(offset=0)) is None
    found = unreadable_at(kafka, at._replace(offset=13))
    assert found is not None and (found.origin, found.until) == (at, 21)
    assert unreadable_at(kafka, at._replace(offset=21)) is None
    with pytest.raises(UnreadableError, match=f"eventfold dead-letters skip {at}`"):
        list(reader.scan({(at.topic, BAD): (0, 22)}))
    skips.write(found)
    assert [skips.until(at._replace(offset=offset)) for offset in (0, 1, 20, 21)] == [None, 21, 21, None]
    assert skips.until(at._replace(partition=GOOD)) is None
    assert [record.offset() for record in reader.scan({(at.topic, BAD): (0, 22)})] == [0, 21]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_parcels(tmp_path_factory.mktemp("parcels"))


def test_a_handler_and_a_process_manager_stand_still_until_a_person_gives_up_what_nobody_can_read(
    open_sandbox: OpenSandbox, installed: Path
) -> None:
    settings = {"PYTHONPATH": python_path(installed), "EVENTFOLD_DOMAINS": "parcels"}
    with importable(installed), open_sandbox(partitions=1, **settings) as sandbox:

        def submitted(verb: str, key: str, **data: Any) -> bool:
            return sandbox.client.submit(f"parcels.{verb}Parcel", key, data, timeout_s=30).accepted

        handler, manager = sandbox.handler(domain="parcels"), sandbox.process_manager("returns")
        assert submitted("Post", "P-1", depot="Oslo", weight_g=700)
        commands = unreadable(sandbox, "parcels.commands", partition_of("P-1", 1))
        told = eventually(lambda: said(sandbox, "parcels.handler", "stalled"), "it is told")
        assert list(told) == [f"{commands.topic}/0"] and f"skip {commands}`" in told[f"{commands.topic}/0"]
        sandbox.ok("dead-letters", "skip", str(commands), "--yes")
        assert submitted("Post", "P-2", depot="Oslo", weight_g=700)
        handler.wait_for_log("passing over what nobody can read")

        events = unreadable(sandbox, "parcels.events", 0)
        assert submitted("Return", "P-1", reason="moved")
        told = eventually(lambda: said(sandbox, "returns.process-manager", "stalled"), "it is told")
        assert list(told) == [f"{events.topic}/0"] and f"skip {events}`" in told[f"{events.topic}/0"]
        assert handler.stop() == 0
        sandbox.redis.flushdb()
        handler = sandbox.start("--instance", "one", "run", "handler", "parcels")
        told = eventually(lambda: said(sandbox, "parcels.handler", "trouble"), "a hand-over waits")
        assert f"skip {events}`" in told and "waits for what passes" in sandbox.ok("status")
        sandbox.ok("dead-letters", "skip", str(events), "--yes")
        handler.wait_for_log("event=assigned")
        sandbox.caught_up("parcels.handler", "returns.process-manager")
        reader, kafka = RangeReader(sandbox.installation.kafka, sandbox.topic("test")), Topics(sandbox.installation.kafka)
        end = kafka.ends([(events.topic, 0)], committed=True)[events.topic, 0]
        assert [event.key() for event in reader.scan({(events.topic, 0): (0, end)})] == [b"P-1", b"P-2", b"P-1", b"P-1-back"]
        assert [daemon.stop() for daemon in (handler, manager)] == [0, 0]
