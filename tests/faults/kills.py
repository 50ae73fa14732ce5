"""Killing processes at random moments that can be repeated."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

from tests.support.soak import SOAK


def seeds(long: int, fixed: Sequence[int] = (1, 2)) -> Sequence[int]:
    """A seed a round: `EVENTFOLD_SEED` alone, or fixed ones; with EVENTFOLD_SOAK so many random ones."""
    if given := os.environ.get("EVENTFOLD_SEED"):
        return [int(given)]
    if not SOAK:
        return fixed
    # The workers of one run must find the same tests; without workers there is no such name, and chance is the system's.
    chance = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))
    return [chance.randrange(1_000_000) for _ in range(long)]
