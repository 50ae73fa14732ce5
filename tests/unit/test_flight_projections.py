"""The read models of `flights`, folded in memory and compared with the CSV counted by hand."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventfold.projections.fold import FoldError
from eventfold.projections.projection import Projection
from eventfold.projections.testing import assert_folds_alike, folded
from eventfold.schemas.codec import Codec
from eventfold.schemas.event import Event
from flights.projections import aircraft, board, flights, projections, punctuality
from flights.projections.punctuality import percentile
from tests.support.expected import month
from tests.support.flights import ARRIVAL, DEPARTURE, MINUTE_MS, departed, scheduled

ID = "UA1:2013-02-08:JFK"
FLIGHT = {
    name: departed(1)[name] for name in ("carrier", "flight_number", "flight_date", "origin", "destination", "tail_number")
}
SCHEDULED = Event("flights.FlightScheduled", ID, scheduled(1))
DEPARTED = Event("flights.FlightDeparted", ID, departed(1, 7))
ARRIVED = Event(
    "flights.FlightArrived",
    ID,
    {**FLIGHT, "arrived_at": ARRIVAL + 15 * MINUTE_MS, "arrival_delay_min": 15, "air_time_s": 330 * 60},
)
DIVERTED = Event("flights.FlightDiverted", ID, {**FLIGHT, "diverted_at": ARRIVAL, "diverted_to": None})
CANCELLED = Event("flights.FlightCancelled", ID, {**FLIGHT, "cancelled_at": DEPARTURE})


def test_every_command_of_january_is_accepted_and_gives_one_event(january_events: list[Event]) -> None:
    assert Counter(event.type.removeprefix("flights.") for event in january_events) == month(1).events
    assert len(january_events) == 80_491


@pytest.fixture(scope="module")
def two_days(january_events: list[Event]) -> list[Event]:
    return [event for event in january_events if event.data["flight_date"] in (15_706, 15_707)]


@pytest.mark.parametrize("projection", projections, ids=lambda projection: projection.name)
def test_real_days_fold_alike(projection: Projection, two_days: list[Event]) -> None:
    """Enough flights to have every kind of event, few enough for many rounds."""
    ids = sorted({event.key for event in two_days})
    special = [e.key for e in two_days if e.type in ("flights.FlightDiverted", "flights.FlightCancelled")]
    chosen = {*random.Random(7).sample(ids, 150), *special}
    events = [event for event in two_days if event.key in chosen]
    assert len({event.type for event in events}) == 5
    assert_folds_alike(projection, events, rounds=3)


@pytest.mark.parametrize("projection", projections, ids=lambda projection: projection.name)
def test_what_the_codec_reads_of_events_is_folded_into_the_same_rows(
    projection: Projection, two_days: list[Event], codec: Codec
) -> None:
    read = codec.reader(projection.reads)
    found = [(read(codec.encode(event.type, event.data)), event.key) for event in two_days]
    events = [Event(message[0], key, message[1]) for message, key in found if message is not None]
    assert folded(projection, events) == folded(projection, two_days)


# -- flights -------------------------------------------------------------------------------------------------------------


def test_a_row_says_what_is_known_of_a_flight() -> None:
    row = folded(flights, [SCHEDULED])["flights"][ID]
    assert (row["status"], row["version"], row["departed_at"], row["scheduled_departure"]) == (
        "scheduled",
        1,
        None,
        "2013-02-08T12:00:00Z",
    )
    row = folded(flights, [SCHEDULED, DEPARTED, ARRIVED])["flights"][ID]
    assert row == {
        "id": ID,
        "version": 3,
        "status": "arrived",
        "carrier": "UA",
        "flight_number": 1,
        "flight_date": "2013-02-08",
        "origin": "JFK",
        "destination": "LAX",
        "tail_number": "N14228",
        "distance_mi": 2475,
        "scheduled_departure": "2013-02-08T12:00:00Z",
        "scheduled_arrival": "2013-02-08T18:00:00Z",
        "departed_at": "2013-02-08T12:07:00Z",
        "departure_delay_min": 7,
        "arrived_at": "2013-02-08T18:15:00Z",
        "arrival_delay_min": 15,
        "air_time_min": 330,
        "diverted_to": None,
    }


@pytest.mark.parametrize("projection", [flights, board], ids=["flights", "board"])
@pytest.mark.parametrize("event", [DEPARTED, ARRIVED, DIVERTED, CANCELLED], ids=lambda event: event.type)
def test_a_flight_that_was_never_scheduled_is_an_error(projection: Projection, event: Event) -> None:
    with pytest.raises(FoldError, match=f"{ID}.*{event.type}.*never scheduled"):
        folded(projection, [event])


def test_every_flight_of_january_has_its_row(january_events: list[Event]) -> None:
    rows, expected = folded(flights, january_events)["flights"], month(1).flights
    assert rows.keys() == expected.keys()
    for id_, wanted in expected.items():
        assert {name: rows[id_][name] for name in wanted} == wanted


# -- board ---------------------------------------------------------------------------------------------------------------


def test_the_board_shows_how_a_departure_stands() -> None:
    def shown(*events: Event) -> tuple[Any, ...]:
        row = folded(board, [SCHEDULED, *events])["departures"][ID]
        return row["flight"], row["status"], row["departed_at"], row["delay_min"]

    assert shown() == ("UA 1", "scheduled", None, None)
    assert shown(CANCELLED) == ("UA 1", "cancelled", None, None)
    assert shown(DEPARTED) == ("UA 1", "departed", "2013-02-08T12:07:00Z", 7)
    assert shown(DEPARTED, ARRIVED) == ("UA 1", "arrived", "2013-02-08T12:07:00Z", 7)
    assert shown(DEPARTED, DIVERTED) == ("UA 1", "diverted", "2013-02-08T12:07:00Z", 7)


def test_the_index_of_the_board_sorts_an_airports_day_by_time(january_events: list[Event]) -> None:
    (index,) = board.tables[0].indexes
    rows = folded(board, january_events)["departures"]
    day = month(1).board["JFK", "2013-01-15"]
    found = sorted(parts for key, row in rows.items() if (parts := index.member(key, row))[:2] == ("JFK", "2013-01-15"))
    assert found == sorted(("JFK", "2013-01-15", at) for at, _ in day)


# -- punctuality ---------------------------------------------------------------------------------------------------------


def test_fifteen_minutes_are_late_and_fourteen_are_not() -> None:
    early = Event(ARRIVED.type, ID, {**ARRIVED.data, "arrival_delay_min": 14})
    assert folded(punctuality, [SCHEDULED, DEPARTED, ARRIVED])["carrier"]["UA"]["arrived_late"] == 1
    assert folded(punctuality, [SCHEDULED, DEPARTED, early])["carrier"]["UA"]["arrived_late"] == 0


def test_january_is_as_punctual_as_the_csv_says(january_events: list[Event]) -> None:
    tables, expected = folded(punctuality, january_events), month(1).by
    assert tables.keys() == expected.keys()
    for by, rows in tables.items():
        assert rows.keys() == expected[by].keys()
        for key, row in rows.items():
            assert {name: row[name] for name in row if not name.endswith("delays")} == {
                name: expected[by][key][name] for name in row if not name.endswith("delays")
            }


def test_percentiles_of_january_by_counting(january_events: list[Event]) -> None:
    delays = sorted(e.data["arrival_delay_min"] for e in january_events if e.type == ARRIVED.type and e.data["carrier"] == "UA")
    histogram = folded(punctuality, january_events)["carrier"]["UA"]["arr_delays"]
    for percent in (1, 50, 90, 99, 100):
        assert percentile(histogram, percent) == nearest_rank(delays, percent)


def nearest_rank(values: list[int], percent: int) -> int:
    """The smallest value that at least so many percent of all do not exceed."""
    return next(v for v in sorted(set(values)) if sum(other <= v for other in values) * 100 >= percent * len(values))


@given(st.lists(st.integers(-60, 300), min_size=1, max_size=60), st.integers(1, 100))
def test_percentiles_are_nearest_ranks(values: list[int], percent: int) -> None:
    histogram = {str(minutes): number for minutes, number in Counter(values).items()}
    assert percentile(histogram, percent) == nearest_rank(values, percent)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile({}, 50) is None


# -- aircraft ------------------------------------------------------------------------------------------------------------


def test_an_aircraft_is_where_its_latest_event_left_it() -> None:
    expected = {
        "tail_number": "N14228",
        "legs": 1,
        "diverted": 0,
        "air_time_min": 330,
        "last_airport": "LAX",
        "last_seen_at": "2013-02-08T18:15:00Z",
    }
    assert folded(aircraft, [SCHEDULED, DEPARTED, ARRIVED])["aircraft"] == {"N14228": expected}
    assert folded(aircraft, [ARRIVED, DEPARTED])["aircraft"] == {"N14228": expected}


def test_a_diverted_leg_counts_and_leaves_it_where_it_was_seen_last() -> None:
    row = folded(aircraft, [DEPARTED, DIVERTED])["aircraft"]["N14228"]
    assert (row["legs"], row["diverted"], row["last_airport"], row["last_seen_at"]) == (1, 1, "JFK", "2013-02-08T12:07:00Z")


def test_a_flight_without_a_tail_number_is_nobodys_leg() -> None:
    unknown = Event(ARRIVED.type, ID, {**ARRIVED.data, "tail_number": None})
    assert folded(aircraft, [unknown]) == {"aircraft": {}}


def test_january_has_the_legs_and_minutes_of_the_csv(january_events: list[Event]) -> None:
    rows = folded(aircraft, january_events)["aircraft"]
    assert {tail: (row["legs"], row["air_time_min"]) for tail, row in rows.items()} == month(1).aircraft


rows = st.builds(
    lambda legs, airport, at: {
        "tail_number": "N1",
        "legs": legs,
        "diverted": 0,
        "air_time_min": legs * 100,
        "last_airport": airport,
        "last_seen_at": f"2013-01-01T{at:02d}:00:00Z",
    },
    st.integers(0, 9),
    st.sampled_from(["JFK", "LAX", "ORD"]),
    st.integers(0, 3),
)


@given(rows, rows, rows)
def test_the_merge_is_associative_and_commutative(a: Any, b: Any, c: Any) -> None:
    merge = aircraft.tables[0].merge
    assert merge is not None
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
