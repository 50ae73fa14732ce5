"""The fold: rows held in memory, errors that say where, deletions, members of indexes."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Message as Record

from eventfold.projections.fold import Fold, FoldError
from eventfold.projections.projection import Index, Projection, Table, sum_fields
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.position import Position
from eventfold.store.rows import Row, Rows, to_json

Stored = dict[str, bytes]


def shop() -> Projection:
    """Stock by article, found by shelf; an article is put on a shelf, moved, and sold out."""
    stock = Projection(
        name="stock",
        version=1,
        topics=("shop.events",),
        tables=(Table(name="stock", indexes=(Index(name="by_shelf", member=lambda key, row: row["shelf"]),)),),
    )

    @stock.on("shop.Put")
    def put(row: Row | None, event: Event) -> Row:
        return {**(row or {"moves": 0}), "shelf": event.data["shelf"], "moves": (row or {"moves": 0})["moves"] + 1}

    @stock.on("shop.SoldOut")
    def sold_out(row: Row | None, event: Event) -> None:
        return None

    return stock


def put(key: str, shelf: str | None, offset: int = 0) -> Event:
    return Event("shop.Put", key, {"shelf": shelf}, Record(topic="shop.events", partition=2, offset=offset))


SOLD_OUT = Event("shop.SoldOut", "a", {})


class Reads:
    """Stored rows, and which of them were asked for."""

    def __init__(self, **stored: Row) -> None:
        self.stored = {key: to_json(row) for key, row in stored.items()}
        self.asked: list[list[str]] = []

    def __call__(self, table: str, keys: list[str]) -> list[bytes | None]:
        self.asked.append(keys)
        return [self.stored.get(key) for key in keys]


def test_each_changed_row_is_written_once_in_its_final_form() -> None:
    read = Reads(b={"shelf": "9", "moves": 4})
    changes = Fold(shop(), 10).apply([put("a", "1"), put("b", "2"), put("a", "3")], read)
    assert changes.rows == {"stock": {"a": b'{"moves":2,"shelf":"3"}', "b": b'{"moves":5,"shelf":"2"}'}}
    assert read.asked == [["a", "b"]]


def test_rows_that_are_held_are_not_read_again() -> None:
    fold, read = Fold(shop(), 10), Reads()
    fold.apply([put("a", "1")], read)
    changes = fold.apply([put("a", "2"), put("b", "2")], read)
    assert read.asked == [["a"], ["b"]]
    assert changes.rows["stock"]["a"] == b'{"moves":2,"shelf":"2"}'


def test_a_row_can_be_deleted_and_come_again() -> None:
    fold, read = Fold(shop(), 10), Reads(a={"shelf": "9", "moves": 4})
    assert fold.apply([SOLD_OUT], read).rows == {"stock": {"a": None}}
    assert fold.apply([put("a", "1")], read).rows == {"stock": {"a": b'{"moves":1,"shelf":"1"}'}}
    assert read.asked == [["a"]]


def test_a_member_moves_from_where_the_stored_row_had_it_to_where_the_last_event_put_it() -> None:
    def members(*events: Event, **stored: Row) -> dict[str, dict[str, bool]]:
        return Fold(shop(), 10).apply(events, Reads(**stored)).members

    there = {"shelf": "9", "moves": 4}
    assert members(put("a", "1")) == {"by_shelf": {"1\0\0a": True}}
    assert members(put("a", "1"), put("a", "2"), a=there) == {"by_shelf": {"9\0\0a": False, "2\0\0a": True}}
    assert members(put("a", "1"), put("a", "9"), a=there) == {}
    assert members(SOLD_OUT, a=there) == {"by_shelf": {"9\0\0a": False}}
    assert members(put("a", None), a=there) == {"by_shelf": {"9\0\0a": False}}
    assert members(put("a", "1"), SOLD_OUT) == {}


def test_an_event_nobody_folds_changes_nothing() -> None:
    read = Reads()
    assert Fold(shop(), 10).apply([Event("shop.Opened", "a", {})], read).rows == {}
    assert read.asked == []


def test_a_step_that_fails_says_which_event_and_where_it_lies() -> None:
    bad = Event("shop.Put", "b", {}, Record(topic="shop.events", partition=2, offset=41))
    with pytest.raises(FoldError, match=r"shop\.events/2@41 key 'b': stock cannot fold shop\.Put: KeyError: 'shelf'") as raised:
        Fold(shop(), 10).apply([put("a", "1", 40), bad, put("a", "2", 42)], Reads())
    assert raised.value.position == Position("shop.events", 2, 41)


def test_a_key_that_fails_is_a_fold_error_too() -> None:
    stock = shop()
    stock.on("shop.Put", key=lambda event: event.data["article"])(lambda row, event: {})
    with pytest.raises(FoldError, match=r"shop\.events/2@7 key 'a': stock cannot fold shop\.Put: KeyError: 'article'"):
        Fold(stock, 10).apply([put("a", "1", 7)], Reads())


def test_a_key_of_none_leaves_the_event_out() -> None:
    stock = Projection(name="stock", version=1, topics=("shop.events",), tables=(Table(name="stock"),))
    stock.on("shop.Put", key=lambda event: event.data["shelf"])(lambda row, event: {"by": event.key})
    assert Fold(stock, 10).apply([put("a", None), put("b", "2")], Reads()).rows == {"stock": {"2": b'{"by":"b"}'}}


def test_what_is_read_of_a_type_is_what_any_of_its_steps_reads() -> None:
    stock = Projection(name="stock", version=1, topics=("shop.events",), tables=(Table(name="stock"), Table(name="shelves")))
    step = stock.on("shop.Put", "shop.Taken", reads=["shelf"])(lambda row, event: {})
    stock.on("shop.Put", table="shelves", reads=("by", "shelf"))(step)
    stock.on("shop.SoldOut", reads=())(step)
    assert stock.reads == {"shop.Put": {"shelf", "by"}, "shop.Taken": {"shelf"}, "shop.SoldOut": frozenset()}
    stock.on("shop.Put")(step)
    assert stock.reads["shop.Put"] is None


# -- rows in memory ------------------------------------------------------------------------------------------------------


def use(rows: Rows, *keys: str) -> list[str]:
    """One batch; returns what had to be read."""
    missing = rows.missing(keys)
    for key in missing:
        rows.young[key] = {"key": key}
    rows.trim()
    return missing


def test_what_was_used_last_is_held_and_the_rest_let_go() -> None:
    rows = Rows(2)
    assert use(rows, "a", "b") == ["a", "b"]
    assert use(rows, "a", "b", "c") == ["c"]
    assert (rows.young, set(rows.old)) == ({}, {"a", "b", "c"})
    assert use(rows, "b", "d") == ["d"]
    assert (set(rows.young), set(rows.old)) == ({"b", "d"}, {"a", "c"})
    assert use(rows, "e") == ["e"]
    assert (rows.young, set(rows.old)) == ({}, {"b", "d", "e"})
    assert use(rows, "a", "b") == ["a"]


def test_memory_is_bounded_by_the_limit_however_many_rows_there_are() -> None:
    rows, limit, batch = Rows(100), 100, 30
    for first in range(0, 5_000, batch):
        use(rows, *(str(key) for key in range(first, first + batch)))
        assert len(rows.young) + len(rows.old) <= 2 * limit + batch


def test_the_last_limit_rows_are_never_read_twice() -> None:
    rows = Rows(50)
    last: list[str] = []
    for number in range(1_000):
        key = str(number * 7919 % 60)
        missing = use(rows, key)
        assert (key in last[-50:]) <= (missing == [])
        last = [other for other in last if other != key] + [key]


# -- declarations --------------------------------------------------------------------------------------------------------


def test_a_projection_without_topics_or_tables_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="at least one topic and one table"):
        Projection(name="stock", version=1, topics=(), tables=(Table(name="stock"),))
    with pytest.raises(UsageError, match="cannot name a projection"):
        Projection(name="My Stock", version=1, topics=("shop.events",), tables=(Table(name="stock"),))
    with pytest.raises(UsageError, match="has no table 'orders'"):
        shop().on("shop.Put", table="orders")


@pytest.mark.parametrize(
    ("left", "right", "merged"),
    [
        ({"n": 1}, {"n": 2}, {"n": 3}),
        ({"n": 1}, {"m": 2}, {"n": 1, "m": 2}),
        ({"h": {"0": 1, "5": 2}}, {"h": {"5": 3, "7": 1}}, {"h": {"0": 1, "5": 5, "7": 1}}),
        ({}, {"h": {"1": 1}}, {"h": {"1": 1}}),
    ],
)
def test_counters_are_merged_by_adding(left: Any, right: Any, merged: Any) -> None:
    before = to_json(left), to_json(right)
    assert sum_fields(left, right) == sum_fields(right, left) == merged
    assert (to_json(left), to_json(right)) == before


def test_an_event_reads_its_headers_only_when_asked() -> None:
    bare = Event("shop.Put", "a", {})
    assert bare.position == Position("none", 0, 0)
    with pytest.raises(DecodeError, match="no ce_id header"):
        _ = bare.envelope
    assert repr(put("a", "1", 3)) == "Event('shop.Put', 'a', {'shelf': '1'}, shop.events/2@3)"


@pytest.mark.parametrize(
    "tables",
    [
        (Table(name="slice"),),
        (Table(name="a"), Table(name="a")),
        (Table(name="a", indexes=(Index(name="a", member=lambda key, row: key),)),),
    ],
    ids=["slice", "two tables", "table and index"],
)
def test_two_parts_of_a_slice_cannot_have_one_name(tables: tuple[Table, ...]) -> None:
    with pytest.raises(UsageError, match="more than one part of a slice"):
        Projection(name="shop", version=1, topics=("shop.events",), tables=tables)


def test_a_key_that_is_no_text_is_an_error_of_the_fold() -> None:
    projection = Projection(name="shop", version=1, topics=("shop.events",), tables=(Table(name="stock"),))
    projection.on("shop.Put", key=lambda event: event.data["shelf"])(lambda row, event: {})
    with pytest.raises(FoldError, match="a row's key must be text, not 7"):
        Fold(projection, 10).apply([Event("shop.Put", "a", {"shelf": 7})], Reads())
