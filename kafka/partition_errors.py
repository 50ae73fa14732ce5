"""What a consumer reports of its partitions in place of records.

Each error is told once in the log, and stands in the status for as long as it lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from confluent_kafka import KafkaError

from eventfold.kafka.errors import said
from eventfold.kafka.skips import Skips, is_unreadable, nobody_can_read
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place

# The client repeats an error twice a second.
_OVER_S = 10.0
_LOOK_S = 2.0
log = structlog.get_logger("consumer")


@dataclass(slots=True)
class _Met:
    """An error, when it came last, and when a skip was looked for last (monotonic seconds)."""

    at: Position
    words: str
    unreadable: bool
    came: float = 0.0
    looked: float = float("-inf")
    note: str = ""


class PartitionErrors:
    """The errors of one consumer's partitions.

    One that says that nobody can read a record lasts until the consumer gets past that record. Any other one is over when the
    client has not repeated it for ten seconds.
    """

    def __init__(self, skips: Skips, clock: Callable[[], float] = time.monotonic) -> None:
        self._skips = skips
        self._clock = clock
        self._met: dict[Place, _Met] = {}

    def met(self, at: Position, error: KafkaError) -> int | None:
        """Note an error; the offset to go on from where a person lets readers pass over what they cannot read, else None."""
        now, place, unreadable = self._clock(), (at.topic, at.partition), is_unreadable(error)
        words = nobody_can_read(at, error) if unreadable else said(error)
        before = self._met.get(place)
        again = before is not None and before.words == words and (unreadable or now - before.came < _OVER_S)
        met = before if before is not None and again else _Met(at, words, unreadable)
        self._met[place] = met
        met.came = now
        if unreadable and now - met.looked > _LOOK_S:
            until = self._skipped(met)
            met.looked = self._clock()
            if until is not None:
                del self._met[place]
                log.warning("passing over what nobody can read", since=str(at), until=until, error=said(error))
                return until
        if not again and unreadable:
            log.error("the partition stands still", error=words)
        elif not again:
            log.warning("kafka says", partition=f"{at.topic}/{at.partition}", error=words)
        return None

    def _skipped(self, met: _Met) -> int | None:
        met.note = ""
        try:
            return self._skips.until(met.at)
        except EventfoldError as fault:
            # It is looked for again; that the partition stands still is what matters.
            met.note = f" (whether to pass over them is not known: {fault})"
            return None

    def passed(self, place: Place, offset: int) -> None:
        """Forget what lies before an offset that was read."""
        met = self._met.get(place)
        if met is not None and offset > met.at.offset:
            del self._met[place]

    def gone(self, places: Collection[Place]) -> None:
        """Forget partitions that were taken away."""
        for place in places:
            self._met.pop(place, None)

    def __bool__(self) -> bool:
        return bool(self._met)

    def standing(self) -> dict[Place, Position]:
        """Where partitions stand since nobody can read what lies there."""
        return {place: met.at for place, met in self._met.items() if met.unreadable}

    def stalled(self) -> dict[Place, str]:
        """Why those partitions stand still, in a sentence that says what to do."""
        return {place: f"{met.words}{met.note}" for place, met in self._met.items() if met.unreadable}

    def passing(self) -> str:
        """Everything else that was reported of late; empty when nothing was."""
        recent = self._clock() - _OVER_S
        found = [(place, met) for place, met in sorted(self._met.items()) if not met.unreadable and met.came > recent]
        return "; ".join(f"{topic}/{partition}: {met.words}" for (topic, partition), met in found)
