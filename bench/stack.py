"""The benchmarks' own stack: Kafka and Redis in a folder and on ports of their own, made for one run and deleted after it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
STATE = REPOSITORY / ".eventfold" / "bench"
_CONTROLLER_OFFSET = 10
_OURS = ("KAFKA_", "REDIS_", "EVENTFOLD_")


@contextmanager
def own_stack() -> Iterator[dict[str, str]]:
    """Bring a fresh stack up, yield the environment that leads there, delete the stack."""
    _stack("clean")
    kafka, redis = _free_ports()
    _stack("up", "--kafka-port", str(kafka), "--redis-port", str(redis))
    try:
        yield _environ(os.environ, kafka, redis)
    finally:
        _stack("clean")


def _environ(environ: Mapping[str, str], kafka: int, redis: int) -> dict[str, str]:
    """No setting of the caller's own installation may reach the measurements."""
    return {
        **{name: value for name, value in environ.items() if not name.startswith(_OURS)},
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        "EVENTFOLD_DOMAINS": "flights",
        "EVENTFOLD_INSTANCE": "bench",
    }


def _stack(command: str, *args: str) -> None:
    # Its progress belongs to stderr, as ours; stdout is for the report.
    tool = [sys.executable, str(REPOSITORY / "deploy" / "stack.py"), command, "--state", str(STATE), *args]
    subprocess.run(tool, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)


def _free_ports() -> tuple[int, int]:
    """A port for Kafka whose controller's is free as well, and one for Redis."""
    for kafka in range(29_092, 29_992, 20):
        wanted = (kafka, kafka + _CONTROLLER_OFFSET, kafka + 1)
        if all(_is_free(port) for port in wanted):
            return kafka, kafka + 1
    raise OSError("no free ports between 29092 and 29992")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
