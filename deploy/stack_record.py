"""What a state folder remembers of its stack: stack.json, and the lock that lets one call at a time change it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stack_plan import Plan, StackError, log_file
from stack_processes import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One stack: its plan, Kafka's cluster id, whether its storage is formatted, and the processes it started."""

    plan: Plan
    cluster_id: str
    formatted: bool = False
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def running(self) -> dict[str, Process]:
        """What still runs of the processes that were started, in the plan's order."""
        known = ((name, self.processes.get(name)) for name in self.plan.names)
        return {name: process for name, process in known if process and process.running}


def record_file(state: Path) -> Path:
    return state / "stack.json"


def load(state: Path) -> Record | None:
    """The folder's record, None if it has none; StackError if it cannot be understood."""
    try:
        found: dict[str, Any] = json.loads(record_file(state).read_text())
        return Record(
            plan=Plan(
                brokers=found["brokers"],
                kafka_port=found["kafka_port"],
                redis_port=found["redis_port"],
                # A stack from before there were registries has none.
                registry=found.get("registry", False),
                registry_port=found.get("registry_port", Plan().registry_port),
            ),
            cluster_id=found["cluster_id"],
            formatted=found["formatted"],
            processes={name: Process(each["pid"], each["started"]) for name, each in found["processes"].items()},
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StackError(
            f"{record_file(state)} is damaged ({error}), so it is not known which processes belong to this stack: "
            f"end them by hand, if there are any, and delete {state}."
        ) from error


def save(state: Path, record: Record) -> None:
    """Replace stack.json in one step, so that a reader or a crash never sees half of it."""
    content = {
        **asdict(record.plan),
        "bootstrap_servers": record.plan.bootstrap_servers,
        "redis_url": record.plan.redis_url,
        "registry_url": record.plan.registry_url,
        "cluster_id": record.cluster_id,
        "formatted": record.formatted,
        "processes": {
            name: {"pid": process.pid, "started": process.started, "log": str(log_file(state, name))}
            for name, process in record.processes.items()
        },
    }
    part = record_file(state).with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(record_file(state))


@contextmanager
def locked(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file for the block; `waiting` is called once if another call holds it."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("ab") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(handle, fcntl.LOCK_EX)
            # `clean` may have deleted the file that was waited for: a lock on it would exclude nobody.
            if lock.exists() and os.path.samestat(lock.stat(), os.fstat(handle.fileno())):
                yield
                return
