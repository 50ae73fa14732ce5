"""Killing processes at random moments that can be repeated."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

SOAK = bool(os.environ.get("EVENTFOLD_SOAK"))


def seeds(short: int, long: int) -> Sequence[int]:
    """A seed a round: `EVENTFOLD_SEED` alone, or random ones; more of them when EVENTFOLD_SOAK is set."""
    if given := os.environ.get("EVENTFOLD_SEED"):
        return [int(given)]
    # The workers of one run must find the same tests; without workers there is no such name, and chance is the system's.
    chance = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))
    return [chance.randrange(1_000_000) for _ in range(long if SOAK else short)]
