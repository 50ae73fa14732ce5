"""Counts the faults that a daemon meets in a row, and says how long it waits before the next try and what its status tells."""

from __future__ import annotations

import time
from collections.abc import Callable

from eventfold.processors.patience import outlook, raise_lasting
from eventfold.schemas.errors import NoAnswer, Outlook, Transient

MOST_UNKNOWN = 30
"""How many faults of unknown kind in a row end the daemon; with the pauses between them that takes two minutes."""
_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_CALM_S = 10.0


class Trouble:
    """Counts faults until work is done again, or none came for ten seconds.

    A fault of Kafka or Redis is in the status from the first time on; a fault that another writer caused (the slice moved on)
    only from the second time on, since loading again usually mends it.
    """

    def __init__(self, told: Callable[[Exception], str]) -> None:
        """told: the sentence about a fault."""
        self._told = told
        self._count = 0
        self._unknown = 0
        self._last = 0.0
        self._said = ""

    def came(self, fault: Exception) -> float:
        """Count a fault; how many seconds to wait before the next try.

        Raises one that lasts, and one of which nobody knows whether it passes, once it came too often.
        """
        raise_lasting(fault)
        ours = isinstance(fault, Transient) and not isinstance(fault, NoAnswer)
        self._note(fault, 1 if ours else 2)
        if outlook(fault) is Outlook.UNKNOWN:
            self._unknown += 1
            if self._unknown > MOST_UNKNOWN:
                raise fault
        # What another writer did is mended by loading again, so there is nothing to wait for.
        return 0 if ours else min(_PAUSE_S * 2.0 ** (self._count - 2), _LONGEST_PAUSE_S)

    def waits(self, fault: Exception) -> None:
        """Note a fault that the daemon waits out."""
        self._note(fault, 2)

    def passed(self, done: int) -> None:
        """Note a turn of the worker's loop without a fault; done: how many records it worked on."""
        if self._count and (done or time.monotonic() - self._last > _CALM_S):
            self._count = self._unknown = 0

    def status(self) -> dict[str, str]:
        """The fault that the daemon waits out, as `trouble`; empty when there is none."""
        return {"trouble": self._said} if self._count > 1 else {}

    def _note(self, fault: Exception, least: int) -> None:
        self._count = max(self._count + 1, least)
        self._last, self._said = time.monotonic(), self._told(fault)
