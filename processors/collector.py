"""Python's garbage collector in a process that makes and drops thousands of objects a batch."""

from __future__ import annotations

import gc


def calm_collector(young: int = 100_000) -> None:
    """Let the collector look seldom: hardly one of a batch's objects is in a cycle. young: at how many more objects it does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, 50, 100)
