"""A slice proves that it is whole: whatever is deleted, renamed or set back in Redis, nothing is read from what is left."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis

from eventfold.store.commits import Changes, Commit
from eventfold.store.decided_ids import Asking, proof_of_events
from eventfold.store.integrity import MovedError
from eventfold.store.ledgers import AGGREGATES, StoredLedger
from eventfold.store.parked import Mark, first_of
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import CHANGES, META, PARKED, PARKED_EVENTS, Progress, SliceId, TornError
from tests.support.soak import SOAK
from tests.support.tampering import Tampering

TABLE, OTHER, INDEX = "rows", "totals", "by_time"
PARTS = (TABLE, OTHER, INDEX, PARKED, PARKED_EVENTS, CHANGES)
MARK = Mark(origin=0, recorded=0, error="", count=1).to_json()
ROUNDS = 20_000 if SOAK else 2_000


def commit(slice_: SliceId, before: Progress, number: int) -> Commit:
    """The write after `number` events: each row says the last event that touched it."""
    changes = Changes()
    changes.put(TABLE, f"row-{number % 5}", b"%d" % number)
    if number % 7 == 6:
        changes.put(TABLE, f"row-{(number - 3) % 5}", None)
    if number % 3 == 0:
        changes.put(OTHER, "total", b"%d" % number)
        changes.move(INDEX, None if number == 0 else f"{number - 3:06}\0\0total", f"{number:06}\0\0total")
    if number % 4 == 0:
        changes.parked = {PARKED: {b"=\xff": MARK}, PARKED_EVENTS: {number: b"\xff"}}
    after = replace(before, offset=number + 1, topic_id="T", last_offset=number, last_id=f"event-{number}")
    after = replace(after, changed=f"{number + 1}-{before.revision + 1}", digests={TABLE: number})
    return Commit(slice=slice_, before=before, after=after, changes=changes, entry=b"%d" % number, kept=8)


class Model:
    """What the slice must hold once so many events are folded."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.total: bytes | None = None
        self.member = ""
        self.parked: list[int] = []

    def fold(self, number: int) -> None:
        self.rows[f"row-{number % 5}"] = b"%d" % number
        if number % 7 == 6:
            self.rows.pop(f"row-{(number - 3) % 5}", None)
        if number % 3 == 0:
            self.total, self.member = b"%d" % number, f"{number:06}\0\0total"
        if number % 4 == 0:
            self.parked.append(number)


def begun(store: SliceStore, slice_: SliceId) -> tuple[Progress, bool]:
    """Where to go on, and whether the slice was torn and is deleted."""
    (progress,), torn = store.proved([slice_], PARTS)
    return progress, bool(torn) and store.drop_torn(slice_, PARTS)


def filled(store: SliceStore, slice_: SliceId, count: int = 9) -> Progress:
    before = begun(store, slice_)[0]
    for number in range(count):
        of = commit(slice_, before, number)
        assert store.commit([of]) == [True]
        before = of.done
        assert store.progress([slice_]) == [before]
    return before


def delete(redis: Redis, slice_: SliceId, part: str) -> None:
    redis.unlink(slice_.key(part))


def rename(redis: Redis, slice_: SliceId, part: str) -> None:
    redis.rename(slice_.key(part), slice_.key("elsewhere"))


def lose_a_field(redis: Redis, slice_: SliceId, part: str) -> None:
    key = slice_.key(part)
    kind = redis.type(key)
    if kind == b"hash":
        redis.hdel(key, min(redis.hkeys(key)))
    elif kind == b"zset":
        redis.zremrangebyrank(key, 0, 0)
    else:
        redis.xdel(key, redis.xrange(key, count=1)[0][0])


def lose_the_stamp(redis: Redis, slice_: SliceId, part: str) -> None:
    key = slice_.key(part)
    kind = redis.type(key)
    if kind == b"hash":
        redis.hdel(key, b"stamp" if part == META else b"\xff")
    elif kind == b"zset":
        redis.zremrangebylex(key, b"[\xff", "+")
    else:
        redis.xdel(key, redis.xrevrange(key, count=1)[0][0])


def become_another(redis: Redis, slice_: SliceId, part: str) -> None:
    redis.set(slice_.key(part), "text")


DAMAGE = (delete, rename, lose_a_field, lose_the_stamp, become_another)


@pytest.mark.parametrize("part", [*PARTS, META])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_slice_is_found_refuses_writes_and_begins_anew(
    store: SliceStore, redis: Redis, slice_: SliceId, damage: Callable[[Redis, SliceId, str], None], part: str
) -> None:
    before = filled(store, slice_)
    assert store.stamps([(slice_, before.parts)]) == [before.stamp]
    damage(redis, slice_, part)
    if damage is become_another and part == META:
        # No command of a slice can read it; what holds the key says so itself.
        redis.unlink(slice_.key(META))
    assert store.stamps([(slice_, before.parts)]) != [before.stamp]
    assert store.commit([commit(slice_, before, 9)]) == [False]
    assert begun(store, slice_) == (Progress(digests={}), True)
    assert [key for key in redis.keys(slice_.key("*")) if not key.endswith(b"elsewhere")] == []
    filled(store, slice_)


