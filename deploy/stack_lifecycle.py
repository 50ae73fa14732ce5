"""Bringing a stack up and down: the steps and their order."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import stack_jars
import stack_kafka
import stack_ports
import stack_processes
import stack_redis
import stack_registry
from stack_plan import Plan, StackError, Wish, broker_name, log_file, node_of, own_folder
from stack_record import Record, load, locked, record_file, save
from stack_signals import Signals

START_SECONDS = 120.0
STOP_SECONDS = 30.0
UNDO_SECONDS = 10.0
LEAST_FREE_BYTES = 1 << 30
SCRATCH = "format-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One state folder, the jars it runs on and the pom.xml that names Kafka's, whom to tell about progress, and who may
    interrupt it.
    """

    state: Path
    libs: Path
    registry_libs: Path
    pom: Path
    say: Callable[[str], None]
    signals: Signals

    def up(self, wish: Wish) -> str:
        """Start what is missing, wait until all of it answers, and say what is there.

        Whatever goes wrong, Ctrl-C included, ends what this call started and nothing else; once all of it answers, a signal
        changes nothing any more.
        """
        with locked(self.state / "lock", self._waiting):
            record = self._agreed_record(wish)
            missing = [name for name in record.plan.names if name not in record.running]
            try:
                if missing:
                    record = self._start(record, missing)
                self._await_answers(record)
                self.signals.ignore()
            except BaseException:
                # A second signal, from an impatient hand, must not leave half of it running.
                with stack_processes.uninterrupted():
                    ended, _ = self._end(missing, UNDO_SECONDS)
                    if ended:
                        self.say(f"Ended again: {', '.join(ended)}.")
                raise
        state = "Already up" if not missing else "Up"
        registry = f", a schema registry at {record.plan.registry_url}" if record.plan.registry else ""
        return f"{state}: Kafka at {record.plan.bootstrap_servers}, Redis at {record.plan.redis_url}{registry}."

    def down(self) -> str:
        """End the processes that this stack started; it is no error if there are none."""
        if not record_file(self.state).exists():
            return f"No stack in {self.state}: nothing to end."
        with locked(self.state / "lock", self._waiting):
            ended, killed = self._end(None, STOP_SECONDS)
        if not ended:
            return "Already down."
        late = f" (did not end within {STOP_SECONDS:.0f} s and were killed: {', '.join(killed)})" if killed else ""
        return f"Down: ended {', '.join(ended)}{late}."

    def clean(self) -> str:
        """End the stack and delete what it made; other files in the folder stay."""
        if not self.state.is_dir():
            return f"No stack in {self.state}: nothing to delete."
        if load(self.state) is None and not holds_nothing(self.state):
            raise StackError(f"{self.state} holds no stack.json, so it is not a stack's folder: nothing was deleted.")
        with locked(self.state / "lock", self._waiting):
            self._end(None, STOP_SECONDS)
            for name in (*Plan(brokers=3, registry=True).names, "logs"):
                shutil.rmtree(self.state / name, ignore_errors=True)
            for stale in self.state.glob(f"{SCRATCH}*"):
                shutil.rmtree(stale, ignore_errors=True)
            for name in ("stack.part", "stack.json", "lock"):
                (self.state / name).unlink(missing_ok=True)
        left = sorted(path.name for path in self.state.iterdir()) if self.state.is_dir() else []
        if left:
            return f"Clean, but for what the stack did not make in {self.state}: {', '.join(left)}."
        self.state.rmdir()
        return f"Clean: {self.state} is deleted."

    def answers(self, record: Record, name: str) -> bool:
        """Whether the named process answers at its own address, as itself."""
        process = record.running.get(name)
        if process is None:
            return False
        if name == "redis":
            return stack_redis.answers(record.plan, process)
        if name == "registry":
            return stack_registry.answers(record.plan, record.cluster_id)
        return stack_kafka.sees(record.plan.address(node_of(name)), record.cluster_id, 1)

    def _waiting(self) -> None:
        self.say(f"Another call is at work on {self.state}; waiting for it.")

    def _agreed_record(self, wish: Wish) -> Record:
        """The record to go on with: the folder's own, or a new one where there is nothing to keep."""
        record = load(self.state)
        if record is None and not holds_nothing(self.state):
            raise StackError(f"{self.state} holds no stack.json but other files: give an empty folder with --state.")
        plan = wish.over(record.plan if record else Plan())
        if record is None or (plan != record.plan and not record.formatted and not record.running):
            return Record(plan=plan, cluster_id=stack_kafka.new_id())
        if plan.adds_a_registry_to(record.plan):
            return replace(record, plan=plan)
        if plan != record.plan:
            raise StackError(
                f"The stack in {self.state} has {record.plan}, not {plan}: delete it first "
                "(`make clean`, its data goes too), or give another folder with --state."
            )
        return record

    def _start(self, record: Record, missing: Sequence[str]) -> Record:
        refuse_full_disk(self.state)
        for module in ("confluent_kafka", "redis"):
            importlib.import_module(module)
        for name in missing:
            stack_ports.refuse_taken(record.plan, name)
        redis = stack_redis.server(self.say) if "redis" in missing else ""
        java = stack_kafka.java() if missing != ["redis"] else ""
        if not {"redis", "registry"}.issuperset(missing):
            stack_jars.fetch(self.libs, stack_jars.kafka(self.pom), self.say)
        if "registry" in missing:
            stack_jars.fetch(self.registry_libs, stack_registry.bundle(), self.say)
        save(self.state, record)
        if not record.formatted:
            record = self._format(java, record)
        self.say(f"Starting {', '.join(missing)}.")
        for name in missing:
            folder = own_folder(self.state, name)
            if name == "redis":
                folder.mkdir(exist_ok=True)
                command = stack_redis.command(redis, record.plan.redis_port)
            elif name == "registry":
                stack_registry.prepare(folder)
                command = stack_registry.command(java, self.registry_libs, record.plan, record.cluster_id)
            else:
                stack_kafka.write_settings(self.state, record.plan, name, node_of(name))
                command = stack_kafka.broker_command(java, self.libs)
            with stack_processes.uninterrupted():
                process = stack_processes.launch(command, folder=folder, log=log_file(self.state, name))
                record = replace(record, processes={**record.processes, name: process})
                save(self.state, record)
        return record

    def _format(self, java: str, record: Record) -> Record:
        # The tool of a killed call may still be at work, so each call formats in a folder of its own.
        for stale in self.state.glob(f"{SCRATCH}*"):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self.state))
        try:
            names = [broker_name(node) for node in record.plan.nodes]
            for name in names:
                stack_kafka.write_settings(scratch, record.plan, name, node_of(name))
            folders = [own_folder(scratch, name) for name in names]
            stack_kafka.format_storage(java, self.libs, folders, record.plan, record.cluster_id)
            for name, folder in zip(names, folders, strict=True):
                shutil.rmtree(own_folder(self.state, name), ignore_errors=True)
                folder.rename(own_folder(self.state, name))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        record = replace(record, formatted=True)
        save(self.state, record)
        return record

    def _await_answers(self, record: Record) -> None:
        """Wait until Redis answers, each broker counts all of them as up, both coordinators work, and a registry answers.

        The brokers are asked one by one, because the others count a killed one as up until its session expires.
        """
        plan, deadline = record.plan, time.monotonic() + START_SECONDS
        steps: list[tuple[str, Callable[[], bool]]] = [("redis", lambda: self.answers(record, "redis"))]
        for node in plan.nodes:
            counts = partial(stack_kafka.sees, plan.address(node), record.cluster_id, plan.brokers)
            steps.append((broker_name(node), counts))
        steps.append((broker_name(1), partial(stack_kafka.coordinators_ready, plan.bootstrap_servers)))
        if plan.registry:
            steps.append(("registry", lambda: self.answers(record, "registry")))
        for name, ready in steps:
            while not ready():
                self.signals.check()
                for each in plan.names:
                    if each not in record.running:
                        raise StackError(f"{each} ended while it started.{log_excerpt(self.state, each)}")
                if time.monotonic() > deadline:
                    excerpt = log_excerpt(self.state, name)
                    raise StackError(f"{name} does not answer after {START_SECONDS:.0f} s.{excerpt}")
                time.sleep(stack_processes.POLL_SECONDS)

    def _end(self, names: Sequence[str] | None, patience: float) -> tuple[list[str], list[str]]:
        """End the named processes (None is all of them) and forget them; the names of the ended, and of the killed."""
        record = load(self.state)
        if record is None:
            return [], []
        names = record.plan.names if names is None else names
        chosen = {name: process for name, process in record.running.items() if name in names}
        killed = stack_processes.stop(chosen.values(), patience=patience)
        save(self.state, replace(record, processes={n: p for n, p in record.running.items() if n not in chosen}))
        return list(chosen), [name for name, process in chosen.items() if process in killed]


def holds_nothing(state: Path) -> bool:
    return all(path.name in ("lock", "stack.part") for path in state.iterdir())


def refuse_full_disk(state: Path) -> None:
    """Raise StackError where Kafka would soon stop for want of room."""
    folder = next(path for path in (state, *state.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise StackError(
            f"The disk of {folder} has {free >> 20} MiB left, and the stack wants {LEAST_FREE_BYTES >> 20}: "
            "make room, or give a folder on another disk with --state."
        )


def log_excerpt(state: Path, name: str) -> str:
    log = log_file(state, name)
    return f" Its log, {log}, ends with:\n{stack_processes.last_lines(log)}"
