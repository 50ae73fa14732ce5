"""Builds with several processes: each takes some of the partitions, and ends when they are where they should be."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

from eventfold.processors.rebuild.builder import Targets
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.record import Place

COMMAND = "build-worker"
_END_S = 30


class Workers:
    """Processes that build a generation together; used with `with`. They end with this process, however it ends.

    Each is told its work as a line of JSON on stdin, whose end tells it to stop, and writes the number of events it has
    folded on stdout, a line a batch.
    """

    def __init__(
        self, projection: str, generation: str, targets: Targets, shares: Sequence[Sequence[Place]], **more: Any
    ) -> None:
        self._workers = [_Worker(projection, generation, {place: targets[place] for place in share}, more) for share in shares]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    @property
    def events(self) -> int:
        """How many events they have folded by now."""
        return sum(worker.events for worker in self._workers)

    def run(self) -> bool:
        """Whether any is still at work; EventfoldError, in its own words, when one failed."""
        return sum(worker.runs() for worker in self._workers) > 0


class _Worker:
    def __init__(self, projection: str, generation: str, targets: Targets, more: Mapping[str, Any]) -> None:
        self.events = 0
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "eventfold", COMMAND, projection, generation],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        work = {"targets": [[*place, offset] for place, offset in targets.items()], **more}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(work) + "\n")
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._count, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _count(self, lines: IO[str]) -> None:
        for line in lines:
            self.events = int(line)

    def runs(self) -> bool:
        code = self._process.poll()
        if code is None:
            return True
        self._reader.join()
        if code:
            self._errors.seek(0)
            last = (self._errors.read().strip().splitlines() or [f"exit code {code}"])[-1]
            raise EventfoldError(f"a worker failed: {last.removeprefix('eventfold: ')}")
        return False

    def end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._errors.close()


def told(lines: IO[str], stop: threading.Event) -> dict[str, Any]:
    """In a worker: its work; from now on `stop` is set when whoever gave it is gone."""
    work: dict[str, Any] = json.loads(lines.readline())

    def listen() -> None:
        lines.read()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    return work


def shared(left: Mapping[Place, int], workers: int) -> list[list[Place]]:
    """The partitions in as many shares as there are workers, each with about as much left to do."""
    shares: list[list[Place]] = [[] for _ in range(min(workers, len(left)))]
    loads = [0] * len(shares)
    for place in sorted(left, key=lambda place: (-left[place], place)):
        least = loads.index(min(loads))
        shares[least].append(place)
        loads[least] += left[place]
    return shares
