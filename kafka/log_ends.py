"""Where the log ends, for those who ask often and shall wait for nothing long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from functools import cached_property

from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.schemas.errors import Transient
from eventfold.schemas.record import Place

FRESH_S = 1.0
_TIMEOUT_S = 2.0


class LogEnds:
    """Asks Kafka for the end of a partition once a second at most, whoever asks; several threads may."""

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asking = threading.Lock()
        self._known: dict[Place, tuple[float, int]] = {}
        self._fault: tuple[float, str] = (-FRESH_S, "")

    @cached_property
    def _topics(self) -> Topics:
        return Topics(self._settings, timeout_s=_TIMEOUT_S)

    def __call__(self, places: Collection[Place]) -> dict[Place, int]:
        """The end of what is committed in each partition, of now or of a second ago; Transient when Kafka did not tell."""
        with self._asking:
            now = self._clock()
            since, fault = self._fault
            if now - since < FRESH_S:
                raise Transient(fault)
            old = [place for place in places if place not in self._known or now - self._known[place][0] >= FRESH_S]
            try:
                found = self._topics.ends(old, committed=True)
            except Transient as error:
                self._fault = self._clock(), str(error)
                raise
            self._known |= {place: (now, end) for place, end in found.items()}
            return {place: self._known[place][1] for place in places}
