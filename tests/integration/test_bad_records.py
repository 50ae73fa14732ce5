"""A record that cannot be read or folded stops its partition in plain sight, and no other."""

from __future__ import annotations

import struct

import pytest

from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

BAD, GOOD = 0, 1
BAD_NUMBERS = flights.numbers_on(BAD, 2, 5)
GOOD_NUMBERS = flights.numbers_on(GOOD, 2, 5)


def schedule(sandbox: Sandbox, number: int) -> None:
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))


def garbage(sandbox: Sandbox) -> dict[str, bytes | None]:
    whole = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(BAD_NUMBERS[1]))
    return {
        "garbage": b"\x17garbage that is long enough",
        "short": b"\xc3\x01abc",
        "empty": b"",
        "no value": None,
        "wrong marker": b"\xc3\x02" + whole[2:],
        "unknown fingerprint": whole[:2] + struct.pack("<Q", 0xDEADBEEF) + whole[10:],
        "truncated": whole[:-3],
        "overlong": whole + b"\x00",
    }


@pytest.mark.parametrize(
    "kind", ["garbage", "short", "empty", "no value", "wrong marker", "unknown fingerprint", "truncated", "overlong"]
)
def test_a_record_that_cannot_be_read_stops_its_partition_alone(sandbox: Sandbox, kind: str) -> None:
    key = flights.flight_id(BAD_NUMBERS[1])
    projector = sandbox.projector("flights")
    schedule(sandbox, BAD_NUMBERS[0])
    log.write(sandbox, "flights.events", key, garbage(sandbox)[kind], log.envelope("flights.FlightScheduled", key))
    schedule(sandbox, BAD_NUMBERS[2])
    schedule(sandbox, GOOD_NUMBERS[0])
    projector.wait_for_log("the partition stands still")
    place = f"{sandbox.topic('flights.events')}/{BAD}"
    assert f"{place}@1 key b'{key}'" in projector.log
    schedule(sandbox, GOOD_NUMBERS[1])
    wanted = {flights.flight_id(number) for number in (BAD_NUMBERS[0], *GOOD_NUMBERS[:2])}
    eventually(lambda: sandbox.rows("flights").keys() == wanted, "the other partition goes on, this one does not")
    stalled = eventually(lambda: sandbox.status()[0]["stalled"], "status shows it")
    assert list(stalled) == [place]
    assert f"{place}@1 key b'{key}'" in stalled[place]
    assert "stands still" in sandbox.ok("status")
    assert place in sandbox.run("doctor").stdout
    assert projector.stop() == 0
    assert sandbox.rows("flights").keys() == wanted


def test_a_restart_stops_at_the_same_record(sandbox: Sandbox) -> None:
    schedule(sandbox, BAD_NUMBERS[0])
    log.write(sandbox, "flights.events", flights.flight_id(BAD_NUMBERS[1]), b"garbage", partition=BAD)
    for _ in range(2):
        projector = sandbox.projector("flights")
        projector.wait_for_log("the partition stands still")
        assert projector.stop() == 0
        assert sandbox.rows("flights").keys() == {flights.flight_id(BAD_NUMBERS[0])}


def test_an_event_that_cannot_be_folded_stops_its_partition_alone(sandbox: Sandbox) -> None:
    key = flights.flight_id(BAD_NUMBERS[1])
    projector = sandbox.projector("flights")
    schedule(sandbox, BAD_NUMBERS[0])
    log.write_event(sandbox, "flights.FlightDeparted", key, flights.departed(BAD_NUMBERS[1]))
    schedule(sandbox, BAD_NUMBERS[2])
    schedule(sandbox, GOOD_NUMBERS[0])
    projector.wait_for_log("the partition stands still")
    assert f"/{BAD}@1 key '{key}'" in projector.log
    assert "it was never scheduled" in projector.log
    wanted = {flights.flight_id(BAD_NUMBERS[0]), flights.flight_id(GOOD_NUMBERS[0])}
    eventually(lambda: sandbox.rows("flights").keys() == wanted, "all but what follows the bad one")


