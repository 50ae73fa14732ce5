"""A process that has imported eventfold, and forks a process for each command: what `python -m eventfold` does, started warm.

Run with the number of a socket, from which it reads requests until the other end is closed; see tests/support/process.py.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_FDS = 4
"""Of each request: standard input, output and error of the command, and a pipe for its pid and how it ended."""


def main(requests: socket.socket) -> dict[str, object] | None:
    """Fork for each request; in the child, return it. In the parent, return None once nobody asks any more."""
    wakeup, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(woken)
    told: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests, wakeup], [], [])
        if wakeup in ready:
            _drain(wakeup)
            _bury(told)
        if requests not in ready:
            continue
        content, fds, _, _ = socket.recv_fds(requests, 1 << 20, _FDS)
        if not content:
            # Whoever asked was killed, and cannot end what it started.
            for pid in told:
                os.kill(pid, signal.SIGKILL)
            return None
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number, fd in enumerate(fds[:3]):
                os.dup2(fd, number)
            os.closerange(3, max(*told.values(), *fds, requests.fileno(), wakeup, woken) + 1)
            requests.detach()
            found: dict[str, object] = json.loads(content)
            return found
        for fd in fds[:3]:
            os.close(fd)
        told[pid] = fds[3]
        _tell(fds[3], f"{pid}\n")


def _bury(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        pipe = told.pop(pid)
        _tell(pipe, f"{os.waitstatus_to_exitcode(status)}\n")
        os.close(pipe)


def _tell(pipe: int, text: str) -> None:
    try:
        os.write(pipe, text.encode())
    except BrokenPipeError:
        return  # The one who asked has ended.


def _drain(pipe: int) -> None:
    try:
        while os.read(pipe, 4096):
            pass
    except BlockingIOError:
        return


def become(args: Sequence[str], environ: dict[str, str], folder: str) -> None:
    """Make this process what `python -m eventfold <args>` would be, right before it runs."""
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.argv = ["", *args]
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "r", closefd=False), encoding="utf-8")
    sys.stdout, sys.stderr = _output(1, "strict"), _output(2, "backslashreplace")
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[0:1] = [folder, *paths]
    # What lies there goes before what was imported already.
    names = {entry.name.partition(".")[0] for path in (folder, *paths) if os.path.isdir(path) for entry in os.scandir(path)}
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    importlib.invalidate_caches()


def _output(number: int, errors: str) -> io.TextIOWrapper:
    whole = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(whole, encoding="utf-8", errors=errors, line_buffering=number == 2 or os.isatty(number))


def preload() -> None:
    """Import all that a command may import."""
    for package in ("eventfold", "flights", "accounts"):
        folder = Path(importlib.import_module(package).__file__ or "").parent
        for module in pkgutil.walk_packages([str(folder)], f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    preload()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        request = main(asked)
    if request is not None:
        become(**request)  # type: ignore[arg-type]
        runpy.run_module("eventfold", run_name="__main__", alter_sys=True)
