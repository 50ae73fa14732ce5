"""What every daemon and job is made of: the settings, connections and declarations of this installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eventfold.kafka.schema_registry import Registry
from eventfold.kafka.settings import KafkaSettings
from eventfold.processors.reactor.timers import timers_name
from eventfold.producers.domain import Domain
from eventfold.producers.process_manager import ProcessManager
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from eventfold.schemas.names import Names
from eventfold.store.connection import Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What every daemon is made of.

    registry: where one is configured. domains: those with a handler, by name. domain_names: all enabled ones.
    process_managers: those that the domains bring along, by name; the projections of their timers are among `projections`.
    protocol: of consumer groups, `consumer` (KIP-848) or `classic`. instance: this daemon's name among its like; stable
    across restarts.
    """

    kafka: KafkaSettings
    redis: Redis
    names: Names
    codec: Callable[[], Codec]
    registry: Registry | None
    domains: Mapping[str, Domain]
    domain_names: Sequence[str]
    projections: Mapping[str, Projection]
    process_managers: Mapping[str, ProcessManager]
    protocol: str
    instance: str

    def projection(self, name: str) -> Projection:
        """A declared projection; UsageError when there is none of that name."""
        if name not in self.projections:
            raise UsageError(f"no projection is called {name!r}; there are: {', '.join(sorted(self.projections))}")
        return self.projections[name]

    def domain(self, name: str) -> Domain:
        """A domain that decides; UsageError when there is none of that name."""
        if name not in self.domains:
            raise UsageError(f"no domain {name!r} declares a decider; there are: {', '.join(sorted(self.domains)) or 'none'}")
        return self.domains[name]

    def process_manager(self, name: str) -> ProcessManager:
        """A declared process manager; UsageError when there is none of that name."""
        if name not in self.process_managers:
            there = ", ".join(sorted(self.process_managers)) or "none"
            raise UsageError(f"no process manager is called {name!r}; there are: {there}")
        return self.process_managers[name]

    @property
    def hosted(self) -> set[str]:
        """The projections that the daemon of a process manager keeps: those of its timers."""
        return {timers_name(name) for name, manager in self.process_managers.items() if manager.deadlines}

    def loaded_codec(self) -> Codec:
        """The codec for who runs on: what it may need of a schema registry is asked for now, and never again."""
        codec = self.codec()
        codec.load()
        return codec
