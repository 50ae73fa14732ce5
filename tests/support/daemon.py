"""A daemon of eventfold as a process, with its log in a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.deadline import DEADLINE_S, eventually
from tests.support.process import Process


class Daemon:
    """`eventfold <args>`, from its start to its end."""

    def __init__(self, args: Sequence[str], environ: Mapping[str, str], log_file: Path) -> None:
        self.name = " ".join(args)
        self.log_file = log_file
        with open(os.devnull, "rb") as nothing, log_file.open("wb") as output:
            self.process = Process(args, environ, log_file.parent, (nothing, output, output))

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def wait_for_log(self, text: str, times: int = 1, timeout_s: float = DEADLINE_S) -> None:
        """Return once the log holds `text` so many times; fail at once when the daemon ended without it."""

        def there() -> bool:
            ended = not self.runs
            found = self.log.count(text) >= times
            assert found or not ended, f"{self.name} ended with {self.process.returncode} before {text!r}:\n{self.log[-3000:]}"
            return found

        eventually(there, f"{text!r} in the log of {self.name}", timeout_s)

    def ended(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit code, once it has ended by itself."""
        return self.process.wait(timeout_s)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        if self.runs:
            os.kill(self.pid, number)
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.stop(signal.SIGKILL)
