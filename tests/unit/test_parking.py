"""What a batch parks, what a failure policy says, how a letter is read back: the pure parts of parking."""

from __future__ import annotations

from functools import partial

import pytest
from confluent_kafka import Message as Record

from eventfold.processors.attempts import Attempts
from eventfold.processors.dead_letters.letters import DISCARDED, RETRIED, Letter, open_letters, parked, read
from eventfold.processors.projector.one_by_one import OneByOne, decoded
from eventfold.processors.projector.parking import Parking, key_of
from eventfold.projections.fold import Fold, FoldError
from eventfold.projections.projection import Index, Projection, Table
from eventfold.schemas.event import Event
from eventfold.schemas.failure import Park, Policy, Retry, Stop, may_park
from eventfold.schemas.position import Position
from eventfold.store.commits import Changes
from eventfold.store.parked import Mark, shown, unlike, written
from eventfold.store.rows import Row
from eventfold.store.slices import PARKED, PARKED_EVENTS

PLACE = ("shop.events", 2)


def record(offset: int, key: bytes | None = b"a", value: bytes | None = b"v") -> Record:
    return Record(topic=PLACE[0], partition=PLACE[1], offset=offset, key=key, value=value, headers=[("ce_id", b"%d" % offset)])


def mark(origin: int, count: int = 1, error: str = "no") -> Mark:
    return Mark(origin=origin, recorded=0, error=error, count=count)


# -- what a batch adds -------------------------------------------------------------------------------------------------------


def test_records_of_a_parked_key_are_put_aside_in_their_order() -> None:
    before = {b"a": mark(3, 2)}
    parking = Parking.onto(before)
    rest = parking.split([record(7), record(8, b"b"), record(9), record(10, None), record(11, b"b")])
    assert [r.offset() for r in rest] == [8, 10, 11]
    parking.put(rest[1], "it failed")
    changes = Changes()
    parking.write(before, changes)
    assert changes.parked == {
        PARKED: {b"=a": mark(3, 4).to_json(), b"=": mark(10, 1, "it failed").to_json()},
        PARKED_EVENTS: {7: b"a", 9: b"a", 10: b""},
    }
    assert before == {b"a": mark(3, 2)}, "what is written already must not change before the batch is"
    behind = "it waits behind offset 3, which failed: no"
    errors = [(letter.origin.offset, letter.error) for letter in parking.letters("stock", "g1")]
    assert errors == [(7, behind), (9, behind), (10, "it failed")]


def test_a_record_without_a_key_and_one_with_an_empty_key_are_of_one_key() -> None:
    assert key_of(record(1, None)) == key_of(record(1, b"")) == b""


def test_what_is_parked_no_more_is_deleted() -> None:
    fields = written({b"a": mark(3, 3), b"b": mark(1)}, {b"a": mark(5, 1), b"b": mark(1)}, {}, [3, 4])
    assert fields == {PARKED: {b"=a": mark(5, 1).to_json()}, PARKED_EVENTS: {3: None, 4: None}}
    assert written({b"a": mark(3)}, {}, {}, [3]) == {PARKED: {b"=a": None}, PARKED_EVENTS: {3: None}}


def test_a_mark_survives_whatever_an_exception_says() -> None:
    odd = mark(1, error="\udcff" + "x" * 5_000)
    assert Mark.parse(odd.to_json()) == odd
    assert len(odd.error) == 1_000 and odd.error.startswith("?x")


def test_keys_are_shown_whatever_bytes_they_are() -> None:
    assert [shown(key) for key in (b"UA1", "Bodø".encode(), b"\xff\xfe", b"")] == ["UA1", "Bodø", "\\xff\\xfe", ""]


def test_two_sides_are_unlike_where_a_key_is_not_parked_from_the_same_event_on() -> None:
    left = {b"a": mark(3, 9), b"b": mark(4), b"c": mark(5), b"late": mark(90)}
    right = {b"a": mark(3, 1), b"b": mark(6), b"d": mark(7)}
    assert unlike(left, right, 50) == [b"b", b"c", b"d"]
    assert unlike(left, left, 50) == []


# -- policies ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "parks"),
    [(Stop(), False), (Park(), True), (Retry(), False), (Retry(then=Park()), True), (Retry(times=0), False)],
)
def test_who_may_park(policy: Policy, parks: bool) -> None:
    assert may_park(policy) is parks


def test_stop_and_park_try_once() -> None:
    for policy, parks in ((Stop(), False), (Park(), True)):
        attempts = Attempts(policy)
        assert attempts.parks(PLACE, 4) is parks
        assert attempts.failed(PLACE, 4) is None


def test_retry_pauses_longer_each_time_and_then_parks() -> None:
    attempts = Attempts(Retry(times=3, first_s=1, longest_s=3, then=Park()))
    pauses = []
    while not attempts.parks(PLACE, 4):
        pauses.append(attempts.failed(PLACE, 4))
    assert pauses == [1, 2, 3]
    assert attempts.shown(PLACE, 4) == "failed 3 of 4 times"
    # Each event, and each partition, for itself.
    assert not attempts.parks(PLACE, 5) and not attempts.parks(("shop.events", 0), 4)


