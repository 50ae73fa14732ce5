"""The real data: times and zones, flights past midnight, diverted and cancelled ones."""

from __future__ import annotations

import pytest

from eventfold.schemas.times import day, iso
from flights.dataset import Flight, count, flights, midnight


@pytest.fixture(scope="module")
def spring() -> dict[str, Flight]:
    return {flight.id: flight for flight in flights([3])}


@pytest.fixture(scope="module")
def autumn() -> dict[str, Flight]:
    return {flight.id: flight for flight in flights([11])}


@pytest.fixture(scope="module")
def january() -> dict[str, Flight]:
    return {flight.id: flight for flight in flights([1])}


def times(flight: Flight) -> list[str | None]:
    moments = (flight.scheduled_departure, flight.departed_at, flight.scheduled_arrival, flight.arrived_at, flight.diverted_at)
    return [None if moment is None else iso(moment) for moment in moments]


def test_a_flight_as_the_csv_has_it(january: dict[str, Flight]) -> None:
    # 2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15; Houston is an hour behind New York.
    assert january["UA1545:2013-01-01:EWR"] == Flight(
        id="UA1545:2013-01-01:EWR",
        carrier="UA",
        flight_number=1545,
        flight_date=day("2013-01-01"),
        origin="EWR",
        destination="IAH",
        tail_number="N14228",
        distance_mi=1400,
        scheduled_departure=1357035300000,
        scheduled_arrival=1357049940000,
        departed_at=1357035420000,
        departure_delay_min=2,
        arrived_at=1357050600000,
        arrival_delay_min=11,
        air_time_min=227,
        diverted_at=None,
    )


def test_every_flight_of_the_year_is_counted_and_has_its_own_id(january: dict[str, Flight]) -> None:
    assert count(list(range(1, 13))) == 336_776
    assert count([1]) == len(january) == 27_004


def test_a_flight_that_lands_after_midnight(january: dict[str, Flight]) -> None:
    # 2013,1,1,2353,2359,-6,425,445,-20,B6,739,N591JB,JFK,PSE; Puerto Rico is an hour ahead of New York in winter.
    late = january["B6739:2013-01-01:JFK"]
    assert times(late) == ["2013-01-02T04:59:00Z", "2013-01-02T04:53:00Z", "2013-01-02T08:45:00Z", "2013-01-02T08:25:00Z", None]
    assert late.flight_date == day("2013-01-01")


def test_an_airport_that_is_not_in_the_list_keeps_the_time_of_puerto_rico(january: dict[str, Flight]) -> None:
    # 2013,1,1,544,545,-1,1004,1022,-18,B6,725,N804JB,JFK,BQN
    bqn = january["B6725:2013-01-01:JFK"]
    assert bqn.destination == "BQN"
    assert times(bqn) == ["2013-01-01T10:45:00Z", "2013-01-01T10:44:00Z", "2013-01-01T14:22:00Z", "2013-01-01T14:04:00Z", None]


def test_a_cancelled_flight_never_departed(january: dict[str, Flight]) -> None:
    cancelled = [flight for flight in january.values() if flight.departed_at is None]
    assert len(cancelled) == 521
    assert {(f.departure_delay_min, f.arrived_at, f.arrival_delay_min, f.diverted_at) for f in cancelled} == {(None,) * 4}


def test_a_diverted_flight_ended_after_it_departed(january: dict[str, Flight]) -> None:
    diverted = [flight for flight in january.values() if flight.diverted_at is not None]
    assert len(diverted) == 85
    for flight in diverted:
        assert flight.departed_at is not None
        assert flight.diverted_at > flight.departed_at
        assert (flight.arrived_at, flight.arrival_delay_min, flight.air_time_min) == (None, None, None)


def test_a_diverted_flight_with_an_arrival_time_ended_then(january: dict[str, Flight]) -> None:
    # 2013,1,1,1525,1530,-5,1934,1805,NA,MQ,4525,N719MQ,LGA,XNA; Arkansas is an hour behind New York.
    assert iso(january["MQ4525:2013-01-01:LGA"].diverted_at or 0) == "2013-01-02T01:34:00Z"


