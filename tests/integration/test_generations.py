"""Which build of a projection is live."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from projections.generations import Generation, Generations
from schemas.errors import LogfoldError
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
    with pytest.raises(LogfoldError, match=r"version 1 of the projection, this is version 2"):
        generations.ensure("flights", 2, PARTITIONS, PARTS)


def test_another_number_of_partitions_is_refused(generations: Generations) -> None:
    generations.ensure("flights", 1, PARTITIONS, PARTS)
    with pytest.raises(LogfoldError, match="never change in place"):
        generations.ensure("flights", 1, {"flights.events": 4}, PARTS)


def test_an_id_is_not_used_again_after_redis_forgot_it(corner: Sandbox, generations: Generations) -> None:
    ids = set()
    for _ in range(1_000):
        ids.add(generations.ensure("flights", 1, PARTITIONS, PARTS).id)
        corner.redis.flushdb()
    assert len(ids) == 1_000
