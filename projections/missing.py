"""Why a read model may lack what was asked for: its slices are behind the log, or keys of it are parked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from eventfold.projections.reader import Reader
from eventfold.schemas.errors import NotFoundError, Transient
from eventfold.schemas.record import Place

Ends = Callable[[Collection[Place]], Mapping[Place, int]]
"""The end of what is committed in each partition of the log; Transient when Kafka does not tell."""

_SHOWN = 3


class NoAnswerError(NotFoundError):
    """A read model has nothing of what was asked for.

    behind: how many offsets of the log are not folded yet, by `topic/partition`, of the partitions in which it may lie.
    """

    def __init__(self, text: str, behind: Mapping[str, int] | None = None) -> None:
        super().__init__(text)
        self.behind = dict(behind or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Says what an empty answer may lack. ends: where the log ends, None where these readers know no log."""

    ends: Ends | None = None

    def error(self, reader: Reader, key: str | None, given: str, parked_keys: int) -> NoAnswerError:
        """The error of a query that found nothing. key: of the one aggregate that was asked for, where it was one."""
        name = reader.projection.name
        text = f"{name} has no {given!r}"
        if parked_keys:
            keys = f"{parked_keys} keys are" if parked_keys > 1 else "1 key is"
            text += f"; {keys} parked, and rows lack their events: see `eventfold dead-letters list --owner {name}`"
        if self.ends is None:
            return NoAnswerError(text)
        folded = reader.folded(key)
        try:
            ends = self.ends(folded)
        except Transient as fault:
            return NoAnswerError(f"{text}; whether it is behind the log is not known: {fault}")
        behind = {place: end - folded[place] for place, end in sorted(ends.items()) if end > folded[place]}
        if behind:
            places = [f"{t}/{p} is folded up to offset {folded[t, p]} of {ends[t, p]}" for t, p in behind]
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            text += (
                f"; but it is behind the log: {', '.join(places[:_SHOWN])}{more}: ask again, or see `eventfold status` for "
                "the daemon that folds it"
            )
        return NoAnswerError(text, {f"{topic}/{partition}": left for (topic, partition), left in behind.items()})