def test_a_diverted_flight_without_one_ended_when_it_was_due(january: dict[str, Flight]) -> None:
    # 2013,1,2,2041,2045,-4,NA,2359,NA,B6,147,N630JB,JFK,RSW
    without = january["B6147:2013-01-02:JFK"]
    assert iso(without.diverted_at or 0) == iso(without.scheduled_arrival) == "2013-01-03T04:59:00Z"


def test_a_flight_that_left_after_midnight_left_on_the_next_day(january: dict[str, Flight]) -> None:
    # 2013,1,2,126,2250,156,233,2359,154,B6,22,N636JB,JFK,SYR
    assert times(january["B622:2013-01-02:JFK"]) == [
        "2013-01-03T03:50:00Z",
        "2013-01-03T06:26:00Z",
        "2013-01-03T04:59:00Z",
        "2013-01-03T07:33:00Z",
        None,
    ]


def test_a_day_in_new_york_begins_at_its_own_midnight() -> None:
    assert iso(midnight(day("2013-03-10"))) == "2013-03-10T05:00:00Z"
    assert iso(midnight(day("2013-03-11"))) == "2013-03-11T04:00:00Z"
    assert iso(midnight(day("2013-11-03"))) == "2013-11-03T04:00:00Z"
    assert iso(midnight(day("2013-11-04"))) == "2013-11-04T05:00:00Z"


def test_flights_through_the_night_in_which_summer_time_begins(spring: dict[str, Flight]) -> None:
    # 2013,3,9,53,2359,54,504,438,26,B6,727,N612JB,JFK,BQN: at 2:00 New York's clocks went to 3:00, Puerto Rico's did not.
    assert times(spring["B6727:2013-03-09:JFK"]) == [
        "2013-03-10T04:59:00Z",
        "2013-03-10T05:53:00Z",
        "2013-03-10T08:38:00Z",
        "2013-03-10T09:04:00Z",
        None,
    ]
    # 2013,3,10,6,2359,7,336,338,-2,B6,727,N547JB,JFK,BQN
    assert times(spring["B6727:2013-03-10:JFK"]) == [
        "2013-03-11T03:59:00Z",
        "2013-03-11T04:06:00Z",
        "2013-03-11T07:38:00Z",
        "2013-03-11T07:36:00Z",
        None,
    ]


def test_flights_through_the_night_in_which_it_ends(autumn: dict[str, Flight]) -> None:
    # 2013,11,2,2351,2359,-8,338,337,1,B6,839,N565JB,JFK,BQN
    assert times(autumn["B6839:2013-11-02:JFK"]) == [
        "2013-11-03T03:59:00Z",
        "2013-11-03T03:51:00Z",
        "2013-11-03T07:37:00Z",
        "2013-11-03T07:38:00Z",
        None,
    ]
    # 2013,11,3,2352,2359,-7,435,437,-2,B6,839,N709JB,JFK,BQN
    assert times(autumn["B6839:2013-11-03:JFK"]) == [
        "2013-11-04T04:59:00Z",
        "2013-11-04T04:52:00Z",
        "2013-11-04T08:37:00Z",
        "2013-11-04T08:35:00Z",
        None,
    ]


@pytest.mark.parametrize("month", ["spring", "autumn"])
def test_plans_are_as_long_as_usual_when_the_clocks_change(month: str, request: pytest.FixtureRequest) -> None:
    found: dict[str, Flight] = request.getfixturevalue(month)
    nights = {"spring": ("2013-03-09", "2013-03-10"), "autumn": ("2013-11-02", "2013-11-03")}[month]
    usual: dict[tuple[str, int, str, str], list[int]] = {}
    for flight in found.values():
        line = (flight.carrier, flight.flight_number, flight.origin, flight.destination)
        usual.setdefault(line, []).append((flight.scheduled_arrival - flight.scheduled_departure) // 60_000)
    checked = 0
    for flight in found.values():
        line = (flight.carrier, flight.flight_number, flight.origin, flight.destination)
        if flight.flight_date in map(day, nights) and len(usual[line]) >= 10:
            median = sorted(usual[line])[len(usual[line]) // 2]
            length = (flight.scheduled_arrival - flight.scheduled_departure) // 60_000
            assert abs(length - median) < 45, f"{flight.id}: {length} minutes, usually {median}"
            checked += 1
    assert checked > 500
