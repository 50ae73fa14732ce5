"""January 2013 through handler and projectors: every read model equals a plain count of the CSV."""

from __future__ import annotations

from tests.support import expected
from tests.support.numbers import assert_flights, assert_log, assert_punctuality
from tests.support.sandbox import Sandbox


def test_the_log_holds_each_event_once(january: Sandbox) -> None:
    assert sum(expected.month(1).events.values()) == 80_491
    assert_log(january)


def test_flights(january: Sandbox) -> None:
    assert len(expected.month(1).flights) == 27_004
    assert_flights(january)


def test_punctuality(january: Sandbox) -> None:
    assert_punctuality(january)


def test_aircraft_legs_and_minutes(january: Sandbox) -> None:
    found = january.reader("aircraft").all("aircraft")
    flown = {tail: (row["legs"], row["air_time_min"]) for tail, row in found.items()}
    assert flown == expected.month(1).aircraft


def test_a_board_in_the_order_of_time(january: Sandbox) -> None:
    found = january.client.query("board", airport="JFK", date=15_706)["entries"]
    wanted = sorted(expected.month(1).board["JFK", "2013-01-01"])
    assert [(row["scheduled_departure"], row["id"]) for row in found] == wanted
    assert len({january.client.query("flights", id=row["id"])["flight_date"] for row in found[:5]}) == 1
