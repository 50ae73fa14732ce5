"""Read models, replayed while the replay, a projector or Redis is killed with SIGKILL: they are what the log says."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from eventfold.kafka.topics import Place
from eventfold.processors.rebuild.display import display
from eventfold.processors.rebuild.job import Job
from eventfold.processors.rebuild.switching import switch
from eventfold.schemas.errors import EventfoldError
from eventfold.store.builds import BUILDING
from eventfold.store.generations import Generations
from eventfold.store.holds import HOLD_MS
from eventfold.store.slices import CHANGES, META
from flights.dataset import flights
from flights.importer import commands
from tests.faults.kills import seeds
from tests.faults.replays import Corner, Flow
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.local_stack import LocalStack
from tests.support.sandbox import OpenSandbox
from tests.support.soak import SOAK

PROJECTIONS = ("punctuality", "flights", "board")
IMPORTED = 30_000 if SOAK else 12_000
PER_S = 60
ROUNDS = 7 if SOAK else 2
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def corner(open_sandbox: OpenSandbox, own_stack: LocalStack) -> Iterator[Corner]:
    """A good part of January in the log; the rest of the quarter flows in."""
    with open_sandbox(stack=own_stack, partitions=3) as sandbox:
        real = commands(flights([1, 2, 3]))
        flow = Flow(sandbox, real, PER_S)
        made = Corner(sandbox, flow, {"punctuality": ["left", "right"], "flights": ["one"], "board": ["one"]})
        flow.burst(IMPORTED)
        sandbox.caught_up("flights.handler", *PROJECTIONS, timeout_s=120)
        with flow:
            yield made
        daemons = [made.handler, *itertools.chain(*made.projectors.values())]
        assert [daemon.stop() for daemon in daemons] == [0] * len(daemons)


@pytest.mark.parametrize("seed", seeds(12))
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_killing_replay_projector_and_redis(corner: Corner, projection: str, seed: int) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(f"{projection} {seed}")
    for number in range(ROUNDS):
        started = time.monotonic()
        Round(corner, projection, chance).play()
        print(f"  round {number} of {projection}: {time.monotonic() - started:.1f} s")


@pytest.mark.parametrize("where", ["before it looks at the clock", "after it looked at the clock"])
def test_a_replay_that_sleeps_through_its_hold(corner: Corner, where: str) -> None:
    """The hold has ended and the live generation moved on when it wakes up: it must begin the switch anew."""
    job = in_process(corner, "flights")
    live, build = job.needed_live(), job.begin(BUILDING, {}, {})
    slept: list[str] = []

    def sleep(here: str) -> None:
        if here != where or slept:
            return
        slept.append(here)
        held = corner.offsets(live.generation)
        time.sleep(HOLD_MS / 1000 + 0.5)
        eventually(lambda: corner.offsets(live.generation) > held, "the daemons go on")

    class Sleepy(Generations):
        def switch(self, *args: Any, **more: Any) -> bool:
            sleep("after it looked at the clock")
            return super().switch(*args, **more)

    with corner.only_forwards("flights"), job.builder(build, job.places) as builder:
        job.chase(builder, live)

        def reach(offsets: dict[Place, int], left_s: float) -> None:
            builder.advance({place: max(offset, builder.offsets()[place]) for place, offset in offsets.items()})
            sleep("before it looks at the clock")

        generations = Sleepy(job.runtime.redis, corner.sandbox.prefix)
        assert switch(generations, job.store, live, build, reach, keep_ms=HOUR_MS).kept == live
        assert slept
    assert corner.live("flights").id == build.id
    corner.check("flights")


def test_a_replay_that_was_dropped_while_it_slept(corner: Corner) -> None:
    """Its claim has expired, and another dropped what it built: it must not make that live."""
    job = in_process(corner, "flights")
    live, build = job.needed_live(), job.begin(BUILDING, {}, {})

    class Sleepy(Generations):
        def switch(self, *args: Any, **more: Any) -> bool:
            corner.sandbox.ok("replay", "flights", "--abort")
            return super().switch(*args, **more)

    with corner.only_forwards("flights"), job.builder(build, job.places) as builder:
        job.chase(builder, live)
        generations = Sleepy(job.runtime.redis, corner.sandbox.prefix)
        with pytest.raises(EventfoldError, match="was dropped"):
            switch(generations, job.store, live, build, lambda *_: None, keep_ms=HOUR_MS)
    assert corner.live("flights") == live.generation
    corner.check("flights")


def test_a_redis_that_forgets_what_a_replay_wrote_last(corner: Corner) -> None:
    """As after a fail-over: what was built went back, and the replay, which has nothing left to write, must notice."""
    job, redis = in_process(corner, "flights"), corner.sandbox.redis
    live, build = job.needed_live(), job.begin(BUILDING, {}, {})
    keys = [slice_.key(part) for slice_ in build.generation.slices() for part in (META, CHANGES, *build.parts)]
    with corner.only_forwards("flights"), job.builder(build, job.places) as builder:
        builder.advance(dict.fromkeys(job.places, 3_000))
        before = {key: redis.dump(key) for key in keys}
        job.chase(builder, live)

        def reach(offsets: dict[Place, int], left_s: float) -> None:
            builder.advance({place: max(offset, builder.offsets()[place]) for place, offset in offsets.items()})

        for key, dumped in before.items():
            if dumped is None:
                redis.delete(key)
            else:
                redis.restore(key, 0, dumped, replace=True)
        switch(job.generations, job.store, live, build, reach, keep_ms=HOUR_MS)
    assert corner.live("flights").id == build.id
    corner.check("flights")


@pytest.mark.parametrize("keep", ["1h", "0s"])
def test_a_projector_that_wakes_up_after_a_switch(corner: Corner, keep: str) -> None:
    """What it is about to write is of a generation that is kept by now, or dropped. It shares no group: it keeps all it had."""
    sleeper = corner.sandbox.start("run", "projector", "flights", "--partitions", "0,1,2", EVENTFOLD_INSTANCE="sleeper")
    sleeper.wait_for_log("event=assigned")
    # It may have nothing at hand when it is put to sleep. What it notices first is its read of rows, or its write.
    slept = (slept_through_a_switch(corner, sleeper, keep) for _ in range(6))
    assert any("Overtaken" in told or "MovedError" in told for told in slept), "it had nothing at hand"
    assert "stands still" not in sleeper.log
    assert sleeper.stop() == 0
    corner.check("flights")


def slept_through_a_switch(corner: Corner, sleeper: Daemon, keep: str) -> str:
    """What a projector logs that is put to sleep in the midst of a burst and wakes up after a switch."""
    before = corner.live("flights")
    stood = sum(corner.offsets(before))
    corner.flow.burst(6_000)
    eventually(lambda: sum(corner.offsets(before)) > stood + 1_000, "the burst is being folded", pause_s=0.001)
    os.kill(sleeper.pid, signal.SIGSTOP)
    try:
        assert "live now" in corner.sandbox.ok("replay", "flights", "--keep", keep)
        if keep == "0s":
            eventually(lambda: before.id not in {build.id for build in corner.generations.all("flights")}, "it is dropped")
        seen = len(sleeper.log)
    finally:
        os.kill(sleeper.pid, signal.SIGCONT)
    eventually(lambda: f"generation={corner.live('flights').id}" in sleeper.log[seen:], "it goes on with what is live")
    return sleeper.log[seen:]


def in_process(corner: Corner, projection: str) -> Job:
    """What a replay works with, in this process."""
    runtime = corner.sandbox.installation.runtime
    shown = display(as_json=False, by_partition=False)
    return Job(runtime, runtime.projections[projection], shown, threading.Event())


class Round:
    """One read model, rebuilt or rolled back, and struck while it is."""

    def __init__(self, corner: Corner, projection: str, chance: random.Random) -> None:
        self._corner = corner
        self._projection = projection
        self._chance = chance
        self._before = corner.live(projection).id

    def play(self) -> None:
        corner, chance, name = self._corner, self._chance, self._projection
        command = "rollback" if corner.kept(name) and chance.random() < 0.15 else "replay"
        while True:
            job = corner.sandbox.start(command, name, *self._options(command))
            self._strike(job)
            print(f"    then: {job.log.strip().splitlines()[-1:]}")
            again = chance.random()
            if again < 0.3 and corner.builds(name, BUILDING):
                continue
            if again > 0.9 and corner.builds(name, BUILDING):
                corner.sandbox.ok("replay", name, "--abort")
            break
        corner.finish(name, command, self._before)
        if chance.random() < 0.5:
            verified = corner.sandbox.run("verify", name, *self._workers())
            assert verified.returncode == 0 and "equal: every row is the same" in verified.stdout, verified
        corner.check(name)

    def _options(self, command: str) -> list[str]:
        if command == "rollback":
            return []
        options = self._workers()
        if self._chance.random() < 0.6:
            total = sum(self._corner.offsets(self._corner.live(self._projection)))
            options += ["--max-events-per-second", f"{max(total, IMPORTED) / self._chance.uniform(1, 2.5):.0f}"]
        if self._corner.builds(self._projection, BUILDING):
            options.append("--resume")
        return options

    def _workers(self) -> list[str]:
        return ["--workers", "2"] if self._chance.random() < 0.3 else []

    def _strike(self, job: Daemon) -> None:
        """Wait for a moment, kill one, and let the job come to its end."""
        chance, corner = self._chance, self._corner
        moments = {"start": 1, "held": 3} if "rollback" in job.name else {"start": 1, "building": 3, "comparing": 3, "held": 3}
        moment = chance.choices(list(moments), list(moments.values()))[0]
        victim = chance.choices(("job", "projector", "redis", "asleep", "emptied"), (6, 4, 4, 1, 1))[0]
        print(f"    {job.name}: {victim} at {moment}", end="")
        seen = self._wait(job, moment)
        print("" if seen else " (it was over)")
        # Not to wait for anything: a kill is to fall anywhere.
        if victim == "job":
            corner.kill_job(job)
        elif victim == "projector":
            corner.kill_projector(self._projection, chance.randrange(len(corner.projectors[self._projection])))
        elif victim == "redis":
            corner.kill_redis()
        elif victim == "asleep" and job.runs:
            os.kill(job.pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.1, 7))
            os.kill(job.pid, signal.SIGCONT)
        elif victim == "emptied":
            corner.sandbox.empty_redis(self._projection)
            self._before = corner.live(self._projection).id
        corner.ended(job, killed=victim == "job")

    def _wait(self, job: Daemon, moment: str) -> bool:
        seen, longest = True, 1.2
        if moment == "building":
            seen, longest = self._corner.until_said(job, "with " if "--resume" in job.name else "building "), 2.0
        elif moment == "comparing":
            seen, longest = self._corner.until_said(job, "comparing with the live generation"), 0.06
        elif moment == "held":
            seen, longest = self._corner.until_held(job, self._projection), 0.005
        if seen:
            time.sleep(self._chance.uniform(0, longest))
        return seen
