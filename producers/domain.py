"""What a domain declares for the daemons, under the entry point `eventfold.processors`."""

from __future__ import annotations

from dataclasses import dataclass

from eventfold.producers.decider import Decider
from eventfold.producers.process_manager import ProcessManager
from eventfold.schemas.names import checked_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain with a write side of its own: its handler alone writes `<name>.events`, by this decider.

    process_managers: those that the domain brings along; they may react to other domains too.
    A domain of pure facts declares none; its events are published directly.
    """

    name: str
    decider: Decider
    process_managers: tuple[ProcessManager, ...] = ()

    def __post_init__(self) -> None:
        checked_name(self.name, "domain")