def test_retry_then_stop_stops_after_the_last_try() -> None:
    attempts = Attempts(Retry(times=2, first_s=1))
    assert [attempts.failed(PLACE, 4) for _ in range(3)] == [1, 2, None]
    assert not attempts.parks(PLACE, 4)


def test_what_was_passed_or_taken_away_is_forgotten() -> None:
    attempts = Attempts(Retry(times=2, first_s=1))
    for offset in (4, 9):
        attempts.failed(PLACE, offset)
    attempts.passed({PLACE: 5})
    assert attempts.failed(PLACE, 4) == 1 and attempts.failed(PLACE, 9) == 2
    attempts.forget([PLACE])
    assert attempts.failed(PLACE, 9) == 1


# -- letters -----------------------------------------------------------------------------------------------------------------


def as_kafka(letter: Letter) -> Record:
    topic, key, value, headers, _ = letter.to_record("shop.dead-letters")
    return Record(topic=topic, partition=letter.origin.partition, offset=0, key=key, value=value, headers=headers)


def test_a_letter_is_read_back_as_it_was() -> None:
    letter = parked("stock", record(7, b"\xff"), "it failed", "g1")
    assert read(as_kafka(letter), "shop.handler") == letter
    assert letter.origin == Position("shop.events", 2, 7) and letter.headers == [("ce_id", b"7")]


def test_a_letter_of_an_earlier_handler_is_its_own() -> None:
    headers = [("ce_id", b"1"), ("eventfold-origin", b"shop.commands/1@5"), ("eventfold-error", b"?")]
    old = Record(topic="shop.dead-letters", partition=1, offset=0, key=b"a", value=b"v", headers=headers)
    letter = read(old, "shop.handler")
    assert (letter.owner, letter.state, letter.origin) == ("shop.handler", "parked", Position("shop.commands", 1, 5))


def test_open_letters_are_those_that_were_not_ended_each_once() -> None:
    first, second, third = (parked("stock", record(offset), "it failed", "g1") for offset in (1, 2, 3))
    other = parked("stock", record(1), "it failed", "g2")

    def ended(letter: Letter, state: str) -> Letter:
        return Letter(
            owner=letter.owner,
            generation=letter.generation,
            origin=letter.origin,
            key=letter.key,
            value=None,
            headers=[],
            error="",
            state=state,
        )

    assert open_letters([first, second, first, third, other]) == [first, second, third, other]
    assert open_letters([first, second, ended(first, RETRIED), third, ended(third, DISCARDED)]) == [second]
    assert open_letters([first, ended(first, RETRIED), first]) == [first], "parked again after it was tried again"


# -- one at a time -----------------------------------------------------------------------------------------------------------


def stock() -> Projection:
    """Articles in an order, and a total that all of them share; `bad` cannot be folded in the second table."""
    projection = Projection(
        name="stock",
        version=1,
        topics=("shop.events",),
        tables=(
            Table(name="stock", indexes=(Index(name="by_shelf", member=lambda key, row: row["shelf"]),)),
            Table(name="totals"),
        ),
    )

    @projection.on("shop.Put")
    def put(row: Row | None, event: Event) -> Row:
        row = row or {"moves": 0}
        row["shelf"], row["moves"] = event.data["shelf"], row["moves"] + 1
        return row

    @projection.on("shop.Put", table="totals", key=lambda _: "all")
    def counted(row: Row | None, event: Event) -> Row:
        row = row or {"moves": 0}
        row["moves"] += 1
        if event.data["shelf"] == "bad":
            raise ValueError("no such shelf")
        return row

    return projection


@pytest.mark.parametrize("held", [0, 1, 100])
def test_one_at_a_time_is_the_same_as_a_batch_without_those_that_fail(held: int) -> None:
    shelves = [("a", "1"), ("b", "bad"), ("a", "2"), ("c", "1"), ("a", "1"), ("b", "3"), ("c", "bad"), ("b", "4")]
    stored = {("stock", "a"): b'{"moves":5,"shelf":"9"}', ("totals", "all"): b'{"moves":5}'}

    def rows(table: str, keys: list[str]) -> list[bytes | None]:
        return [stored.get((table, key)) for key in keys]

    def decode(value: bytes | None) -> tuple[str, dict[str, str]]:
        return "shop.Put", {"shelf": (value or b"").decode()}

    one = OneByOne(stock(), partial(decoded, decode), rows, held)
    failed = []
    for offset, (key, shelf) in enumerate(shelves):
        try:
            one.fold(record(offset, key.encode(), shelf.encode()))
        except FoldError as error:
            failed.append(error.offset)
    assert failed == [1, 6]
    good = [Event("shop.Put", key, {"shelf": shelf}) for key, shelf in shelves if shelf != "bad"]
    batch = Fold(stock(), 100).apply(good, rows)
    assert one.done.rows == batch.rows and one.done.digests == batch.digests
    there = {member for member, stays in one.done.members["by_shelf"].items() if stays}
    assert there == {member for member, stays in batch.members["by_shelf"].items() if stays}
    assert "9\0\0a" in {member for member, stays in one.done.members["by_shelf"].items() if not stays}
