"""Writes by hand beside a projector that writes all the time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from eventfold.store.commits import Changes, Commit
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId
from eventfold.store.turns import Turns
from tests.support.sandbox import OpenSandbox

TABLE = "rows"


@pytest.fixture(scope="module")
def store(open_sandbox: OpenSandbox) -> Iterator[SliceStore]:
    with open_sandbox(partitions=0) as sandbox:
        yield SliceStore(sandbox.redis)


@pytest.fixture
def slice_() -> SliceId:
    return SliceId(owner="flights", generation=uuid.uuid4().hex, topic="flights.events", partition=0)


def commit(slice_: SliceId, before: Progress, offset: int, row: bytes) -> Commit:
    changes = Changes()
    changes.put(TABLE, "a", row)
    return Commit(slice=slice_, before=before, after=replace(before, offset=offset), changes=changes)


def projects(store: SliceStore, slice_: SliceId) -> bool:
    """The projector's next write; whether it was made."""
    before = store.progress([slice_])[0]
    return store.commit([commit(slice_, before, before.offset + 1, b"folded")])[0]


def test_a_write_is_made_beside_one_who_writes_between_every_look_and_write(store: SliceStore, slice_: SliceId) -> None:
    looks, others = 0, 0
    with Turns(store) as turns:
        while turns.left:
            before = turns.look(slice_)
            assert before is not None
            looks += 1
            others += projects(store, slice_)
            if turns.write(commit(slice_, before, before.offset, b"mended")):
                break
    assert store.rows(slice_, TABLE, ["a"]) == [b"mended"]
    assert looks == others + 1, "the last look held the slice, and only that one"
    assert projects(store, slice_), "the hold ended with the write"


def test_a_look_that_no_write_follows_lets_others_go_on(store: SliceStore, slice_: SliceId) -> None:
    with Turns(store) as turns:
        for _ in range(9):
            if turns.look(slice_) is not None:
                turns.pause()
        assert turns.look(slice_) is not None
        assert not projects(store, slice_), "it is held by now"
    assert projects(store, slice_)


def test_turns_end_where_a_switch_holds_the_slice(store: SliceStore, slice_: SliceId) -> None:
    assert projects(store, slice_)
    store.holds.take([slice_], 60_000)
    with Turns(store) as turns:
        while turns.left:
            assert turns.look(slice_) is None
    store.holds.release([slice_])
    assert projects(store, slice_)
