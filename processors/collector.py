"""Memory of a process that makes and drops thousands of objects a batch: the garbage collector, and what malloc keeps."""

from __future__ import annotations

import ctypes
import gc


def calm_collector(young: int = 100_000) -> None:
    """Let the collector look seldom: hardly one of a batch's objects is in a cycle. young: at how many more objects it does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, 50, 100)


def return_memory() -> None:
    """Give what malloc keeps for later back to the system; it takes up to 0.2 s, in which other threads go on.

    What one thread of a Kafka client allocates, another one frees, and glibc keeps most of that for the first one: hundreds
    of megabytes after a few reads of the log. Other C libraries have no such call, and are left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
