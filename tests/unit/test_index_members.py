"""Members of an index: they sort, begin and come apart as the parts do that they are made of, whatever text these are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventfold.projections.past import PastReader
from eventfold.projections.projection import Index, Projection, Table
from eventfold.schemas.event import Event
from eventfold.store.builds import Generation
from eventfold.store.index_members import beginning, last_until, member, parts_and_key
from eventfold.store.rows import Row
from eventfold.store.slices import STAMP

# What the form itself uses, what others use between parts, and what sorts before, beside and behind it.
texts = st.text(st.sampled_from("\0\1\2\t\n |#a\x7f\x80\xff\u20ac\uffff\U0001f6eb"), max_size=4) | st.text(max_size=4)
parts = st.lists(texts, max_size=3).map(tuple)


def placed(of: tuple[str, ...], key: str) -> tuple[list[bytes], bytes]:
    return [part.encode() for part in of], key.encode()


@example(("a",), "\0b", ("a", ""), "b")
@example((), "a", ("",), "a")
@example(("a\0b",), "", ("a", "b"), "")
@example(("a", "b"), "", ("a\1", "b"), "")
@given(parts, texts, parts, texts)
def test_members_sort_as_their_parts_and_no_two_are_alike(
    one: tuple[str, ...], key: str, other: tuple[str, ...], other_key: str
) -> None:
    left, right = member(one, key).encode(), member(other, other_key).encode()
    assert (left < right) == (placed(one, key) < placed(other, other_key))
    assert (left == right) == (placed(one, key) == placed(other, other_key))
    assert not left.startswith(STAMP)


@example(("a\t", "b"), "", ("a",))
@example(("", "b"), "", ())
@given(parts, texts, parts)
def test_a_member_begins_as_its_first_parts_do_and_as_no_others(of: tuple[str, ...], key: str, first: tuple[str, ...]) -> None:
    for prefix in (first, *(of[:count] for count in range(len(of) + 1))):
        assert member(of, key).startswith(beginning(prefix)) == (of[: len(prefix)] == prefix)
    assert parts_and_key(member(of, key)) == (beginning(of), key)


@example(("a\0",), "", "a")
@given(parts.filter(len), texts, texts)
def test_what_is_due_is_told_by_the_first_part(of: tuple[str, ...], key: str, until: str) -> None:
    assert (member(of, key).encode() < last_until(until).encode()) == (of[0].encode() <= until.encode())


def test_a_text_is_one_part() -> None:
    assert member("a", "k") == member(("a",), "k")


@pytest.mark.parametrize("wrong", [("a", 5), 5, ("a", None)])
def test_what_is_no_text_is_named(wrong: object) -> None:
    with pytest.raises(TypeError, match="under a text or a tuple of texts, not under"):
        member(wrong, "k")  # type: ignore[arg-type]


def test_half_a_character_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        member(("a", "\ud800"), "k")


def test_a_generation_with_indexes_of_an_older_form_is_of_no_version_of_now() -> None:
    def generation(members: int) -> Generation:
        return Generation(projection="x", id="g", version=1, partitions={}, members=members)

    index = Index(name="by", member=lambda key, row: key)
    listed, plain = (
        Projection(name="x", version=1, topics=("t",), tables=(Table(name="rows", indexes=indexes),))
        for indexes in ((index,), ())
    )
    assert [listed.made(generation(members)) for members in (1, 2)] == [False, True]
    assert listed.made_by(generation(1)) == "version 1 with indexes of an older form"
    assert plain.made(generation(1)) and plain.made_by(generation(1)) == "version 1"


def test_no_text_brings_a_row_under_other_parts() -> None:
    """A row whose place is told by what others send is found there alone, and takes no row off its place."""
    board = Projection(
        name="board",
        version=1,
        topics=("shop.events",),
        tables=(Table(name="rows", indexes=(Index(name="by", member=lambda key, row: (row["shelf"], row["at"])),)),),
    )

    @board.on("shop.Put")
    def put(row: Row | None, event: Event) -> Row:
        return dict(event.data)

    crafted = ("1\t", "1\0", "1\x00\x010", "1|0", "1\x002", "", "1\1", "1\x01\x02")
    events = [Event("shop.Put", "mine", {"shelf": "1", "at": "5"})]
    events += [Event("shop.Put", f"5\t{shelf}", {"shelf": shelf, "at": "0\0\0mine"}) for shelf in crafted]
    reader = PastReader(board, events)
    assert reader.find("rows", "by", "1") == [{"shelf": "1", "at": "5"}]
    for shelf in crafted:
        assert reader.find("rows", "by", (shelf,)) == [{"shelf": shelf, "at": "0\0\0mine"}]
