"""What waits for one who follows a read model: in order, with the id of where it stands, and never more than so much."""

from __future__ import annotations

import asyncio

from eventfold.store.change_stream import Changed
from eventfold.store.index_members import beginning
from eventfold.web.queries.followers import MOST_BYTES, MOST_WAITING, Filter, Follower, Standing
from flights.projections.board import board

FIRST = Standing(generation="g1", entries=("1-1", ""))


def opened() -> Follower:
    follower = Follower(Filter(key="a"))
    follower.open(FIRST)
    return follower


def taken(follower: Follower) -> list[dict[str, str]]:
    """The events that wait, parsed."""
    sent = asyncio.run(follower.next(0.001))
    assert sent is not None
    blocks = sent.decode().strip("\n").split("\n\n")
    return [dict(line.split(": ", 1) for line in block.split("\n") if line) for block in blocks]


def event(number: int) -> bytes:
    return f"event: changed\ndata: {number}\n".encode()


def test_it_begins_with_where_it_stands() -> None:
    assert taken(opened()) == [{"event": "open", "data": "{}", "id": "g1:1-1,"}]


def test_the_last_event_of_a_commit_alone_bears_its_id() -> None:
    """Who is cut off amid a commit's events gets all of them again."""
    follower = opened()
    taken(follower)
    follower.tell([event(1), event(2)], FIRST.past(1, "9-4"))
    assert [found.get("id") for found in taken(follower)] == [None, "g1:1-1,9-4"]


def test_a_commit_that_does_not_concern_it_moves_its_standing() -> None:
    follower = opened()
    taken(follower)
    follower.tell([], FIRST.past(0, "8-2"))
    assert asyncio.run(follower.next(0.001)) == b": ping\nid: g1:8-2,\n\n"


def test_more_than_it_may_keep_is_one_reset() -> None:
    follower = opened()
    for number in range(MOST_WAITING - 1):
        follower.tell([event(number)], FIRST.past(0, f"{number + 2}-1"))
    follower.tell([event(0)], FIRST.past(0, "999-1"))
    assert taken(follower) == [{"event": "reset", "data": "{}", "id": "g1:999-1,"}]
    follower.tell([event(1)], FIRST.past(0, "1000-1"))
    assert [found["event"] for found in taken(follower)] == ["changed"]


LARGE = b"event: changed\ndata: " + b"9" * (MOST_BYTES // 2) + b"\n"


def test_more_bytes_than_it_may_keep_are_one_reset() -> None:
    follower = opened()
    follower.tell([LARGE], FIRST.past(0, "2-1"))
    follower.tell([LARGE], FIRST.past(0, "3-1"))
    assert taken(follower) == [{"event": "reset", "data": "{}", "id": "g1:3-1,"}]
    follower.tell([LARGE], FIRST.past(0, "4-1"))
    assert [found["event"] for found in taken(follower)] == ["changed"]


def test_more_bytes_missed_than_it_may_keep_are_a_reset() -> None:
    follower = opened()
    follower.catch_up([LARGE, LARGE], FIRST)
    assert [one["event"] for one in taken(follower)] == ["reset"]


def test_what_was_missed_comes_behind_the_first_and_before_what_waits() -> None:
    follower = opened()
    follower.tell([event(3)], FIRST.past(0, "5-3"))
    follower.catch_up([event(1), event(2)], FIRST)
    found = taken(follower)
    assert [one["data"] for one in found] == ["{}", "1", "2", "3"]
    assert [one.get("id") for one in found] == ["g1:1-1,", None, "g1:1-1,", "g1:5-3,"]


def test_what_was_missed_and_is_not_known_is_a_reset() -> None:
    follower = opened()
    follower.catch_up(None, FIRST)
    assert [one["event"] for one in taken(follower)] == ["reset"]


def test_at_the_end_nothing_comes() -> None:
    follower = opened()
    taken(follower)
    follower.end()
    assert asyncio.run(follower.next(10)) is None


def test_a_standing_is_its_text() -> None:
    assert Standing.parse(str(FIRST)) == FIRST
    assert Standing.parse("nonsense") != FIRST


def test_a_row_that_leaves_a_board_is_gone_from_it() -> None:
    query = board.query
    assert query is not None and query.rows is not None
    rows, table = query.rows, board.table(query.rows.table)
    row = {
        "id": "a", "origin": "JFK", "flight_date": "2013-01-08", "scheduled_departure": "2013-01-08T13:00:00Z",
        "carrier": "UA", "flight_number": 1, "destination": "LAX", "status": "scheduled",
        "departed_at": None, "delay_min": None,
    }  # fmt: skip
    there, elsewhere = (Filter(prefix=beginning(("JFK", day))) for day in ("2013-01-08", "2013-01-09"))
    parts = beginning(("JFK", "2013-01-09", "2013-01-09T13:00:00Z"))
    moved = Changed(table=table.name, key="a", row=row, left={rows.index: [parts]} if rows.index else {})
    assert (there.event(rows, table, moved) or b"").startswith(b"event: changed")
    assert (elsewhere.event(rows, table, moved) or b"").startswith(b"event: gone")
    deleted = Changed(table=table.name, key="a", row=None, left={rows.index: [parts]} if rows.index else {})
    assert there.event(rows, table, deleted) is None
    assert (elsewhere.event(rows, table, deleted) or b"").startswith(b"event: gone")
