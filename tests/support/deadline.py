"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_S = 45.0


def eventually(condition: Callable[[], T], what: str, timeout_s: float = DEADLINE_S, pause_s: float = 0.05) -> T:
    """The first true value of `condition`; AssertionError naming `what` when it stays false."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what} (last: {value!r})"
        time.sleep(pause_s)
    return value
