"""What stands in the way of a daemon's work: faults since it last went on, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

from eventfold.processors.patience import outlook, raise_lasting
from eventfold.schemas.errors import NoAnswer, Outlook, Transient

MOST_UNKNOWN = 30
"""So often a fault comes, with two minutes of pauses between, of which nobody knows whether it passes."""
_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_CALM_S = 10.0


class Trouble:
    """Counts faults until work is done again, or none came for ten seconds.

    Those who look are told of what a server has to do with at once, and of what another writer did when it comes again.
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
        # What another writer did is seen at once when all is read again.
        return 0 if ours else min(_PAUSE_S * 2.0 ** (self._count - 2), _LONGEST_PAUSE_S)

    def waits(self, fault: Exception) -> None:
        """It is being waited for that this one passes."""
        self._note(fault, 2)

    def passed(self, done: int) -> None:
        """A turn went well, in which so much was done."""
        if self._count and (done or time.monotonic() - self._last > _CALM_S):
            self._count = self._unknown = 0

    def status(self) -> dict[str, str]:
        """What it waits for, as `trouble`, if for anything."""
        return {"trouble": self._said} if self._count > 1 else {}

    def _note(self, fault: Exception, least: int) -> None:
        self._count = max(self._count + 1, least)
        self._last, self._said = time.monotonic(), self._told(fault)
