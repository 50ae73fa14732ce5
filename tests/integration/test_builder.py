"""A builder folds as far as it is told and no further, whatever else is written to its slices."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from eventfold.kafka.topics import Place
from eventfold.processors.rebuild.builder import GoneError
from eventfold.processors.rebuild.display import Silent
from eventfold.processors.rebuild.job import Job
from eventfold.store.builds import SCRATCH, Build
from tests.support.sandbox import OpenSandbox, Sandbox

BULK = 700


@pytest.fixture
def corner(open_sandbox: OpenSandbox, january: Sandbox) -> Iterator[Sandbox]:
    with open_sandbox(topics_of=january) as sandbox:
        yield sandbox


@pytest.fixture
def job(corner: Sandbox) -> Job:
    runtime = corner.installation.runtime
    return Job(runtime, runtime.projection("flights"), Silent(), threading.Event())


def rows(job: Job, build: Build) -> dict[tuple[str, int, str], bytes]:
    return {
        (slice_.topic, slice_.partition, key): row
        for slice_ in build.generation.slices()
        for page in job.store.scan(slice_, "flights", index=False)
        for key, row in page.items()
    }


def test_it_stops_at_its_targets_and_goes_on_to_the_next(job: Job, january: Sandbox) -> None:
    """Some partitions are done at once and wait for others that have a long way to go, again and again."""
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    chance, ends = random.Random(seed), job.ends()
    build = job.begin(SCRATCH, {}, {})
    targets: dict[Place, int] = dict.fromkeys(job.places, 0)
    with job.builder(build, job.places, bulk=BULK) as builder:
        for _ in range(6):
            targets = {
                place: chance.choice([of, min(of + 3_000, ends[place]), ends[place] // 2]) for place, of in targets.items()
            }
            now = builder.offsets()
            builder.advance(targets)
            assert builder.offsets() == {place: max(now[place], targets[place]) for place in job.places}
            assert job.offsets(build.generation) == builder.offsets()
        builder.advance(ends)
        assert job.offsets(build.generation) == ends
        assert builder.events == 80_491
    assert rows(job, build) == january.tables("flights")["flights"]


def test_one_partition_that_is_done_does_not_hold_up_the_others(job: Job) -> None:
    ends, build = job.ends(), job.begin(SCRATCH, {}, {})
    first = job.places[0]
    with job.builder(build, job.places, bulk=BULK) as builder:
        builder.advance({place: 1 if place == first else ends[place] for place in job.places})
        assert builder.offsets() == {**ends, first: 1}
        builder.advance(ends)
        assert builder.offsets() == ends


def test_two_builders_of_the_same_slices_leave_exact_rows(job: Job, january: Sandbox) -> None:
    ends, build = job.ends(), job.begin(SCRATCH, {}, {})
    failed: list[BaseException] = []

    def other() -> None:
        try:
            with job.builder(build, job.places, bulk=BULK) as builder:
                builder.advance(ends)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    with job.builder(build, job.places, bulk=BULK) as builder:
        builder.advance(ends)
    thread.join(60)
    assert not failed, failed
    assert rows(job, build) == january.tables("flights")["flights"]


def test_what_was_dropped_is_not_built_on(job: Job, corner: Sandbox) -> None:
    ends, build = job.ends(), job.begin(SCRATCH, {}, {})
    with job.builder(build, job.places, bulk=BULK) as builder:
        builder.advance(dict.fromkeys(job.places, 1_000))
        job.generations.drop(build, job.store)
        with pytest.raises(GoneError, match="was dropped"):
            builder.advance(ends)
    assert not corner.redis.keys(f"*{build.id}*")


def test_told_to_stop_it_ends_between_two_batches(job: Job) -> None:
    ends, build = job.ends(), job.begin(SCRATCH, {}, {})
    with job.builder(build, job.places, bulk=BULK) as builder:
        builder.advance(ends, lambda: job.stop.set() if builder.events > 5_000 else None)
        assert 5_000 < builder.events < 20_000
        assert builder.offsets() != ends
