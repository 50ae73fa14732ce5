"""Runs daemons in this process until they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from eventfold.processors.collector import calm_collector
from eventfold.processors.handler.handling import handle
from eventfold.processors.projector.projecting import Projecting
from eventfold.processors.reactor.managing import Managing
from eventfold.processors.runtime import Runtime
from eventfold.store.slice_store import SliceStore

_LOOK_S = 0.2


def run_handler(runtime: Runtime, name: str, stop: threading.Event) -> None:
    """Run a domain's command handler until `stop` is set."""
    SliceStore(runtime.redis).refuse_eviction()
    domain, codec = runtime.domain(name), runtime.loaded_codec()
    calm_collector()
    handle(runtime, domain, codec, stop)


def run_projectors(runtime: Runtime, names: Sequence[str], pinned: Sequence[int] | None, stop: threading.Event) -> None:
    """Keep each projection's generations fed until `stop` is set or one fails (which stops the others)."""
    SliceStore(runtime.redis).refuse_eviction()
    projections = [runtime.projection(name) for name in dict.fromkeys(names)]
    codec = runtime.loaded_codec()
    calm_collector()
    running = [Projecting(runtime, projection, codec, pinned, stop) for projection in projections]
    _together([run for projecting in running for run in (projecting.live, projecting.kept)], stop)


def run_process_managers(runtime: Runtime, names: Sequence[str], stop: threading.Event) -> None:
    """React until `stop` is set or one fails (which stops the others), each with its deadlines."""
    SliceStore(runtime.redis).refuse_eviction()
    managers = [runtime.process_manager(name) for name in dict.fromkeys(names)]
    codec = runtime.loaded_codec()
    running = [Managing(runtime, manager, codec, stop) for manager in managers]
    calm_collector()
    _together([run for managing in running for run in managing.runs()], stop)


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
