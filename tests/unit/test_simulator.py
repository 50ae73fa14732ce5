"""A day of the real data as another day: which command when, and how the play keeps time."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from eventfold.producers.commands import Command
from eventfold.schemas.errors import UsageError
from eventfold.schemas.times import day, iso
from flights.dataset import flights_of, midnight
from flights.simulator import BUSY, Clock, moment, plan, play

PLAYED = day("2026-11-26")
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def planned() -> list[Command]:
    return plan(day(BUSY), PLAYED)


class Sent:
    """Takes commands, at the time that its clock shows."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sent: list[tuple[float, Command]] = []
        self.flushed = 0
        self.clock = Clock(now=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        assert self.flushed == len(self.sent), "what was due lies here while it waits"
        self.now += seconds

    def send(self, command: Command) -> None:
        self.sent.append((self.now, command))

    def flush(self) -> None:
        self.flushed = len(self.sent)


def test_it_is_the_day_of_the_data(planned: list[Command]) -> None:
    of_day = list(flights_of(date.fromisoformat(BUSY)))
    counted = Counter(command.type.partition(".")[2] for command in planned)
    departed = [flight for flight in of_day if flight.departed_at is not None]
    assert counted == Counter(
        ScheduleFlight=len(of_day),
        DepartFlight=len(departed),
        CancelFlight=len(of_day) - len(departed),
        ArriveFlight=sum(flight.arrived_at is not None for flight in of_day),
        DivertFlight=sum(flight.diverted_at is not None for flight in of_day),
    )
    assert len(of_day) > 900


def test_everything_happens_at_the_same_time_of_the_other_day(planned: list[Command]) -> None:
    shift = midnight(PLAYED) - midnight(day(BUSY))
    original = {flight.id: flight for flight in flights_of(date.fromisoformat(BUSY))}
    for command in planned:
        flight = original[command.key.replace("2026-11-26", BUSY)]
        if command.type == "flights.ScheduleFlight":
            assert command.data["flight_date"] == PLAYED
            assert command.data["scheduled_departure"] == flight.scheduled_departure + shift
            assert command.time == midnight(PLAYED)
        elif command.type == "flights.DepartFlight":
            assert flight.departed_at is not None
            assert command.time == command.data["departed_at"] == flight.departed_at + shift


def test_commands_come_in_the_order_of_their_time_the_schedule_first(planned: list[Command]) -> None:
    assert [command.time for command in planned] == sorted(command.time for command in planned)
    first = next(at for at, command in enumerate(planned) if command.type != "flights.ScheduleFlight")
    assert all(command.type != "flights.ScheduleFlight" for command in planned[first:])


def test_ids_follow_from_the_played_day(planned: list[Command]) -> None:
    assert [command.id for command in plan(day(BUSY), PLAYED)] == [command.id for command in planned]
    others = {command.id for command in plan(day(BUSY), PLAYED + 1)}
    assert others.isdisjoint(command.id for command in planned)
    assert len({command.id for command in planned}) == len(planned)
    assert all(command.noreply for command in planned)


def test_an_airport_alone(planned: list[Command]) -> None:
    some = plan(day(BUSY), PLAYED, "LGA")
    assert {command.key[-3:] for command in some} == {"LGA"}
    assert {command.id for command in some} < {command.id for command in planned}


def test_each_is_sent_when_its_time_has_come(planned: list[Command]) -> None:
    it = Sent()
    begin = moment(PLAYED, "06:00")
    play(planned, begin, 60, it, lambda _: None, it.clock)  # type: ignore[arg-type]
    assert len(it.sent) == len(planned) == it.flushed
    for at, command in it.sent:
        due = 1_000 + max(0, command.time - begin) / 1_000 / 60
        assert at == pytest.approx(due, abs=0.001)


def test_one_that_lags_does_not_wait(planned: list[Command]) -> None:
    """A play that cannot keep up sends what is due, as fast as it can."""
    it = Sent()
    begin = planned[0].time

    def slow(_: Command) -> None:
        it.now += 10

    play(planned[:100], begin, 1e9, it, slow, it.clock)  # type: ignore[arg-type]
    assert it.now == pytest.approx(1_000 + 100 * 10, abs=0.01)


def test_times_of_the_day_are_those_of_new_york() -> None:
    assert iso(moment(PLAYED, "05:30")) == "2026-11-26T10:30:00Z"
    assert iso(moment(day("2026-07-01"), "05:30")) == "2026-07-01T09:30:00Z"
    for wrong in ("5", "25:00", "noon", "05:30:00"):
        with pytest.raises(UsageError, match="--from"):
            moment(PLAYED, wrong)


def test_days_that_cannot_be_played() -> None:
    with pytest.raises(UsageError, match="--date 2014-01-01: the data is of 2013"):
        plan(day("2014-01-01"), PLAYED)
    with pytest.raises(UsageError, match="--as 2013-05-05"):
        plan(day(BUSY), day("2013-05-05"))
    with pytest.raises(UsageError, match="EWR, JFK, LGA"):
        plan(day(BUSY), PLAYED, "SFO")


def test_every_day_of_a_year_that_is_played_has_the_clocks_of_the_other() -> None:
    """Also over the nights when clocks change."""
    for played in ("2026-03-08", "2026-11-01", "2028-02-29"):
        found = plan(day("2013-01-08"), day(played), "JFK")
        assert found[0].time == midnight(day(played))
        assert date.fromisoformat(found[0].key.split(":")[1]) == date.fromisoformat(played)