@pytest.mark.parametrize("part", [*PARTS, META])
def test_a_part_that_is_set_back_is_found(store: SliceStore, redis: Redis, slice_: SliceId, part: str) -> None:
    filled(store, slice_, 6)
    dumped = redis.dump(slice_.key(part))
    before = store.progress([slice_])[0]
    for number in range(6, 19):
        of = commit(slice_, before, number)
        assert store.commit([of]) == [True]
        before = of.done
    redis.restore(slice_.key(part), 0, dumped, replace=True)
    assert store.stamps([(slice_, before.parts)]) != [before.stamp]
    assert store.commit([commit(slice_, before, 19)]) == [False]
    assert begun(store, slice_) == (Progress(digests={}), True)


def test_a_part_of_a_slice_that_was_dropped_is_none_of_the_next_one(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    """The next one has the same revisions; a count would not tell them apart."""
    filled(store, slice_)
    dumped = redis.dump(slice_.key(TABLE))
    store.drop(slice_, PARTS)
    before = filled(store, slice_)
    redis.restore(slice_.key(TABLE), 0, dumped, replace=True)
    assert store.stamps([(slice_, before.parts)]) == [None]


def test_the_parts_of_one_slice_are_not_those_of_another(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    before, other = filled(store, slice_), replace(slice_, partition=4)
    for part in (META, *PARTS):
        redis.copy(slice_.key(part), other.key(part))
    assert store.stamps([(other, before.parts)]) == [None]


def test_of_two_parts_of_one_write_neither_passes_for_the_other(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    changes = Changes()
    changes.put(TABLE, "a", b"1")
    changes.put(OTHER, "a", b"2")
    assert store.commit([Commit(slice=slice_, before=Progress(), after=Progress(offset=1), changes=changes)]) == [True]
    redis.copy(slice_.key(OTHER), slice_.key(TABLE), replace=True)
    with pytest.raises(TornError, match="'rows' is not as it was last written"):
        store.rows(slice_, TABLE, ["a"])


def test_a_lost_part_that_is_declared_no_more_is_found_too(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    """Each write proves it, so that a slice which lacks it could never be written again."""
    before = filled(store, slice_)
    declared = [part for part in PARTS if part != OTHER]
    assert store.proved([slice_], declared) == ([before], {})
    redis.unlink(slice_.key(OTHER))
    assert store.proved([slice_], declared)[1] == {slice_: OTHER}
    assert not store.drop_torn(slice_, declared)
    assert store.drop_torn(slice_, [*declared, OTHER])
    filled(store, slice_)


READS: dict[str, Callable[[SliceStore, SliceId], object]] = {
    "rows": lambda store, slice_: store.rows(slice_, TABLE, ["row-0"]),
    "row": lambda store, slice_: store.row([slice_], TABLE, "row-0"),
    "table": lambda store, slice_: store.table(slice_, TABLE),
    "at": lambda store, slice_: store.at(slice_, TABLE, ["row-0"], index=False),
    "check": lambda store, slice_: store.check(slice_, [TABLE]) or "whole",
}
INDEX_READS: dict[str, Callable[[SliceStore, SliceId], object]] = {
    "by_index": lambda store, slice_: store.by_index([slice_], OTHER, INDEX, "", start="", limit=5),
    "until": lambda store, slice_: store.until(slice_, INDEX, "9", 5),
    "at": lambda store, slice_: store.at(slice_, INDEX, ["000006\0\0total"], index=True),
    "check": lambda store, slice_: store.check(slice_, [INDEX]) or "whole",
}
PARKED_READS: dict[str, Callable[[SliceStore, SliceId], object]] = {
    "first": lambda store, slice_: first_of(store, [(slice_, 8)]),
    "hashes": lambda store, slice_: store.hashes([slice_], PARKED),
    "first_of": lambda store, slice_: first_of(store, [(slice_, 8)]),
}
EVERY_READ = [
    *((TABLE, read) for read in READS.values()),
    *((INDEX, read) for read in INDEX_READS.values()),
    *((part, read) for part, read in zip((PARKED, PARKED, PARKED_EVENTS), PARKED_READS.values(), strict=True)),
]
NAMES = [*READS, *(f"index {name}" for name in INDEX_READS), *(f"parked {name}" for name in PARKED_READS)]


@pytest.mark.parametrize(("part", "read"), EVERY_READ, ids=NAMES)
def test_what_is_missing_is_not_taken_for_absent(
    store: SliceStore, redis: Redis, slice_: SliceId, part: str, read: Callable[[SliceStore, SliceId], object]
) -> None:
    filled(store, slice_)
    assert read(store, slice_)
    redis.unlink(slice_.key(part))
    with pytest.raises(TornError):
        read(store, slice_)


def test_rows_of_another_write_are_not_taken_for_those_of_this_one(store: SliceStore, slice_: SliceId) -> None:
    before = filled(store, slice_)
    assert store.rows(slice_, TABLE, ["row-0"], (before.stamp,)) == [b"5"]
    assert store.commit([commit(slice_, before, 9)]) == [True]
    with pytest.raises(MovedError):
        store.rows(slice_, TABLE, ["row-0"], (before.stamp,))


def test_a_ledger_whose_aggregates_were_evicted_decides_nothing(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    """An account that was there before must not be opened again because Redis dropped one key."""
    refusals = replace(slice_, topic="flights.refusals")
    changes = Changes()
    changes.put(AGGREGATES, "a", b'{"version":3,"state":{}}')
    changes.put("ids_even", b"id", proof_of_events(Asking(), (3,), [7]))
    of = Commit(slice=slice_, before=Progress(), after=Progress(offset=8), changes=changes)
    assert store.commit([of]) == [True]
    ledger = StoredLedger(redis, slice_, refusals)
    assert ledger.read(["a"], ["id"], (of.stamp, "")).aggregates == [b'{"version":3,"state":{}}']
    redis.unlink(slice_.key(AGGREGATES))
    found = ledger.read(["a"], ["id"], (of.stamp, ""))
    assert found.moved == [slice_]
    with pytest.raises(TornError):
        ledger.aggregates(["a"], of.stamp)


def test_a_ledger_that_is_gone_is_not_taken_for_an_empty_one(store: SliceStore, redis: Redis, slice_: SliceId) -> None:
    """As Redis is emptied while the log is folded: events are not folded onto nothing, and no outcome loses its positions."""
    changes = Changes()
    changes.put(AGGREGATES, "a", b'{"version":3,"state":{}}')
    changes.put("ids_even", b"id", proof_of_events(Asking(), (3,), [7]))
    of = Commit(slice=slice_, before=Progress(), after=Progress(offset=8), changes=changes)
    assert store.commit([of]) == [True]
    ledger = StoredLedger(redis, slice_, replace(slice_, topic="flights.refusals"))
    assert ledger.aggregates(["a"], of.stamp) == [b'{"version":3,"state":{}}']
    assert ledger.offsets(b"id", of.stamp) == [7]
    redis.unlink(*redis.keys(slice_.key("*")))
    with pytest.raises(MovedError):
        ledger.aggregates(["a"], of.stamp)
    with pytest.raises(MovedError):
        ledger.offsets(b"id", of.stamp)


def test_a_key_that_was_forgotten_and_written_again_is_read_at_the_new_place(store: SliceStore, slice_: SliceId) -> None:
    before = filled(store, slice_, 12)
    expected = Model()
    for number in range(12):
        expected.fold(number)
    assert store.table(slice_, TABLE) == {key.encode(): row for key, row in expected.rows.items()}
    assert before.parts == set(PARTS)


@pytest.mark.timeout(600)
def test_whatever_is_damaged_nothing_wrong_is_read_and_nothing_wrong_stays(
    store: SliceStore, redis: Redis, slice_: SliceId
) -> None:
    """A writer that goes on from what it believes, beside damage at random; what it reads is right or refused."""
    seed = random.SystemRandom().randrange(1 << 32) if SOAK else 15
    print(f"seed {seed}")
    chance = random.Random(seed)
    tampering = Tampering(redis, chance, slice_.key("*"))
    progress, model, torn = begun(store, slice_)[0], Model(), 0
    for _ in range(ROUNDS):
        act = chance.choice(["fold", "fold", "fold", "read", "damage"])
        if act == "damage":
            tampering.damage()
            continue
        try:
            if act == "read":
                _assert_right(store, slice_, progress, model)
                continue
            number = progress.offset
            # As a fold does: what is stored of the row that the event touches comes first.
            (row,) = store.rows(slice_, TABLE, [f"row-{number % 5}"], (progress.stamp,))
            assert row == model.rows.get(f"row-{number % 5}")
            of = commit(slice_, progress, number)
            if store.commit([of])[0]:
                model.fold(number)
                progress = of.done
                tampering.remember()
                continue
        except (TornError, MovedError):
            # Each is a fault that passes, and a daemon loads again.
            pass
        progress, dropped = begun(store, slice_)
        torn += dropped
        model = Model()
        for number in range(progress.offset):
            model.fold(number)
        _assert_right(store, slice_, progress, model)
    assert torn > ROUNDS / 20


def _assert_right(store: SliceStore, slice_: SliceId, progress: Progress, model: Model) -> None:
    """Each read is what the model says, or TornError."""
    keys = [f"row-{number}" for number in range(5)]
    assert store.rows(slice_, TABLE, keys, (progress.stamp,)) == [model.rows.get(key) for key in keys]
    assert store.table(slice_, OTHER) == ({} if model.total is None else {b"total": model.total})
    found = store.until(slice_, INDEX, "9", 5)
    assert found == ([model.member] if model.member else [])
    assert sorted(map(int, store.hashes([slice_], PARKED_EVENTS)[0])) == model.parked