def test_of_two_bad_records_in_one_batch_the_first_stops_it(sandbox: Sandbox) -> None:
    """The second one, which is found before the first is folded, must not bring the projector down."""
    schedule(sandbox, BAD_NUMBERS[0])
    log.write_event(sandbox, "flights.FlightDeparted", flights.flight_id(BAD_NUMBERS[1]), flights.departed(BAD_NUMBERS[1]))
    log.write(sandbox, "flights.events", flights.flight_id(BAD_NUMBERS[2]), b"garbage", partition=BAD)
    schedule(sandbox, GOOD_NUMBERS[0])
    projector = sandbox.projector("flights")
    projector.wait_for_log("the partition stands still")
    wanted = {flights.flight_id(BAD_NUMBERS[0]), flights.flight_id(GOOD_NUMBERS[0])}
    eventually(lambda: sandbox.rows("flights").keys() == wanted, "all but what follows the first bad one")
    stalled = eventually(lambda: sandbox.status()[0]["stalled"], "status shows it")
    assert f"/{BAD}@1 " in next(iter(stalled.values()))


def test_a_partition_that_stands_still_is_still_shown_after_a_fault_of_redis(sandbox: Sandbox) -> None:
    log.write(sandbox, "flights.events", flights.flight_id(BAD_NUMBERS[0]), b"garbage", partition=BAD)
    projector = sandbox.projector("flights")
    projector.wait_for_log("the partition stands still")
    schedule(sandbox, GOOD_NUMBERS[0])
    eventually(lambda: len(sandbox.rows("flights")) == 1, "the other partition goes on")
    sandbox.redis.hdel(sandbox.reader("flights").generation.slices()[GOOD].key("slice"), "revision")
    schedule(sandbox, GOOD_NUMBERS[1])
    projector.wait_for_log("a slice was torn: it is folded anew")
    eventually(lambda: len(sandbox.rows("flights")) == 2, "the other partition goes on")
    beat = sandbox.status()[0]["beat"]
    shown = eventually(lambda: [s for s in sandbox.status() if s["beat"] > beat], "the next sign of life")
    assert list(shown[0]["stalled"]) == [f"{sandbox.topic('flights.events')}/{BAD}"]


def test_what_lies_before_the_bad_record_comes_back_after_an_emptied_redis(sandbox: Sandbox) -> None:
    schedule(sandbox, BAD_NUMBERS[0])
    log.write(sandbox, "flights.events", flights.flight_id(BAD_NUMBERS[1]), b"garbage", partition=BAD)
    schedule(sandbox, GOOD_NUMBERS[0])
    projector = sandbox.projector("flights")
    projector.wait_for_log("the partition stands still")
    wanted = {flights.flight_id(BAD_NUMBERS[0]), flights.flight_id(GOOD_NUMBERS[0])}
    eventually(lambda: sandbox.rows("flights").keys() == wanted, "all but what follows the bad one")
    sandbox.empty_redis("flights")
    eventually(lambda: sandbox.rows("flights").keys() == wanted, "the same again")


def test_an_event_of_a_type_that_is_not_folded_is_passed_over(sandbox: Sandbox) -> None:
    """Only a fold that wants an event looks into it; `aircraft` does not want schedules."""
    whole = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(BAD_NUMBERS[0]))
    log.write(sandbox, "flights.events", flights.flight_id(BAD_NUMBERS[0]), whole, partition=BAD)
    log.write_event(sandbox, "flights.FlightDeparted", flights.flight_id(BAD_NUMBERS[1]), flights.departed(BAD_NUMBERS[1]))
    sandbox.projector("aircraft")
    sandbox.caught_up("aircraft")
    assert sandbox.rows("aircraft").keys() == {"N14228"}
