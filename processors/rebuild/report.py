"""What came of a replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.skips import Skip, Skips
from eventfold.kafka.topics import Topics
from eventfold.processors.rebuild.compare import Comparison
from eventfold.processors.rebuild.switching import Switched
from eventfold.schemas.names import Names
from eventfold.schemas.record import Place
from eventfold.store.builds import Build


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of a replay. `why` it was not switched, where it was not; `wanted`: whether it was to go live at all;
    `passed_over`: what nobody can read of what it folded.
    """

    build: Build
    events: int
    seconds: float
    offsets: Mapping[Place, int]
    comparison: Comparison | None
    switched: Switched | None
    why: str = ""
    wanted: bool = True
    passed_over: Sequence[Skip] = ()

    def to_json(self) -> dict[str, Any]:
        compared = self.comparison
        return {
            "projection": self.build.generation.projection,
            "generation": self.build.id,
            "version": self.build.generation.version,
            "whole": self.build.whole,
            "events": self.events,
            "seconds": round(self.seconds, 3),
            "events_per_s": round(self.events / self.seconds, 1) if self.seconds else 0.0,
            "offsets": {f"{t}/{p}": offset for (t, p), offset in sorted(self.offsets.items())},
            "compared": None if compared is None else compared.to_json(),
            "switched": self.switched is not None,
            "held_ms": None if self.switched is None else round(self.switched.held_ms, 1),
            "why": self.why,
            "passed_over": [str(skip) for skip in self.passed_over],
        }


def passed_over(kafka: KafkaSettings, topics: Topics, first: Mapping[Place, int], offsets: Mapping[Place, int]) -> list[Skip]:
    """Every skip between the offsets at which slices begin (zero, where `first` says nothing) and these next offsets.

    EventfoldError when the dead-letter topics cannot be read.
    """
    names, skips = Names(prefix=kafka.prefix), Skips(kafka)
    boxes = {place: (names.letters_of(place[0]), place[1]) for place in offsets}
    existing = topics.existing(sorted({box[0] for box in boxes.values()}))
    there = {place: box for place, box in boxes.items() if box[0] in existing and box[1] < existing[box[0]].partitions}
    # Most dead-letter topics are empty, and are not read.
    ends = topics.ends(set(there.values()), committed=True)
    found = [skip for place, box in sorted(there.items()) if ends[box] for skip in skips.of(place)]
    return [
        skip for skip in found if first.get(skip.origin[:2], 0) < skip.until and skip.origin.offset < offsets[skip.origin[:2]]
    ]
