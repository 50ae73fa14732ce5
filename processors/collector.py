"""Python's garbage collector in a process that makes and drops thousands of objects a batch."""

from __future__ import annotations

import gc


def calm_collector() -> None:
    """Let the collector look seldom: hardly one of a batch's objects is in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
