"""The contract of a slice store: what a projector relies on, whatever keeps the slices."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from eventfold.schemas.errors import EventfoldError
from eventfold.store.change_stream import ChangeStreams
from eventfold.store.commits import Changes, Commit
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId, TornError
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

TABLE, INDEX = "rows", "by_time"


@pytest.fixture
def streams(redis: Redis) -> ChangeStreams:
    return ChangeStreams(redis)


def put(**rows: bytes | None) -> Changes:
    changes = Changes()
    for key, row in rows.items():
        changes.put(TABLE, key, row)
    return changes


def reaching(offset: int) -> Progress:
    return Progress(offset=offset, topic_id="T", last_offset=offset - 1, last_id=f"event-{offset - 1}")


def written(store: SliceStore, slice_: SliceId, offset: int, changes: Changes) -> Progress:
    """Commit from what is stored, and return what is stored then."""
    before = store.progress([slice_])[0]
    assert store.commit([Commit(slice=slice_, before=before, after=reaching(offset), changes=changes)]) == [True]
    return store.progress([slice_])[0]


def _address(redis: Redis) -> dict[str, Any]:
    """Where a client is connected to, for another user's."""
    of = redis.connection_pool.connection_kwargs
    return {name: of[name] for name in ("host", "port", "db")}


def everything(redis: Redis, slice_: SliceId) -> dict[bytes, bytes]:
    """Every key of a slice with its whole value."""
    return {key: redis.dump(key) for key in redis.keys(slice_.key("*"))}


def test_an_absent_slice_stands_at_zero(store: SliceStore, slice_: SliceId) -> None:
    assert store.progress([slice_]) == [Progress(digests={})]
    assert store.rows(slice_, TABLE, ["a", "b"]) == [None, None]
    assert store.table(slice_, TABLE) == {}


def test_rows_and_progress_are_written_together(store: SliceStore, slice_: SliceId) -> None:
    progress = written(store, slice_, 7, put(a=b"1", b=b"2"))
    assert progress == replace(reaching(7), revision=1, stamp=progress.stamp, parts=frozenset({TABLE}))
    assert store.rows(slice_, TABLE, ["b", "x", "a"]) == [b"2", None, b"1"]


@pytest.mark.parametrize(
    "stale", [{"offset": 6}, {"offset": 8}, {"revision": 0}, {"revision": 2}, {"offset": 0, "revision": 0}]
)
def test_a_stale_writer_is_refused_and_changes_nothing(
    store: SliceStore, redis: Redis, slice_: SliceId, stale: dict[str, int]
) -> None:
    progress = written(store, slice_, 7, put(a=b"1"))
    before = everything(redis, slice_)
    changes = put(a=b"9", b=b"9")
    changes.move(INDEX, None, "x\0\0a")
    changes.drop("other")
    commit = Commit(slice=slice_, before=replace(progress, **stale), after=reaching(9), changes=changes)
    assert store.commit([commit]) == [False]
    assert everything(redis, slice_) == before


