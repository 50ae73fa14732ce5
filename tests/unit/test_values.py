"""Positions, times, ids, names and partitions: small values that every room speaks of."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventfold.schemas.errors import UsageError
from eventfold.schemas.ids import checked_id, derived_id, made_at, new_id
from eventfold.schemas.names import Names, checked_name
from eventfold.schemas.partitioner import murmur2, partition_of
from eventfold.schemas.position import Position
from eventfold.schemas.times import day, iso, iso_day, millis


def test_a_position_and_its_text() -> None:
    position = Position("t1.flights.events", 3, 1002073)
    assert str(position) == "t1.flights.events/3@1002073"
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "flights.events", "flights.events/3", "/3@4", "a/b@1", "a/-1@1", "a/1@1 ", "a b/1@1"])
def test_what_is_no_position_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="topic/partition@offset"):
        Position.parse(text)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)).map(lambda d: d.replace(tzinfo=UTC)))
def test_every_time_comes_back_to_the_millisecond(moment: datetime) -> None:
    ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution * 1000)
    assert millis(iso(ms)) == ms


def test_times_are_written_in_utc_and_sort_as_text() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1357035420000) == "2013-01-01T10:17:00Z"
    assert iso(1357035420005) == "2013-01-01T10:17:00.005Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"
    assert millis("2013-01-01T05:17:00-05:00") == 1357035420000
    minutes = [1357035420000 + 60_000 * i for i in range(-2000, 2000, 7)]
    assert sorted(map(iso, minutes)) == [iso(ms) for ms in minutes]


@pytest.mark.parametrize(("text", "says"), [("now", "is not a time"), ("2013-13-01T00:00:00Z", "is not a time")])
def test_what_is_no_time_is_a_usage_error(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        millis(text)


def test_a_time_without_zone_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no time zone"):
        millis("2013-01-01T10:17:00")


@given(st.dates())
def test_every_day_comes_back(any_day: date) -> None:
    assert iso_day(day(any_day.isoformat())) == any_day.isoformat()


def test_days_are_counted_from_1970() -> None:
    assert (day("1970-01-01"), day("2013-02-08")) == (0, 15744)
    with pytest.raises(UsageError, match="is not a date"):
        day("2013-02-30")


@given(st.uuids(), st.text())
def test_derived_ids_are_uuid5(parent: uuid.UUID, name: str) -> None:
    assert derived_id(str(parent), name) == str(uuid.uuid5(parent, name))


def test_ids_are_uuids_in_their_usual_form() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert {(uuid.UUID(id_).version, uuid.UUID(id_).variant) for id_ in made} == {(7, uuid.RFC_4122)}
    assert all(before <= (made_at(id_) or 0) <= time.time_ns() // 1_000_000 for id_ in made)
    assert made_at(str(uuid.uuid4())) is None
    assert checked_id("1B4E28BA2FA111D2883F0016D3CCA427") == "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    with pytest.raises(UsageError, match="must be a UUID"):
        checked_id("42")


def test_names_stand_under_the_prefix() -> None:
    names = Names(prefix="test.")
    assert names.commands("flights") == "test.flights.commands"
    assert names.events("flights") == "test.flights.events"
    assert names.refusals("flights") == "test.flights.refusals"
    assert names.dead_letters("flights") == "test.flights.dead-letters"
    assert names.topic("weather.events") == "test.weather.events"
    assert names.projection_group("board") == "test.board"
    assert names.handler_group("flights") == "test.flights.handler"
    assert Names().events("flights") == "flights.events"


@pytest.mark.parametrize("name", ["flights", "a", "my_domain-2", "x" * 64])
def test_a_name_that_can_be_part_of_a_topic(name: str) -> None:
    assert checked_name(name, "domain") == name


@pytest.mark.parametrize("name", ["", "Flights", "2flights", "my.domain", "my domain", "x" * 65, "fl{ghts", "flights\n"])
def test_a_name_that_cannot_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a domain"):
        checked_name(name, "domain")


@pytest.mark.parametrize(
    ("key", "java"),
    [
        # Apache Kafka, org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: str, java: int) -> None:
    assert murmur2(key.encode()) == java & 0xFFFFFFFF
    # Java: Utils.toPositive(murmur2(key)) % partitions.
    assert partition_of(key, 6) == partition_of(key.encode(), 6) == (java & 0x7FFFFFFF) % 6


@given(st.binary(), st.integers(1, 10_000))
def test_every_key_has_a_partition(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
