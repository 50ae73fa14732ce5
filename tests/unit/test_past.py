"""One aggregate's past: points of it, and a projection's query on rows folded in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME
from confluent_kafka import Message as Record

from eventfold.projections.fold import FoldError
from eventfold.projections.past import Aggregate, PastReader, Point, answer_as_of
from eventfold.projections.projection import Index, Projection, Table, sum_fields
from eventfold.projections.query import Param
from eventfold.schemas.errors import DecodeError, EventfoldError, NotFoundError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.position import Position
from eventfold.schemas.times import iso, millis
from eventfold.store.index_members import beginning
from eventfold.store.rows import Row
from flights.projections import board, flights

KEY = "a"
TOPIC = "t.shop.events"
DAY = millis("2013-01-01T00:00:00Z")

stock = Projection(
    name="stock",
    version=1,
    topics=("shop.events",),
    tables=(
        Table(name="stock", indexes=(Index(name="by_shelf", member=lambda key, row: tuple(row["shelf"].split("|"))),)),
        Table(name="totals", merge=sum_fields),
    ),
)


@stock.on("shop.Put")
def put(row: Row | None, event: Event) -> Row:
    return {"shelf": event.data["shelf"], "moves": (row or {"moves": 0})["moves"] + 1}


@stock.on("shop.Moved")
def moved(row: Row | None, event: Event) -> Row:
    assert row is not None
    return {"shelf": event.data["shelf"], "moves": row["moves"] + 1}


@stock.on("shop.Put", "shop.Moved", table="totals", key=lambda event: "all")
def total(row: Row | None, event: Event) -> Row:
    return {"moves": (row or {"moves": 0})["moves"] + 1}


stock.answers(lambda reader, key: reader.get("stock", key), params=[Param(name="key", positional=True, aggregate=True)])


def event(
    offset: int, happened: int, recorded: int, sequence: int, type_: str = "shop.Moved", **headers: bytes | None
) -> Event:
    given: dict[str, bytes | None] = {"ce_time": iso(DAY + happened).encode(), "ce_sequence": b"%d" % sequence, **headers}
    record = Record(
        topic=TOPIC,
        partition=2,
        offset=offset,
        timestamp=(TIMESTAMP_LOG_APPEND_TIME, DAY + recorded),
        headers=[(name, value) for name, value in given.items() if value is not None],
    )
    return Event(type_, KEY, {"shelf": f"S{sequence}"}, record)


# The third one happened first; the second and third were recorded in one millisecond.
EVENTS = [event(10, 300, 1000, 1, "shop.Put"), event(20, 400, 2000, 2), event(21, 200, 2000, 3), event(40, 500, 4000, 4)]


@dataclass
class Shelf:
    """A past that holds these events."""

    events: list[Event] = field(default_factory=lambda: EVENTS)

    def aggregate(self, topic: str, key: str) -> Aggregate:
        assert (topic, key) == ("shop.events", KEY)
        return Aggregate(topic=TOPIC, partition=2, end=50, events=self.events)


def versions(point: Point, events: list[Event] = EVENTS) -> list[int]:
    found = point.events(Shelf(events).aggregate("shop.events", KEY), KEY)
    return [int(event.data["shelf"][1:]) for event in found]


@pytest.mark.parametrize(
    ("point", "found"),
    [
        (Point(happened=DAY + 200), [3]),
        (Point(happened=DAY + 299), [3]),
        (Point(happened=DAY + 300), [1, 3]),
        (Point(happened=DAY + 10_000), [1, 2, 3, 4]),
        (Point(recorded=DAY + 1999), [1]),
        (Point(recorded=DAY + 2000), [1, 2, 3]),
        (Point(position=Position(TOPIC, 2, 10)), [1]),
        (Point(position=Position(TOPIC, 2, 20)), [1, 2]),
        (Point(position=Position(TOPIC, 2, 39)), [1, 2, 3]),
        (Point(position=Position(TOPIC, 2, 49)), [1, 2, 3, 4]),
        (Point(version=1), [1]),
        (Point(version=3), [1, 2, 3]),
    ],
    ids=str,
)
def test_events_up_to_a_point_in_the_log_s_order(point: Point, found: list[int]) -> None:
    assert versions(point) == found


@pytest.mark.parametrize(
    ("point", "error", "says"),
    [
        (Point(happened=DAY + 199), NotFoundError, "'a' had no event as of 2013-01-01T00:00:00.199Z: its first of 4 is"),
        (Point(recorded=DAY + 999), NotFoundError, "had no event as recorded by 2013-01-01T00:00:00.999Z"),
        (Point(position=Position(TOPIC, 2, 9)), NotFoundError, "had no event as of t.shop.events/2@9"),
        (Point(position=Position(TOPIC, 2, 50)), NotFoundError, "is not in the log yet: it ends at offset 50"),
        (Point(position=Position(TOPIC, 1, 20)), UsageError, "'a' lie in t.shop.events/2, of which t.shop.events/1@20"),
        (Point(position=Position("shop.events", 2, 20)), UsageError, "says nothing"),
        (Point(version=5), NotFoundError, "'a' has no version 5 yet: it is at version 4"),
    ],
    ids=str,
)
def test_a_point_at_which_there_is_nothing(point: Point, error: type[EventfoldError], says: str) -> None:
    with pytest.raises(error) as raised:
        versions(point)
    assert says in str(raised.value)


def test_an_aggregate_without_events() -> None:
    with pytest.raises(NotFoundError, match=r"'a' has no event in t\.shop\.events/2"):
        versions(Point(version=1), [])


@pytest.mark.parametrize(
    ("point", "headers", "says"),
    [
        (Point(happened=DAY), {"ce_time": None}, "t.shop.events/2@7 key 'a': the record has no ce_time header"),
        (Point(happened=DAY), {"ce_time": b"noon"}, "its ce_time cannot be read: 'noon' is not a time"),
        (Point(version=1), {"ce_sequence": None}, "the record has no ce_sequence header"),
        (Point(version=1), {"ce_sequence": b"one"}, "its ce_sequence is no number: 'one'"),
    ],
)
def test_an_event_without_the_header_that_is_asked_about(point: Point, headers: dict[str, Any], says: str) -> None:
    with pytest.raises(DecodeError) as raised:
        versions(point, [event(7, 0, 0, 1, **headers)])
    assert says in str(raised.value)


def test_the_query_runs_on_what_was_folded_up_to_there() -> None:
    assert answer_as_of(stock, {"key": KEY}, Point(version=1), Shelf()) == {"shelf": "S1", "moves": 1}
    assert answer_as_of(stock, {"key": KEY}, Point(recorded=DAY + 3000), Shelf()) == {"shelf": "S3", "moves": 3}


def test_a_step_that_lacks_an_event_which_happened_later_says_what_else_to_ask() -> None:
    with pytest.raises(EventfoldError, match=r"an event before it in the log is left out.*--as-of-version") as raised:
        answer_as_of(stock, {"key": KEY}, Point(happened=DAY + 200), Shelf())
    assert not isinstance(raised.value, FoldError)


def test_a_step_that_fails_by_itself_is_told_as_it_is() -> None:
    with pytest.raises(FoldError) as raised:
        answer_as_of(stock, {"key": KEY}, Point(version=2), Shelf(EVENTS[1:]))
    assert "left out" not in str(raised.value)


def test_a_query_of_no_single_aggregate_has_no_past() -> None:
    with pytest.raises(UsageError, match="'board' answers of no single aggregate"):
        answer_as_of(board, {}, Point(version=1), Shelf())


def test_reading_as_a_reader_does() -> None:
    events = [
        Event("shop.Put", "b", {"shelf": "2|x"}),
        Event("shop.Put", "a", {"shelf": "2|x"}),
        Event("shop.Put", "c", {"shelf": "1|y"}),
        Event("shop.Moved", "c", {"shelf": "2|a"}),
    ]
    reader = PastReader(stock, events)
    assert reader.get("stock", "c") == {"shelf": "2|a", "moves": 2}
    assert reader.get("stock", "d") is None
    assert reader.get("totals", "all") == {"moves": 4}
    assert list(reader.all("stock")) == ["a", "b", "c"]
    assert reader.find("stock", "by_shelf", "2") == [reader.get("stock", key) for key in ("c", "a", "b")]
    assert reader.find("stock", "by_shelf", ("2",), limit=1) == [reader.get("stock", "c")]
    assert reader.find("stock", "by_shelf", "2", limit=2, start=beginning(("2", "x"))) == [
        reader.get("stock", key) for key in ("a", "b")
    ]
    assert reader.find("stock", "by_shelf", "1") == []
    assert reader.find("stock", "by_shelf", "") == []
    assert reader.find("stock", "by_shelf", ()) == reader.find("stock", "by_shelf", "2")
    for wrong in (lambda: reader.get("nothing", "a"), lambda: reader.all("nothing"), lambda: reader.find("nothing", "x", "")):
        with pytest.raises(UsageError, match="no table 'nothing'"):
            wrong()
    with pytest.raises(UsageError, match="no index 'nothing'"):
        reader.find("stock", "nothing", "")


def test_which_queries_have_a_past() -> None:
    assert flights.query is not None and flights.query.aggregate is not None
    assert flights.query.aggregate.name == "id"
    assert board.query is not None and board.query.aggregate is None


def test_a_query_is_of_one_aggregate_of_one_topic() -> None:
    params = [Param(name="id", aggregate=True), Param(name="other", aggregate=True)]
    with pytest.raises(UsageError, match="of one aggregate of one topic"):
        Projection(name="x", version=1, topics=("a.events",), tables=(Table(name="x"),)).answers(print, params=params)
    both = Projection(name="x", version=1, topics=("a.events", "b.events"), tables=(Table(name="x"),))
    with pytest.raises(UsageError, match="of one aggregate of one topic"):
        both.answers(print, params=params[:1])
