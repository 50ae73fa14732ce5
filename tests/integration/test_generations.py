"""Which build of a projection is live."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest
from redis import Redis

from eventfold.schemas.errors import NotFoundError
from eventfold.store.builds import BUILDING, KEPT, LIVE, Build, Generation, chosen, new_build
from eventfold.store.commits import Changes, Commit
from eventfold.store.generations import Generations, OtherVersionError, TooLateError
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId
from tests.support.sandbox import OpenSandbox, Sandbox

PARTITIONS = {"flights.events": 3}
PARTS = ["flights"]


@pytest.fixture
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


@pytest.fixture
def generations(corner: Sandbox) -> Generations:
    return Generations(corner.redis, corner.prefix)


def test_none_is_live_before_the_first_daemon(generations: Generations) -> None:
    assert generations.live("flights") is None


def test_the_first_daemon_makes_one_and_the_next_finds_it(generations: Generations) -> None:
    made = generations.ensure("flights", 1, PARTITIONS, PARTS)
    assert generations.ensure("flights", 1, PARTITIONS, PARTS) == made == generations.live("flights")
    assert [str(s.partition) for s in made.slices()] == ["0", "1", "2"]


def test_daemons_that_start_at_once_agree(corner: Sandbox) -> None:
    found: list[Generation] = []
    together = threading.Barrier(8)

    def daemon() -> None:
        redis = Redis.from_url(corner.environ["REDIS_URL"])
        together.wait(20)
        found.append(Generations(redis, corner.prefix).ensure("flights", 1, PARTITIONS, PARTS))
        redis.close()

    threads = [threading.Thread(target=daemon) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len({generation.id for generation in found}) == 1


def test_prefixes_do_not_see_each_other(corner: Sandbox, generations: Generations) -> None:
    mine = generations.ensure("flights", 1, PARTITIONS, PARTS)
    other = Generations(corner.redis, "other.").ensure("flights", 1, PARTITIONS, PARTS)
    assert mine.id != other.id


def test_another_version_is_refused(generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    with pytest.raises(OtherVersionError, match=r"version 1 of the projection, this is version 2"):
        generations.ensure("flights", 2, PARTITIONS, PARTS)


def test_the_live_one_may_be_given_more_partitions(corner: Sandbox, generations: Generations) -> None:
    more = {"flights.events": 5}
    before = generations.ensure("flights", 1, PARTITIONS, PARTS)
    (known,) = generations.all("flights")
    generations.widen(before, more)
    after = generations.ensure("flights", 1, more, PARTS)
    assert (after.id, after.partitions) == (before.id, more)
    assert [build.generation for build in generations.all("flights")] == [after]
    # As it was known before, it is neither dropped, nor switched away from, nor given others.
    assert not generations.drop(known, SliceStore(corner.redis))
    assert not generations.switch(known, begun(generations), now=1, keep_ms=1)
    generations.widen(before, {"flights.events": 4})
    assert generations.live("flights") == after


def test_one_that_is_live_no_more_is_not_given_more_partitions(generations: Generations) -> None:
    before = generations.ensure("flights", 1, PARTITIONS, PARTS)
    (known,) = generations.all("flights")
    assert generations.switch(known, to := begun(generations), now=1, keep_ms=1_000)
    generations.widen(before, {"flights.events": 5})
    assert generations.live("flights") == to.generation
    assert {build.generation.partitions["flights.events"] for build in generations.all("flights")} == {3}


def test_an_id_is_not_used_again_after_redis_forgot_it(corner: Sandbox, generations: Generations) -> None:
    ids = set()
    for _ in range(1_000):
        ids.add(generations.ensure("flights", 1, PARTITIONS, PARTS).id)
        corner.redis.flushdb()
    assert len(ids) == 1_000


def begun(generations: Generations) -> Build:
    build = new_build("flights", 1, PARTITIONS, PARTS, BUILDING)
    generations.begin(build)
    return build


def states(generations: Generations) -> dict[str, str]:
    return {build.id: build.state for build in generations.all("flights")}


def written(store: SliceStore, build: Build) -> bool:
    """Whether a row could be written into each slice."""
    changes = Changes()
    changes.put("flights", "a", b"1")
    commits = [Commit(slice=s, before=Progress(), after=Progress(offset=1), changes=changes) for s in build.generation.slices()]
    return all(store.commit(commits))


def live_build(generations: Generations) -> Build:
    live = generations.live("flights")
    assert live is not None
    return next(build for build in generations.all("flights") if build.id == live.id)


def test_a_switch_moves_the_pointer_and_keeps_what_was_live(generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    old, new = live_build(generations), begun(generations)
    assert generations.switch(old, new, now=1_000, keep_ms=500)
    assert generations.live("flights") == new.generation
    assert states(generations) == {old.id: KEPT, new.id: LIVE}
    kept = chosen(generations.all("flights"), old.id)
    assert (kept.switched, kept.expires) == (1_000, 1_500)


def test_of_two_switches_from_one_generation_the_second_is_refused(generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    old, first, second = live_build(generations), begun(generations), begun(generations)
    assert generations.switch(old, first, now=1, keep_ms=1)
    before = states(generations)
    assert not generations.switch(old, second, now=2, keep_ms=1)
    assert generations.live("flights") == first.generation
    assert states(generations) == before


def test_the_next_switch_lets_the_one_before_the_last_expire(generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    oldest, old, new = live_build(generations), begun(generations), begun(generations)
    generations.switch(oldest, old, now=1_000, keep_ms=10_000)
    generations.switch(live_build(generations), new, now=2_000, keep_ms=10_000)
    assert {build.id: build.expires for build in generations.all("flights")} == {oldest.id: 2_000, old.id: 12_000, new.id: None}


def test_what_expired_is_dropped_whole_and_nothing_else(corner: Sandbox, generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    old, new = live_build(generations), begun(generations)
    store = SliceStore(corner.redis)
    assert written(store, old) and written(store, new)
    generations.switch(old, new, now=1_000, keep_ms=500)
    assert generations.sweep("flights", store, 1_499) == []
    assert [build.id for build in generations.sweep("flights", store, 1_500)] == [old.id]
    assert corner.redis.keys(f"*{old.id}*") == []
    assert len(corner.redis.keys(f"*{new.id}*")) == 6
    assert states(generations) == {new.id: LIVE}


def test_a_generation_is_found_by_how_its_id_begins(generations: Generations) -> None:
    first, second = begun(generations), begun(generations)
    builds = generations.all("flights")
    assert chosen(builds, first.id) == first
    with pytest.raises(NotFoundError, match="2 generations"):
        chosen(builds, second.id[:4])
    with pytest.raises(NotFoundError, match=f"no generations have an id that begins with 'x'; there are: .*{first.id}"):
        chosen(builds, "x")


def test_what_is_live_is_not_dropped(corner: Sandbox, generations: Generations) -> None:
    """A rollback may have made it live since it was seen to expire."""
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    live, store = live_build(generations), SliceStore(corner.redis)
    assert written(store, live)
    before = dict(states(generations)), sorted(corner.redis.keys())
    assert not generations.drop(live, store)
    assert (dict(states(generations)), sorted(corner.redis.keys())) == before


def test_who_dies_while_dropping_leaves_the_rest_to_the_next_sweep(corner: Sandbox, generations: Generations) -> None:
    class Dying(SliceStore):
        def drop(self, slice_: SliceId, parts: Iterable[str]) -> None:
            if slice_.partition == 1:
                raise InterruptedError
            super().drop(slice_, parts)

    generations.ensure("flights", 1, PARTITIONS, PARTS)
    build, store = begun(generations), SliceStore(corner.redis)
    assert written(store, build)
    with pytest.raises(InterruptedError):
        generations.drop(build, Dying(corner.redis))
    assert build.id not in states(generations)
    assert len(corner.redis.keys(f"*{build.id}*")) == 4
    assert generations.sweep("flights", store, 0) == []
    assert corner.redis.keys(f"*{build.id}*") == []
    assert corner.redis.keys("*:dropped") == []


def test_a_switch_that_comes_too_late_or_to_what_was_dropped_changes_nothing(corner: Sandbox, generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    live, late, gone = live_build(generations), begun(generations), begun(generations)
    generations.drop(gone, SliceStore(corner.redis))
    before = states(generations)
    seconds, _ = corner.redis.time()
    with pytest.raises(TooLateError):
        generations.switch(live, late, now=1, keep_ms=1, until=seconds * 1000 - 1)
    with pytest.raises(NotFoundError, match="was dropped meanwhile"):
        generations.switch(live, gone, now=1, keep_ms=1)
    assert generations.live("flights") == live.generation
    assert states(generations) == before
    assert generations.switch(live, late, now=1, keep_ms=1, until=seconds * 1000 + 60_000)
