"""`eventfold run all`: one process a daemon on this machine, started again when it fails, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from eventfold.processors.claiming import claimed
from eventfold.schemas.errors import EventfoldError
from eventfold.store.claims import Claim
from eventfold.store.connection import Redis

_WATCH_S = 0.2
_BACKOFF_S = (0.5, 30.0)
_HEALTHY_S = 30.0
_STOP_S = 30.0

log = structlog.get_logger("supervisor")


@dataclass(slots=True)
class _Child:
    args: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff: float = _BACKOFF_S[0]
    due: float = 0.0

    @property
    def name(self) -> str:
        return " ".join(self.args)


def supervise(daemons: Sequence[Sequence[str]], stop: threading.Event, *, redis: Redis, prefix: str, instance: str) -> None:
    """Run `eventfold <args>` for each until `stop` is set; then SIGTERM to all, SIGKILL to what is left after 30 s.

    A daemon that ends by itself, or that somebody else stops, is started again, after a pause that doubles while it keeps
    failing. EventfoldError when another supervises this instance already, and at the end when a daemon had to be killed.
    """
    children = [_Child(args) for args in daemons]
    taken = f"`eventfold run all` of the instance {instance!r} runs already, on {{host}} with pid {{pid}}: "
    taken += "stop it first, or give each its own --instance"
    with claimed(Claim(redis, prefix, f"supervisor:{instance}", taken), stop):
        try:
            while not stop.is_set():
                for child in children:
                    _tend(child)
                stop.wait(_WATCH_S)
        finally:
            killed = _stop(children)
    if killed:
        raise EventfoldError(f"these did not stop within {_STOP_S:g} s and were killed: {', '.join(killed)}")


def _tend(child: _Child) -> None:
    now = time.monotonic()
    if child.process is None:
        if now >= child.due:
            # A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops each once.
            child.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "eventfold", *child.args], start_new_session=True, stdin=subprocess.DEVNULL
            )
            child.started = now
            log.info("started", daemon=child.name, pid=child.process.pid)
        return
    code = child.process.poll()
    if code is None:
        return
    if now - child.started > _HEALTHY_S:
        child.backoff = _BACKOFF_S[0]
    # A daemon ends with 0 when it was told to, and nobody here told it.
    say, what = (log.error, "ended by itself") if code else (log.warning, "was stopped by another")
    say(what, daemon=child.name, pid=child.process.pid, code=code, again_in_s=child.backoff)
    child.process, child.due = None, now + child.backoff
    child.backoff = min(child.backoff * 2, _BACKOFF_S[1])


def _stop(children: Sequence[_Child]) -> list[str]:
    """Stop all; the names of those that had to be killed."""
    running = {child.name: child.process for child in children if child.process is not None and child.process.poll() is None}
    for process in running.values():
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    killed = []
    for name, process in running.items():
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("did not stop, killed", daemon=name, pid=process.pid)
            _signal(process, signal.SIGKILL)
            process.wait()
            killed.append(name)
    log.info("all stopped", daemons=len(running))
    return killed


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return
