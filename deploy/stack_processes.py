"""Processes that outlive the call that started them, and are never mistaken for others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Process:
    """A pid together with its start time, so that a pid given to another process later is not taken for this one."""

    pid: int
    started: str

    @property
    def running(self) -> bool:
        return start_time(self.pid) == self.started


def start_time(pid: int) -> str | None:
    """When the process started, as an opaque string that is unique across reboots; None if it has ended.

    A zombie has ended: where nobody reaps orphans (a container without an init) it would otherwise run for ever.
    """
    proc = Path("/proc")
    if (proc / "self" / "stat").exists():
        try:
            # The command's name may hold spaces and brackets: what follows the last bracket is fields 3 to 52.
            fields = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
            boot = (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    status, _, started = shown.strip().partition(" ")
    return started.strip() if started and not status.startswith("Z") else None


def launch(command: Sequence[str], *, folder: Path, log: Path) -> Process:
    """Start a process in a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = start_time(child.pid) or "ended"
    # It is waited for by its pid and start time, here as in later calls; Popen would warn that it still runs.
    child.returncode = 0
    return Process(child.pid, started)


def stop(processes: Iterable[Process], *, patience: float) -> list[Process]:
    """Ask all to end at once, and kill those that have not within `patience` seconds; return the killed."""
    left = [process for process in processes if process.running]
    for process in left:
        send(process, signal.SIGTERM)
    left = await_end(left, patience)
    for process in left:
        send(process, signal.SIGKILL)
    await_end(left, patience)
    return left


def send(process: Process, number: signal.Signals) -> None:
    if process.running:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def await_end(processes: list[Process], patience: float) -> list[Process]:
    """Wait for all to end; return those that still run after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (left := [process for process in processes if process.running]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM until the block is done, then deliver them.

    Blocking them in the thread's mask would not do: a child inherits the mask, and could not be ended.
    """
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def last_lines(file: Path, count: int = 15) -> str:
    """The end of a log, for an error message; empty if there is none."""
    try:
        with file.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - 16_384))
            lines = handle.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])
