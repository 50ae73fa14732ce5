"""What a domain declares for the daemons, under the entry point `logfold.processors`."""

from __future__ import annotations

from dataclasses import dataclass

from producers.decider import Decider
from schemas.names import checked_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain with a write side of its own: its handler alone writes `<name>.events`, by this decider.

    A domain of pure facts declares none; its events are published directly.
    """

    name: str
    decider: Decider

    def __post_init__(self) -> None:
        checked_name(self.name, "domain")
