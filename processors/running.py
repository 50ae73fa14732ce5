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
from eventfold.schemas.codec import Codec
from eventfold.store.slice_store import SliceStore

_LOOK_S = 0.2
Run = Callable[[], None]


def run_handler(runtime: Runtime, name: str, stop: threading.Event) -> None:
    """Run a domain's command handler until `stop` is set."""
    domain = runtime.domain(name)
    work = Work(role="handler", kind="domain", of=name, name=f"{name}.handler")
    _run(runtime, [work], LogGuard(runtime, [name]), lambda codec: [lambda: handle(runtime, domain, codec, stop)], stop)


def run_projectors(runtime: Runtime, names: Sequence[str], pinned: Sequence[int] | None, stop: threading.Event) -> None:
    """Keep each projection's generations fed until `stop` is set or one fails (which stops the others)."""
    projections = [runtime.projection(name) for name in dict.fromkeys(names)]

    def runs(codec: Codec) -> list[Run]:
        running = [Projecting(runtime, projection, codec, pinned, stop) for projection in projections]
        return [run for projecting in running for run in (projecting.live, projecting.kept)]

    works = [_projector(projection.name) for projection in projections]
    _run(runtime, works, LogGuard.of_projections(runtime, names), runs, stop)


def run_process_managers(runtime: Runtime, names: Sequence[str], stop: threading.Event) -> None:
    """React until `stop` is set or one fails (which stops the others), each with its deadlines."""
    managers = [runtime.process_manager(name) for name in dict.fromkeys(names)]
    timers = [_projector(timers_name(manager.name)) for manager in managers if manager.deadlines]

    def runs(codec: Codec) -> list[Run]:
        return [run for manager in managers for run in Managing(runtime, manager, codec, stop).runs()]

    guard = LogGuard(runtime, {domain for manager in managers for domain in manager.domains})
    _run(runtime, [*map(_manager, managers), *timers], guard, runs, stop)


def _run(
    runtime: Runtime, works: Sequence[Work], guard: LogGuard, runs: Callable[[Codec], list[Run]], stop: threading.Event
) -> None:
    """Check what daemons need before they begin, then run them, and the guard of their topics beside them."""
    with ended_by_fault(runtime, works):
        SliceStore(runtime.redis).refuse_eviction()
        codec = runtime.loaded_codec()
        guard.refuse()
        calm_collector()
        _together([*runs(codec), lambda: guard.watch(stop)], stop)


def _projector(name: str) -> Work:
    return Work(role="projector", kind="projection", of=name, name=name)


def _manager(manager: ProcessManager) -> Work:
    name = manager.name
    return Work(role="process-manager", kind="process_manager", of=name, name=f"{name}.process-manager")


def _together(runs: Sequence[Run], stop: threading.Event) -> None:
    faults: list[BaseException] = []

    def guarded(run: Run) -> None:
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
