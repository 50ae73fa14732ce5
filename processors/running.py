"""Runs daemons in this process until they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from eventfold.processors.collector import calm_collector
from eventfold.processors.daemon import Work, ended_by_fault
from eventfold.processors.handler.handling import handle
from eventfold.processors.log_guard import LogGuard
from eventfold.processors.projector.projecting import Projecting
from eventfold.processors.reactor.managing import Managing
from eventfold.processors.reactor.timers import timers_name
from eventfold.processors.runtime import Runtime
from eventfold.producers.process_manager import ProcessManager
from eventfold.store.slice_store import SliceStore

_LOOK_S = 0.2


def run_handler(runtime: Runtime, name: str, stop: threading.Event) -> None:
    """Run a domain's command handler until `stop` is set."""
    domain = runtime.domain(name)
    with ended_by_fault(runtime, [Work(role="handler", kind="domain", of=name, name=f"{name}.handler")]):
        SliceStore(runtime.redis).refuse_eviction()
        codec = runtime.loaded_codec()
        guard = LogGuard(runtime, [name])
        guard.refuse()
        calm_collector()
        _together([lambda: handle(runtime, domain, codec, stop), guard.runs(stop)], stop)


def run_projectors(runtime: Runtime, names: Sequence[str], pinned: Sequence[int] | None, stop: threading.Event) -> None:
    """Keep each projection's generations fed until `stop` is set or one fails (which stops the others)."""
    projections = [runtime.projection(name) for name in dict.fromkeys(names)]
    with ended_by_fault(runtime, [_projector(projection.name) for projection in projections]):
        SliceStore(runtime.redis).refuse_eviction()
        codec = runtime.loaded_codec()
        guard = LogGuard.of_projections(runtime, names)
        guard.refuse()
        calm_collector()
        running = [Projecting(runtime, projection, codec, pinned, stop) for projection in projections]
        _together([run for projecting in running for run in (projecting.live, projecting.kept)] + [guard.runs(stop)], stop)


def run_process_managers(runtime: Runtime, names: Sequence[str], stop: threading.Event) -> None:
    """React until `stop` is set or one fails (which stops the others), each with its deadlines."""
    managers = [runtime.process_manager(name) for name in dict.fromkeys(names)]
    timers = [_projector(timers_name(manager.name)) for manager in managers if manager.deadlines]
    with ended_by_fault(runtime, [*map(_manager, managers), *timers]):
        SliceStore(runtime.redis).refuse_eviction()
        codec = runtime.loaded_codec()
        guard = LogGuard(runtime, {domain for manager in managers for domain in manager.domains})
        guard.refuse()
        running = [Managing(runtime, manager, codec, stop) for manager in managers]
        calm_collector()
        _together([run for managing in running for run in managing.runs()] + [guard.runs(stop)], stop)


def _projector(name: str) -> Work:
    return Work(role="projector", kind="projection", of=name, name=name)


def _manager(manager: ProcessManager) -> Work:
    name = manager.name
    return Work(role="process-manager", kind="process_manager", of=name, name=f"{name}.process-manager")


def _together(runs: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    faults: list[BaseException] = []

    def guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as fault:
            faults.append(fault)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        # A signal that comes to another thread, or just before the wait, does not end it: its handler runs after the next.
        while thread.is_alive():
            thread.join(_LOOK_S)
    if faults:
        raise faults[0]
