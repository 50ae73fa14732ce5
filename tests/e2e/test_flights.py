"""`eventfold flights …` and `eventfold query …`: a flight's life on the command line."""

from __future__ import annotations

import itertools
import json
import os
import uuid

import pytest

from tests.support import flights
from tests.support.flights import SCHEDULE_OPTIONS
from tests.support.sandbox import Sandbox

_NUMBERS = itertools.count(100)
AT_DEPARTURE, AT_ARRIVAL = "2013-02-08T12:05:00Z", "2013-02-08T18:20:00Z"


@pytest.fixture
def number() -> int:
    return next(_NUMBERS)


def schedule(sandbox: Sandbox, number: int, *more: str) -> dict[str, object]:
    found: dict[str, object] = sandbox.json("flights", "schedule", "--number", str(number), *SCHEDULE_OPTIONS, *more)
    return found


def row(sandbox: Sandbox, number: int, outcome: dict[str, object]) -> dict[str, object]:
    """The flight's row, once the outcome's event is folded."""
    after = outcome["positions"][0]  # type: ignore[index]
    found: dict[str, object] = sandbox.json("query", "flights", flights.flight_id(number), "--after", after)
    return found


def test_scheduled_departed_arrived(running: Sandbox, number: int) -> None:
    id_ = flights.flight_id(number)
    assert row(running, number, schedule(running, number))["status"] == "scheduled"
    outcome = running.json("flights", "depart", id_, "--at", AT_DEPARTURE, "--delay", "5", "--tail", "N24211")
    assert row(running, number, outcome)["departure_delay_min"] == 5
    outcome = running.json("flights", "arrive", id_, "--at", "2013-02-08T19:20:00+01:00", "--air-time", "330")
    assert row(running, number, outcome) == {
        "id": id_,
        "version": 3,
        "status": "arrived",
        "carrier": "UA",
        "flight_number": number,
        "flight_date": "2013-02-08",
        "origin": "JFK",
        "destination": "LAX",
        "tail_number": "N24211",
        "distance_mi": 2475,
        "scheduled_departure": "2013-02-08T12:00:00Z",
        "scheduled_arrival": "2013-02-08T18:00:00Z",
        "departed_at": AT_DEPARTURE,
        "departure_delay_min": 5,
        "arrived_at": AT_ARRIVAL,
        "arrival_delay_min": 20,
        "air_time_min": 330,
        "diverted_to": None,
    }


def test_cancelled(running: Sandbox, number: int) -> None:
    schedule(running, number)
    outcome = running.json("flights", "cancel", flights.flight_id(number).lower())
    assert row(running, number, outcome)["status"] == "cancelled"
    assert "(already-cancelled)" in running.fails(1, "flights", "depart", flights.flight_id(number), "--at", AT_DEPARTURE)


def test_diverted(running: Sandbox, number: int) -> None:
    schedule(running, number)
    running.ok("flights", "depart", flights.flight_id(number), "--at", AT_DEPARTURE)
    outcome = running.json("flights", "divert", flights.flight_id(number), "--at", AT_ARRIVAL)
    assert row(running, number, outcome)["status"] == "diverted"


def test_outcomes_as_json(running: Sandbox, number: int) -> None:
    id_ = str(uuid.uuid4())
    accepted = schedule(running, number, "--command-id", id_)
    assert accepted.keys() == {"command_id", "outcome", "positions", "version"}
    assert (accepted["command_id"], accepted["outcome"], accepted["version"]) == (id_, "accepted", 1)
    done = running.run("flights", "schedule", "--number", str(number), *SCHEDULE_OPTIONS, "--json")
    refused = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert refused.keys() == {"command_id", "outcome", "code", "message", "version"}
    assert (refused["outcome"], refused["code"], refused["version"]) == ("refused", "already-scheduled", 1)
    sent = schedule(running, next(_NUMBERS), "--no-wait")
    assert sent.keys() == {"command_id", "outcome", "position"}
    assert sent["outcome"] == "sent"


def test_outcomes_as_text(running: Sandbox, number: int) -> None:
    done = running.run("flights", "schedule", "--number", str(number), *SCHEDULE_OPTIONS)
    assert done.stdout.startswith("accepted, version 1, ")
    assert (done.returncode, done.stderr) == (0, "")
    done = running.run("flights", "schedule", "--number", str(number), *SCHEDULE_OPTIONS)
    assert done.stderr == "refused: the flight is on the schedule already (already-scheduled)\n"
    assert (done.returncode, done.stdout) == (1, "")


def test_the_same_command_id_again(running: Sandbox, number: int) -> None:
    id_ = str(uuid.uuid4())
    first = schedule(running, number, "--command-id", id_)
    assert schedule(running, number, "--command-id", id_.upper()) == first


