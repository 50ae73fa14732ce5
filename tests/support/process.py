"""`eventfold <args>` as a process, forked from one that has imported everything: an interpreter's start takes half a second."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO

from tests.support.local_stack import REPOSITORY, clean_environ


class Warm:
    """The process that forks; one for each process that tests run in, ended with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.warm", str(theirs.fileno())],
                cwd=REPOSITORY,
                env=clean_environ(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def fork(self, request: Mapping[str, object], files: Sequence[int]) -> None:
        with self._lock:
            socket.send_fds(self._requests, [json.dumps(request).encode()], files)

    def close(self) -> None:
        self._requests.close()
        self._process.wait()


@lru_cache(maxsize=1)
def _warm() -> Warm:
    made = Warm()
    atexit.register(made.close)
    return made


class Process:
    """A process of `eventfold`, as subprocess.Popen has it."""

    def __init__(self, args: Sequence[str], environ: Mapping[str, str], folder: Path, files: Sequence[IO[bytes]]) -> None:
        """files: standard input, output and error."""
        self.returncode: int | None = None
        self._args = args
        reading, writing = os.pipe()
        self._told = os.fdopen(reading, "rb", buffering=0)
        try:
            _warm().fork(
                {"args": args, "environ": dict(environ), "folder": str(folder)}, [*(f.fileno() for f in files), writing]
            )
        finally:
            os.close(writing)
        self._text = b""
        assert self._read(60), "a process was not started in time"
        self.pid = int(self._text.partition(b"\n")[0])

    def poll(self) -> int | None:
        """The exit code, or minus the number of the signal that ended it; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(list(self._args), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout_s: float | None) -> int | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self.returncode is None:
            lines = self._text.split(b"\n")
            if len(lines) > 2:
                self.returncode = int(lines[1])
                self._told.close()
            elif not self._read(None if deadline is None else max(0, deadline - time.monotonic())):
                return None
        return self.returncode

    def _read(self, timeout_s: float | None) -> bool:
        """Whether it was told something in time."""
        if not select.select([self._told], [], [], timeout_s)[0]:
            return False
        content = self._told.read(100)
        assert content, "the process that forks has ended"
        self._text += content
        return True


def run(
    args: Sequence[str], environ: Mapping[str, str], folder: Path, stdin: str = "", timeout_s: float = 240
) -> subprocess.CompletedProcess[str]:
    """`eventfold <args>` to its end."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        process = Process(args, environ, folder, (given, out, err))
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        return subprocess.CompletedProcess(["eventfold", *args], code, *texts)
