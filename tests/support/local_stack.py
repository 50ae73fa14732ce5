"""A stack of the test run's own: started by deploy/stack.py in a folder and on ports that nobody else uses."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
STACK = REPOSITORY / "deploy" / "stack.py"
BRIEF = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""For a JVM that lives for minutes: its start takes 6 s of a processor instead of 10."""
_OURS = ("KAFKA_", "REDIS_", "REGISTRY_", "EVENTFOLD_", "SCHEMA_REGISTRY_")


def clean_environ() -> dict[str, str]:
    """This process's environment without any setting of eventfold or of the stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def missing_tools() -> list[str]:
    """What a stack needs and this machine lacks."""
    libs = REPOSITORY / ".eventfold" / "kafka-libs" / "pom.sha256"
    can_install = shutil.which("apt-get") is not None and os.geteuid() == 0
    needed = {"java": False, "mvn": libs.exists(), "redis-server": can_install}
    return [tool for tool, dispensable in needed.items() if not dispensable and shutil.which(tool) is None]


class LocalStack:
    """One broker and one Redis, and a schema registry for who asks for it."""

    def __init__(self, state: Path, ports: tuple[int, int, int] | None = None) -> None:
        """ports: of Kafka, Redis and the registry; free ones, unless given."""
        self.state = state
        self.ports = self.kafka_port, self.redis_port, self.registry_port = ports or _free_ports()
        self.bootstrap = f"127.0.0.1:{self.kafka_port}"

    def redis_url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/{database}"

    def up(self) -> None:
        """Start what does not run, and wait until it answers; several processes may call it at once."""
        self._call("up", "--kafka-port", str(self.kafka_port), "--redis-port", str(self.redis_port))

    def registry_url(self) -> str:
        """Where the schema registry answers; it is started if it does not run, because most tests need none."""
        self._call("up", "--registry", "--registry-port", str(self.registry_port))
        url: str = self._record()["registry_url"]
        return url

    def clean(self) -> None:
        """Stop everything and delete its data."""
        self._call("clean")

    def pid(self, name: str) -> int:
        """The process of `redis`, `kafka-1` or `registry`."""
        found: int = self._record()["processes"][name]["pid"]
        return found

    def _record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "stack.json").read_text())
        return found

    def _call(self, *args: str) -> None:
        command = [sys.executable, str(STACK), args[0], "--state", str(self.state), *args[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environ() | BRIEF)
        assert done.returncode == 0, f"stack.py {args[0]}: {done.stderr}"


def clean_stale(folder: Path) -> None:
    """Stop and delete the stacks of test runs that were killed before they could."""
    for state in folder.glob("test-*"):
        pid = state.name.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            command = [sys.executable, str(STACK), "clean", "--state", str(state)]
            subprocess.run(command, capture_output=True, check=False, env=clean_environ())


def _free_ports() -> tuple[int, int, int]:
    # Below the ephemeral ports; the controller listens ten above the broker. What is free now is bound later, maybe only after
    # the jars were fetched: so each worker of a run has ports of its own to choose from, and so has the stack that they share.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw"))
    bases = range(12_000 + worker % 8 * 50, 19_000, 400)
    for base in random.sample(bases, len(bases)):
        if all(map(_is_free, (base, base + 10, base + 20, base + 30))):
            return base, base + 20, base + 30
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0