def test_an_expected_version(running: Sandbox, number: int) -> None:
    schedule(running, number, "--expect-version", "0")
    id_ = flights.flight_id(number)
    assert "(conflict)" in running.fails(1, "flights", "cancel", id_, "--expect-version", "0")
    running.ok("flights", "cancel", id_, "--expect-version", "1")


def test_a_delay_that_contradicts_the_times_is_refused(running: Sandbox, number: int) -> None:
    schedule(running, number)
    id_ = flights.flight_id(number)
    wrong = running.fails(1, "flights", "depart", id_, "--at", AT_DEPARTURE, "--delay", "7")
    assert (
        wrong
        == "refused: a departure at 2013-02-08T12:05:00Z is 5 minutes after the schedule, not 7 (delay-contradicts-times)\n"
    )
    running.ok("flights", "depart", id_, "--at", AT_DEPARTURE)
    assert "(arrival-before-departure)" in running.fails(1, "flights", "arrive", id_, "--at", "2013-02-08T12:00:00Z")


def test_a_date_in_another_form_is_the_same_flight(running: Sandbox, number: int) -> None:
    """Whatever form of a date is taken, the id must come out in the one form that other commands know."""
    options = [option if option != "2013-02-08" else "20130208" for option in SCHEDULE_OPTIONS]
    done = running.run("flights", "schedule", "--number", str(number), *options)
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        return
    assert done.returncode == 0
    running.ok("flights", "cancel", flights.flight_id(number))


def test_a_departure_so_late_that_minutes_overflow_hurts_nobody(running: Sandbox, number: int) -> None:
    """Avro's int has 32 bits: such an event cannot be written, so the command must be refused."""
    schedule(running, number)
    running.fails(1, "flights", "depart", flights.flight_id(number), "--at", "9999-12-31T12:00:00Z")
    schedule(running, next(_NUMBERS))


def test_a_flight_that_is_not_there(running: Sandbox) -> None:
    assert (
        running.fails(1, "query", "flights", "UA9999:2013-02-08:JFK") == "eventfold: flights has no 'UA9999:2013-02-08:JFK'\n"
    )


def test_a_board_of_one_day_in_order(running: Sandbox) -> None:
    options = [option if option != "JFK" else "EWR" for option in SCHEDULE_OPTIONS]
    for number, hour in ((4001, "13"), (4002, "11"), (4003, "12")):
        times = [o.replace("T12:", f"T{hour}:") for o in options]
        outcome = running.json("flights", "schedule", "--number", str(number), *times)
        running.json("query", "board", "EWR", "--date", "2013-02-08", "--after", outcome["positions"][0])
    shown = running.json("query", "board", "ewr", "--date", "2013-02-08")["entries"]
    assert [row["flight"] for row in shown] == ["UA 4002", "UA 4003", "UA 4001"]
    table = running.ok("query", "board", "EWR", "--date", "2013-02-08")
    assert [line.split()[2] for line in table.splitlines()[1:]] == ["4002", "4003", "4001"]
    assert "board has no" in running.fails(1, "query", "board", "EWR", "--date", "2013-02-09")


def test_an_aircraft(running: Sandbox, number: int) -> None:
    id_ = flights.flight_id(number)
    schedule(running, number, "--tail", "N777XX")
    running.ok("flights", "depart", id_, "--at", AT_DEPARTURE)
    outcome = running.json("flights", "arrive", id_, "--at", AT_ARRIVAL, "--air-time", "330")
    assert running.json("query", "aircraft", "n777xx", "--after", outcome["positions"][0]) == {
        "tail_number": "N777XX",
        "legs": 1,
        "diverted": 0,
        "air_time_min": 330,
        "last_airport": "LAX",
        "last_seen_at": AT_ARRIVAL,
    }


def test_reading_what_was_just_written_times_out_with_3(running: Sandbox, number: int) -> None:
    position = str(schedule(running, number)["positions"][0])  # type: ignore[index]
    place, _, offset = position.rpartition("@")
    later = f"{place}@{int(offset) + 1_000}"
    message = running.fails(3, "query", "flights", flights.flight_id(number), "--after", later, "--timeout", "0.3")
    assert later in message


@pytest.mark.parametrize("args", [("flights",), ("aircraft",), ("board", "--date", "2013-02-08")], ids=lambda args: args[0])
def test_a_query_for_what_is_no_text(running: Sandbox, args: tuple[str, ...]) -> None:
    message = running.fails(2, "query", *args, os.fsdecode(b"\xff"))
    assert "is not Unicode text" in message
    assert message.count("\n") == 1, message
