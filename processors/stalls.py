"""The partitions of a daemon that stand still at an event that failed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from structlog.typing import FilteringBoundLogger

from eventfold.processors.attempts import Attempts
from eventfold.processors.places import by_name
from eventfold.schemas.failure import Policy
from eventfold.schemas.record import Place


class Stalls:
    """Which partitions stand still, as a failure policy says: for a while, or until a person mends the event.

    It keeps the account only: pausing the consumer, and seeking it where an event is to be tried again, is the owner's part.
    """

    def __init__(self, policy: Policy, log: FilteringBoundLogger) -> None:
        self._attempts = Attempts(policy)
        self._log = log
        self._stalled: dict[Place, str] = {}
        self._due: dict[Place, float] = {}
        self._retrying: dict[Place, tuple[int, str]] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._stalled or place in self._due

    def parks(self, place: Place, offset: int) -> bool:
        """Whether the event, which fails right now, is to be parked and passed."""
        return self._attempts.parks(place, offset)

    def stand(self, place: Place, offset: int, error: str) -> None:
        """Count a failure of an event that is not to be passed: its partition stands still there, and nowhere else."""
        self.go_on([place])
        pause_s = self._attempts.failed(place, offset)
        if pause_s is None:
            self._log.error("the partition stands still", error=error)
            self._stalled[place] = error
            self._retrying.pop(place, None)
        else:
            tried = self._attempts.shown(place, offset)
            self._log.warning("trying again later", error=error, tried=tried, again_in_s=round(pause_s, 3))
            self._due[place] = time.monotonic() + pause_s
            self._retrying[place] = offset, f"{error} ({tried})"

    def due(self) -> list[Place]:
        """The partitions whose event is to be tried again now; they stand still no more."""
        due = [place for place, at in self._due.items() if at <= time.monotonic()]
        self.go_on(due)
        return due

    def passed(self, offsets: Mapping[Place, int]) -> None:
        """Forget the failures of events before these offsets, which are done with."""
        self._attempts.passed(offsets)
        for place, end in offsets.items():
            if place in self._retrying and self._retrying[place][0] < end:
                del self._retrying[place]

    def go_on(self, places: Collection[Place]) -> None:
        """These partitions are read again; how often their events failed is remembered."""
        for place in places:
            self._stalled.pop(place, None)
            self._due.pop(place, None)

    def forget(self, places: Collection[Place]) -> None:
        """These partitions are another one's now."""
        self.go_on(places)
        self._attempts.forget(places)
        for place in places:
            self._retrying.pop(place, None)

    def status(self) -> dict[str, dict[str, str]]:
        """The errors at which partitions stand still (`stalled`), or that are tried again until one passes (`retrying`), by
        `topic/partition`.
        """
        return {
            "stalled": by_name(self._stalled),
            "retrying": by_name({place: error for place, (_, error) in self._retrying.items()}),
        }
