"""SIGINT and SIGTERM: raised where they arrive, and noted as well.

An exception that is raised while C calls back into Python (confluent_kafka does) can be swallowed there; what was noted
is raised again by the next `check`.
"""

from __future__ import annotations

import signal
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The call was told to end; no `except Exception` may hold it up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Signals:
    """What this process was told."""

    def __init__(self) -> None:
        self._noted: int | None = None

    def catch(self) -> None:
        """From here on a signal is Interrupted."""
        for number in NUMBERS:
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise Interrupted if a signal came before."""
        if self._noted is not None:
            raise Interrupted(self._noted)

    def ignore(self) -> None:
        """What was asked for is done: a signal that came before is Interrupted still, a later one changes nothing."""
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._noted = number
        raise Interrupted(number)
