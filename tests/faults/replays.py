"""A log that grows, projectors that follow it, and replays that are struck at a chosen moment."""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil

from eventfold.processors.rebuild.workers import COMMAND
from eventfold.producers.commands import Command
from eventfold.store.builds import BUILDING, KEPT, Build, Generation
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import META
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox
from tests.support.truth import Truth, counted, digests, folded, read_log

LONG_S = 120
_OF_A_SLICE = re.compile(rb"\{(?P<owner>[^:}]+):(?P<generation>[^:}]+):[^}]+\}:")


class Flow:
    """Commands that go on and on, so many a second, from a thread of this process; used with `with`."""

    def __init__(self, sandbox: Sandbox, commands: Iterator[Command], per_s: int) -> None:
        self._sender = sandbox.installation.write_side.sender("/test", linger_ms=20)
        self._commands = commands
        self._tenth = max(1, per_s // 10)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def burst(self, count: int) -> None:
        """So many at once; Kafka has them when it returns."""
        with self._lock:
            self._send(count)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent in this block, and Kafka has what was."""
        with self._lock:
            yield

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            self.burst(self._tenth)

    def _send(self, count: int) -> None:
        for command in itertools.islice(self._commands, count):
            self._sender.send(command)
        self._sender.flush()


class Corner:
    """A sandbox with a handler and some projectors, each a process, and a log that grows."""

    def __init__(self, sandbox: Sandbox, flow: Flow, projectors: dict[str, Sequence[str]]) -> None:
        self.sandbox = sandbox
        self.flow = flow
        self.handler = sandbox.handler()
        self.projectors = {
            name: [sandbox.projector(name, EVENTFOLD_INSTANCE=instance) for instance in instances]
            for name, instances in projectors.items()
        }
        self._instances = projectors
        self.generations = Generations(sandbox.redis, sandbox.prefix)

    # -- who is struck -------------------------------------------------------------------------------------------------

    def kill_projector(self, projection: str, which: int) -> None:
        """SIGKILL, and start it again."""
        self.projectors[projection][which].kill()
        instance = self._instances[projection][which]
        self.projectors[projection][which] = self.sandbox.start("run", "projector", projection, EVENTFOLD_INSTANCE=instance)

    def kill_redis(self) -> None:
        """SIGKILL, and start it again with what it had saved."""
        os.kill(self.sandbox.stack.pid("redis"), signal.SIGKILL)
        self.sandbox.stack.up()

    def kill_job(self, job: Daemon) -> None:
        """SIGKILL for the process alone: its workers must end by themselves."""
        job.kill()
        eventually(lambda: not self.workers(), "the workers of a killed replay have ended", 60)

    def workers(self) -> list[int]:
        """The processes that build for a replay."""
        found = []
        for process in psutil.process_iter():
            try:
                if COMMAND in process.cmdline() and process.environ().get("EVENTFOLD_TOPIC_PREFIX") == self.sandbox.prefix:
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found

    # -- when ----------------------------------------------------------------------------------------------------------

    def until_said(self, job: Daemon, text: str) -> bool:
        """Return as soon as the job has said so; False when it ended without."""
        return self._soon(job, lambda: text in job.log)

    def until_held(self, job: Daemon, projection: str) -> bool:
        """Return as soon as a switch holds a slice of the live generation; False when the job ended before that was seen."""
        keys = [slice_.key(META) for slice_ in self.live(projection).slices()]
        return self._soon(job, lambda: any(self.sandbox.redis.hexists(key, "held") for key in keys))

    @contextmanager
    def only_forwards(self, projection: str) -> Iterator[None]:
        """Whoever reads the live generation while the block runs never finds a slice at an earlier offset than before."""
        ended, backwards = threading.Event(), []

        def look() -> None:
            most: list[int] = []
            while not ended.wait(0.001):
                live = self.live(projection)
                offsets = self.offsets(live)
                # Only what was read while it was live counts: what is kept may be ahead.
                if self.live(projection) != live:
                    continue
                if any(now < before for now, before in zip(offsets, most, strict=False)):
                    backwards.append((live.id, offsets, most))
                most = [*map(max, offsets, most or offsets)]

        reader = threading.Thread(target=look)
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()
        assert not backwards, f"read backwards: {backwards[:3]}"

    def _soon(self, job: Daemon, there: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + LONG_S
        while not there():
            if not job.runs:
                return there()
            assert time.monotonic() < deadline, f"{job.name} hangs:\n{job.log[-3000:]}"
            time.sleep(0.0005)
        return True

    # -- how it stands -------------------------------------------------------------------------------------------------

    def live(self, projection: str) -> Generation:
        def found() -> Generation | None:
            return self.generations.live(projection)

        return eventually(found, f"a generation of {projection} is live")  # type: ignore[return-value]

    def builds(self, projection: str, state: str) -> list[Build]:
        return [build for build in self.generations.all(projection) if build.state == state]

    def offsets(self, generation: Generation) -> list[int]:
        """The next offset of each slice, as stored; -1 for one that is absent."""
        return [int(self.sandbox.redis.hget(slice_.key(META), "offset") or -1) for slice_ in generation.slices()]  # type: ignore[arg-type]

    def ended(self, job: Daemon, killed: bool = False) -> int:
        """The exit code of a replay or rollback, which must be one that was promised, with nothing that was not."""
        code = job.ended(LONG_S)
        shown = f"{job.name} ended with {code}:\n{job.log[-3000:]}"
        assert code in ((0, 1, -signal.SIGKILL) if killed else (0, 1)), shown
        assert "Traceback" not in job.log, shown
        assert "not live" not in job.log, shown
        assert code != 0 or "live now" in job.log or "is live again" in job.log, shown
        self.sandbox.daemons.remove(job)
        return code

    def finish(self, projection: str, command: str, before: str) -> None:
        """Bring a replay or rollback to its end, if it has not made another generation than `before` live already."""
        for _ in range(8):
            unfinished = self.builds(projection, BUILDING)
            if not unfinished and self.live(projection).id != before:
                return
            resume = ["--resume"] if command == "replay" and unfinished else []
            job = self.sandbox.start(command, projection, *resume)
            if self.ended(job) == 0:
                return
            print(f"    {job.name}: {job.log.strip().splitlines()[-1]}")
            if "is kept: there is nothing to go back to" in job.log:
                command = "replay"
        raise AssertionError(f"the {command} of {projection} does not come to an end")

    # -- what it must come to ------------------------------------------------------------------------------------------

    def check(self, projection: str) -> None:
        """Live and kept generation are what the log says, to the byte, and nothing else is left in Redis."""
        with self.flow.paused():
            self.sandbox.caught_up("flights.handler", projection, timeout_s=LONG_S)
            events = read_log(self.sandbox)
            truth = folded(self.sandbox.installation.projections[projection], self.sandbox.topic("flights.events"), events)
            live = self.live(projection)
            assert self.sandbox.tables(projection) == truth.tables
            self._check(live, truth)
            for build in self.kept(projection):
                end = self.offsets(live)
                fed = [*map(int.__ge__, self.offsets(build.generation), end)]
                eventually(
                    lambda of=build.generation, end=end: all(map(int.__ge__, self.offsets(of), end)),
                    f"the generation {build.id} of {projection}, which is kept, is fed (at first: {fed})",
                    LONG_S,
                )
                self._check(build.generation, truth)
            if projection == "punctuality":
                shown = {row["carrier"]: row for row in self.sandbox.client.query("punctuality", by="carrier")}
                wanted = counted(events)
                assert shown.keys() == wanted.keys()
                assert {(c, kind, n) for c, of in wanted.items() for kind, n in of.items() if shown[c][kind] != n} == set()
        self._nothing_left_behind(projection)

    def _nothing_left_behind(self, projection: str) -> None:
        deadline = time.monotonic() + 30
        while left := self.left_behind(projection):
            assert time.monotonic() < deadline, f"left behind of {projection}: {left}"
            time.sleep(0.1)

    def kept(self, projection: str) -> list[Build]:
        """What is kept for a rollback."""
        now = time.time() * 1000
        return [build for build in self.builds(projection, KEPT) if build.expires is not None and build.expires > now]

    def left_behind(self, projection: str) -> list[str]:
        """Keys of generations that are in no registry, and entries of the registry that should be gone."""
        known = {build.id: build for build in self.generations.all(projection)}
        wanted = {self.live(projection).id, *(build.id for build in self.kept(projection))}
        found = [f"{build.state} {id_}" for id_, build in known.items() if id_ not in wanted]
        for key in self.sandbox.redis.scan_iter(count=1000):
            match = _OF_A_SLICE.match(key)
            if match and match["owner"].decode() == projection and match["generation"].decode() not in known:
                found.append(key.decode())
        return found

    def _check(self, generation: Generation, truth: Truth) -> None:
        redis, store = self.sandbox.redis, SliceStore(self.sandbox.redis)
        wanted = digests(truth.tables)
        for slice_ in generation.slices():
            place = slice_.topic, slice_.partition
            for table, rows in truth.tables.items():
                is_ = {key.decode(): row for key, row in store.table(slice_, table).items()}
                assert is_ == {key: row for (*of, key), row in rows.items() if tuple(of) == place}, f"{slice_.key(table)}"
            for index, members in truth.indexes.items():
                found = {member for some in store.scan(slice_, index, index=True) for member in some}
                assert found == members[place], f"{slice_.key(index)}"
            meta = redis.hgetall(slice_.key(META))
            kept = {n.decode(): d.decode() for n, d in meta.items() if n.startswith(b"digest.") and int(d, 16)}  # type: ignore[union-attr]
            assert kept == {f"digest.{table}": digest for table, digest in wanted.get(place, {}).items()}, slice_.key(META)
