"""The importer: one command an event, in the order of time, few of them held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from flights.cli import parse_months
from flights.dataset import Flight, flights
from flights.importer import commands
from tests.support.expected import month
from tests.support.soak import SOAK


def test_commands_are_as_many_as_events_and_come_in_the_order_of_their_time_over_months_and_dst() -> None:
    """In the CSV November stands before March. `make soak` takes the year."""
    months = list(range(1, 13)) if SOAK else [3, 11]
    last, seen, found = 0, set[str](), 0
    for command in commands(flights(months)):
        assert command.time >= last
        assert (command.key in seen) == (command.type != "flights.ScheduleFlight"), "it is scheduled first, and once"
        last, found = command.time, found + 1
        seen.add(command.key)
    assert found == sum(month(number).events.total() for number in months)
    assert found == 1_002_073 or not SOAK


def test_the_commands_of_about_two_days_are_held() -> None:
    read: list[Flight] = []

    def noted(rows: Iterator[Flight]) -> Iterator[Flight]:
        for row in rows:
            read.append(row)
            yield row

    held = most = seen = 0
    for command in commands(noted(flights([7]))):
        if command.type == "flights.ScheduleFlight":
            held += sum(2 if f.departed_at else 1 for f in read[seen:]) + len(read) - seen
            seen = len(read)
        held -= 1
        most = max(most, held)
    assert held == 0
    assert most < 6_000


def test_commands_are_the_same_each_time(codec: Codec) -> None:
    def first() -> list[tuple[str, str, bytes]]:
        rows = commands(flights([5]))
        return [(c.id, c.key, codec.encode(c.type, c.data)) for c, _ in zip(rows, range(5_000), strict=False)]

    once = first()
    assert first() == once
    assert len({id_ for id_, _, _ in once}) == len(once)


def test_nobody_waits_for_them_one_by_one() -> None:
    found = [command for command, _ in zip(commands(flights([5])), range(10), strict=False)]
    assert {(command.noreply, command.correlation_id) for command in found} == {(True, found[0].correlation_id)}


@pytest.mark.parametrize(
    ("text", "months"),
    [("1", [1]), ("1-3", [1, 2, 3]), ("1,4,7-9", [1, 4, 7, 8, 9]), (" 2 , 1", [1, 2]), ("1-12", list(range(1, 13)))],
)
def test_months(text: str, months: list[int]) -> None:
    assert parse_months(text) == months


@pytest.mark.parametrize("text", ["", "0", "13", "3-1", "1-", "x", "1;2", "-1"])
def test_what_are_no_months(text: str) -> None:
    with pytest.raises(UsageError, match="--months"):
        parse_months(text)
