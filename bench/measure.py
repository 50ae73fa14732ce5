"""One measurement is one process: `run` starts it, and what it counted, how long it took and its peak memory come back.

`python -m bench.measure` is that process: a job as JSON on stdin, the result as JSON on stdout.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_DEADLINE_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one process did: records counted, from its partitions' assignment to its last write, and its peak RSS."""

    count: int
    seconds: float
    peak_mb: float = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def run(job: str, environ: Mapping[str, str], **args: Any) -> Result:
    """Do a job (a name in `bench.jobs`) in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.measure"],
        input=json.dumps({"job": job, "args": args}),
        env=dict(environ),
        stdout=subprocess.PIPE,
        text=True,
        timeout=_DEADLINE_S,
        check=True,
    )
    return Result(**json.loads(done.stdout))


def peak_mb() -> float:
    """The peak resident memory of this process in MB, and that of the largest of its workers, if it had any."""
    try:
        # getrusage's figure outlives exec: a small child of a large parent would be blamed for its parent.
        status = Path("/proc/self/status").read_text()
        workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return (int(status.partition("VmHWM:")[2].split()[0]) + workers) / 1024
    except OSError:
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    given = json.load(sys.stdin)
    if given["args"].get("hiredis") is False:
        # redis-py looks for it when it is imported.
        sys.modules["hiredis"] = None  # type: ignore[assignment]
    from bench.jobs import JOBS

    job: Callable[..., tuple[int, float]] = JOBS[given["job"]]
    count, seconds = job(os.environ, **given["args"])
    print(json.dumps(asdict(Result(count=count, seconds=seconds, peak_mb=peak_mb()))))


if __name__ == "__main__":
    main()