def test_a_writer_that_read_before_the_slice_was_dropped_is_refused(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    progress = written(store, slice_, 7, put(a=b"1"))
    store.drop(slice_, [TABLE])
    assert store.commit([Commit(slice=slice_, before=progress, after=reaching(9), changes=put(b=b"2"))]) == [False]
    assert everything(redis, slice_) == {}


def test_a_write_that_moves_no_offset_bumps_the_revision_and_fences(store: SliceStore, slice_: SliceId) -> None:
    first = written(store, slice_, 7, put(a=b"1"))
    repaired = written(store, slice_, 7, put(a=b"2"))
    assert (repaired.offset, repaired.revision) == (7, 2)
    assert store.commit([Commit(slice=slice_, before=first, after=reaching(8), changes=put(a=b"3"))]) == [False]
    assert store.rows(slice_, TABLE, ["a"]) == [b"2"]


def test_of_two_writers_at_once_exactly_one_wins_each_round(corner: Sandbox, slice_: SliceId) -> None:
    rounds, wins = 200, []
    together = threading.Barrier(2)

    def writer(name: str) -> None:
        redis = Redis.from_url(corner.environ["REDIS_URL"])
        store = SliceStore(redis)
        for number in range(rounds):
            together.wait(20)
            before = store.progress([slice_])[0]
            together.wait(20)
            after = reaching(before.offset + 1)
            if store.commit([Commit(slice=slice_, before=before, after=after, changes=put(last=name.encode()))])[0]:
                wins.append(number)
            together.wait(20)
        redis.close()

    threads = [threading.Thread(target=writer, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wins == list(range(rounds))
    assert SliceStore(corner.redis).progress([slice_])[0].offset == rounds


def test_one_refused_slice_hinders_no_other(store: SliceStore, slice_: SliceId) -> None:
    other = replace(slice_, partition=4)
    progress = written(store, slice_, 7, put(a=b"1"))
    stale = Commit(slice=slice_, before=replace(progress, revision=9), after=reaching(8), changes=put(a=b"2"))
    fresh = Commit(slice=other, before=Progress(), after=reaching(3), changes=put(z=b"3"))
    assert store.commit([stale, fresh]) == [False, True]
    assert [p.offset for p in store.progress([slice_, other])] == [7, 3]


@pytest.mark.parametrize("count", [1_999, 2_000, 2_001, 4_000, 9_999, 30_000])
def test_as_many_rows_as_there_are_in_one_commit(store: SliceStore, slice_: SliceId, count: int) -> None:
    """Lua's stack bounds one call: what does not fit must not be cut off, and no pair torn apart."""
    rows = {f"key-{number}": b"%d" % number for number in range(count)}
    changes = put(**rows)
    for number in range(count):
        changes.move(INDEX, None, f"{number:06}\0\0key-{number}")
    written(store, slice_, 7, changes)
    assert store.table(slice_, TABLE) == {key.encode(): row for key, row in rows.items()}
    assert store.count(slice_, INDEX, index=True) == count
    gone = put(**dict.fromkeys(rows))
    for number in range(count):
        gone.move(INDEX, f"{number:06}\0\0key-{number}", None)
    written(store, slice_, 8, gone)
    assert store.table(slice_, TABLE) == {}
    assert store.count(slice_, INDEX, index=True) == 0


def test_a_row_is_deleted_beside_one_that_is_written(store: SliceStore, slice_: SliceId) -> None:
    written(store, slice_, 1, put(a=b"1", b=b"2"))
    written(store, slice_, 2, put(a=None, c=b"3"))
    assert store.table(slice_, TABLE) == {b"b": b"2", b"c": b"3"}


def test_an_index_holds_a_moved_member_once(store: SliceStore, slice_: SliceId) -> None:
    first = Changes()
    first.move(INDEX, None, "10:15\0\0UA1")
    written(store, slice_, 1, first)
    second = Changes()
    second.move(INDEX, "10:15\0\0UA1", "11:00\0\0UA1")
    written(store, slice_, 2, second)
    assert [*store.scan(slice_, INDEX, index=True)] == [{"11:00\0\0UA1": b""}]


def test_a_part_is_dropped_before_the_new_rows_come(store: SliceStore, slice_: SliceId) -> None:
    written(store, slice_, 1, put(a=b"1"))
    changes = put(b=b"2")
    changes.drop(TABLE)
    written(store, slice_, 2, changes)
    assert store.table(slice_, TABLE) == {b"b": b"2"}


def test_values_are_bytes_and_stay_so(store: SliceStore, slice_: SliceId) -> None:
    odd = bytes(range(256)) + "ünï\tcödé\n".encode()
    key = "UA1:\t'\"{}\x00é"
    written(store, slice_, 1, put(**{key: odd, "empty": b""}))
    assert store.rows(slice_, TABLE, [key, "empty"]) == [odd, b""]


def test_a_dropped_slice_leaves_no_key(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    changes = put(a=b"1")
    changes.move(INDEX, None, "x\0\0a")
    written(store, slice_, 7, changes)
    assert len(everything(redis, slice_)) == 3
    store.drop(slice_, [TABLE, INDEX])
    assert everything(redis, slice_) == {}
    assert store.progress([slice_]) == [Progress(digests={})]


def test_all_keys_of_a_slice_lie_in_one_hash_slot(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    changes = put(a=b"1")
    changes.move(INDEX, None, "x\0\0a")
    written(store, slice_, 7, changes)
    found = everything(redis, slice_)
    assert len(found) == 3
    assert len({key_slot(key) for key in found}) == 1
    assert key_slot(slice_.key(TABLE).encode()) != key_slot(replace(slice_, partition=4).key(TABLE).encode())


def test_a_redis_that_forgot_its_scripts_is_told_them_again(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    """In the midst of a batch too, where some of the slices were written before."""
    before = written(store, slice_, 1, put(a=b"1"))
    redis.script_flush()
    other = replace(slice_, partition=slice_.partition + 1)
    commit = Commit(slice=slice_, before=before, after=reaching(2), changes=put(b=b"2"))
    late = Commit(slice=slice_, before=before, after=reaching(3), changes=put(b=b"3"))
    beside = Commit(slice=other, before=Progress(), after=reaching(2), changes=put(b=b"2"))
    assert store.commit([commit, late, beside]) == [True, False, True]
    assert store.progress([slice_, other]) == [commit.done, beside.done]
    assert store.rows(slice_, TABLE, ["a", "b"]) == [b"1", b"2"]


def test_a_slice_that_is_not_whole_is_an_error_not_a_beginning(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    written(store, slice_, 7, put(a=b"1"))
    redis.hdel(slice_.key("slice"), "offset")
    with pytest.raises(EventfoldError, match="torn"):
        store.progress([slice_])


def test_a_write_that_fails_midway_leaves_a_torn_slice_that_nobody_takes_for_whole(
    store: SliceStore, redis: Redis, slice_: SliceId
) -> None:
    """Redis undoes nothing of a script that failed; the offset must not have moved past rows that are not there."""
    progress = written(store, slice_, 7, put(a=b"1"))
    changes = put(a=b"2")
    changes.move(INDEX, None, "x\0\0a")
    commit = Commit(slice=slice_, before=progress, after=reaching(9), changes=changes)
    redis.acl_setuser("no-zadd", enabled=True, passwords=["+secret"], categories=["+@all"], commands=["-zadd"], keys=["*"])
    limited = Redis(username="no-zadd", password="secret", **_address(redis))
    try:
        with pytest.raises(ResponseError, match="run this command"):
            SliceStore(limited).commit([commit])
    finally:
        limited.close()
        redis.acl_deluser("no-zadd")
    with pytest.raises(TornError, match="torn"):
        store.progress([slice_])
    assert store.commit([commit]) == [False]
    assert store.proved([slice_], [TABLE, INDEX]) == ([Progress(digests={})], {slice_: "slice"})
    assert store.drop_torn(slice_, [TABLE, INDEX])
    assert everything(redis, slice_) == {}


def test_a_held_slice_refuses_who_read_it_before_and_who_reads_it_now(store: SliceStore, slice_: SliceId) -> None:
    before = written(store, slice_, 7, put(a=b"1"))
    held = store.holds.take([slice_], 60_000)[0]
    assert (held.offset, held.held) == (7, True)
    assert held.revision > before.revision
    for stored in (before, held, store.progress([slice_])[0]):
        commit = Commit(slice=slice_, before=stored, after=reaching(9), changes=put(a=b"2"))
        assert store.commit([commit]) == [False]
    assert store.rows(slice_, TABLE, ["a"]) == [b"1"]


def test_a_released_slice_still_refuses_who_read_it_before_it_was_held(store: SliceStore, slice_: SliceId) -> None:
    before = written(store, slice_, 7, put(a=b"1"))
    store.holds.take([slice_], 60_000)
    store.holds.release([slice_])
    late = Commit(slice=slice_, before=before, after=reaching(9), changes=put(a=b"late"))
    assert store.commit([late]) == [False]
    assert written(store, slice_, 9, put(a=b"2")).held is False
    assert store.rows(slice_, TABLE, ["a"]) == [b"2"]


def test_a_hold_ends_by_itself(store: SliceStore, slice_: SliceId) -> None:
    written(store, slice_, 7, put(a=b"1"))
    held = store.holds.take([slice_], 1)[0]
    commit = Commit(slice=slice_, before=held, after=reaching(9), changes=put(a=b"2"))
    eventually(lambda: store.commit([commit]) == [True], "it can be written again")
    assert store.progress([slice_])[0].held is False


def test_who_seized_a_slice_alone_may_write_it_and_ends_the_hold(store: SliceStore, slice_: SliceId) -> None:
    before = written(store, slice_, 7, put(a=b"1"))
    seized = store.holds.seize(slice_, 60_000)
    assert seized is not None and seized.offset == 7
    assert store.holds.seize(slice_, 60_000) is None
    for stored in (before, seized, store.progress([slice_])[0]):
        assert store.commit([Commit(slice=slice_, before=stored, after=reaching(9), changes=put(a=b"other"))]) == [False]
    mine = Commit(slice=slice_, before=seized, after=reaching(9), changes=put(a=b"mine"), holder=True)
    assert store.commit([mine]) == [True]
    assert store.progress([slice_])[0].held is False
    assert store.rows(slice_, TABLE, ["a"]) == [b"mine"]


def test_a_switch_that_holds_a_seized_slice_refuses_who_seized_it(store: SliceStore, slice_: SliceId) -> None:
    written(store, slice_, 7, put(a=b"1"))
    seized = store.holds.seize(slice_, 60_000)
    assert seized is not None
    store.holds.take([slice_], 60_000)
    mine = Commit(slice=slice_, before=seized, after=reaching(9), changes=put(a=b"mine"), holder=True)
    assert store.commit([mine]) == [False]
    assert store.progress([slice_])[0].held
    assert store.rows(slice_, TABLE, ["a"]) == [b"1"]


def test_holding_an_absent_slice_begins_it_so_that_nobody_else_can(store: SliceStore, slice_: SliceId) -> None:
    nothing = store.progress([slice_])[0]
    store.holds.take([slice_], 60_000)
    store.holds.release([slice_])
    assert store.commit([Commit(slice=slice_, before=nothing, after=reaching(3), changes=put(a=b"1"))]) == [False]
    assert store.progress([slice_])[0].offset == 0


def test_a_torn_slice_is_not_held(store: SliceStore, slice_: SliceId, redis: Redis) -> None:
    written(store, slice_, 7, put(a=b"1"))
    redis.hset(slice_.key("slice"), "revision", "torn")
    before = everything(redis, slice_)
    with pytest.raises(EventfoldError, match="torn"):
        store.holds.take([slice_], 1_000)
    assert everything(redis, slice_) == before


def test_digests_are_kept_with_the_offset_until_they_are_unknown(store: SliceStore, slice_: SliceId) -> None:
    first = replace(reaching(7), digests={TABLE: 5, "other": 0})
    store.commit([Commit(slice=slice_, before=Progress(digests={}), after=first, changes=put(a=b"1"))])
    stored = store.progress([slice_])[0]
    assert stored.digests == {TABLE: 5, "other": 0}
    unknown = replace(stored, digests=None)
    store.commit([Commit(slice=slice_, before=stored, after=unknown, changes=put(a=b"2"))])
    assert store.progress([slice_])[0].digests is None


def test_rows_are_read_with_the_offset_they_are_of(store: SliceStore, slice_: SliceId) -> None:
    changes = put(a=b"1", b=b"2")
    changes.move(INDEX, None, "x\0\0a")
    written(store, slice_, 7, changes)
    assert store.at(slice_, TABLE, ["b", "x"], index=False) == (7, {"b": b"2"})
    assert store.at(slice_, INDEX, ["x\0\0a", "y\0\0b"], index=True) == (7, {"x\0\0a": b""})
    assert [*store.scan(slice_, TABLE, index=False)] == [{"a": b"1", "b": b"2"}]
    assert [*store.scan(slice_, INDEX, index=True)] == [{"x\0\0a": b""}]
    assert (store.count(slice_, TABLE), store.count(slice_, INDEX, index=True)) == (2, 1)
    assert store.size(slice_, [TABLE, INDEX, "absent"]) > 0


# -- what changed last -----------------------------------------------------------------------------------------------------


def told(store: SliceStore, slice_: SliceId, offset: int, rows: bytes, kept: int = 10) -> Progress:
    """Commit with an entry for the stream of changes, as eventfold.store.change_stream makes them."""
    before = store.progress([slice_])[0]
    after = replace(reaching(offset), changed=f"{offset}-{before.revision + 1}")
    commit = Commit(slice=slice_, before=before, after=after, changes=put(a=rows), entry=rows, kept=kept)
    assert store.commit([commit]) == [True]
    return store.progress([slice_])[0]


def test_each_entry_names_the_one_before_it(store: SliceStore, streams: ChangeStreams, slice_: SliceId) -> None:
    told(store, slice_, 7, b"1")
    told(store, slice_, 9, b"2")
    assert streams.last([slice_]) == ["9-2"]
    assert streams.after([slice_], [""], 10) == [[("7-1", "", b"1"), ("9-2", "7-1", b"2")]]
    assert streams.after([slice_], ["7-1"], 10) == [[("9-2", "7-1", b"2")]]
    assert streams.after([slice_], ["9-2"], 10) == [[]]


def test_a_stream_that_was_not_set_back_with_its_slice_makes_it_torn(
    redis: Redis, store: SliceStore, streams: ChangeStreams, slice_: SliceId
) -> None:
    told(store, slice_, 7, b"1")
    kept = {part: redis.dump(slice_.key(part)) for part in ("slice", TABLE)}
    told(store, slice_, 9, b"2")
    for part, dumped in kept.items():
        redis.restore(slice_.key(part), 0, dumped, replace=True)
    assert store.proved([slice_], [TABLE]) == ([Progress(digests={})], {slice_: "changes"})
    assert store.drop_torn(slice_, [TABLE])
    told(store, slice_, 8, b"3")
    assert streams.after([slice_], [""], 10) == [[("8-1", "", b"3")]]
    assert store.rows(slice_, TABLE, ["a"]) == [b"3"]


def test_a_stream_is_capped(store: SliceStore, streams: ChangeStreams, slice_: SliceId) -> None:
    for offset in range(1, 500):
        told(store, slice_, offset, b"1", kept=20)
    (found,) = streams.after([slice_], [""], 1_000)
    assert 20 <= len(found) < 300
    assert found[-1][0] == "499-499"


def test_a_slice_that_is_dropped_takes_its_stream_along(redis: Redis, store: SliceStore, slice_: SliceId) -> None:
    told(store, slice_, 7, b"1")
    store.drop(slice_, [TABLE])
    assert redis.keys(slice_.key("*")) == []
