"""The installed domains, and the connections that the environment names."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from eventfold.kafka.settings import KafkaSettings
from eventfold.producers.domain import Domain
from eventfold.projections.projection import Projection
from eventfold.schemas import plugins
from eventfold.schemas.errors import UsageError
from eventfold.schemas.names import Names
from eventfold.store.connection import RedisSettings

# What only some commands need is imported where it is made: a query, or `--help`, takes a third of the time without it.
if TYPE_CHECKING:
    from eventfold.kafka.log_ends import LogEnds
    from eventfold.kafka.schema_registry import Registry
    from eventfold.processors.lookup.history import History
    from eventfold.processors.runtime import Runtime
    from eventfold.producers.process_manager import ProcessManager
    from eventfold.producers.write_side import WriteSide
    from eventfold.projections.queries import Readers
    from eventfold.schemas.codec import Codec


class Installation:
    """The installed domains and the connections that the environment names; everything is made when first used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.kafka = KafkaSettings.from_environ(environ)
        self.redis_settings = RedisSettings.from_environ(environ)
        self.redis = self.redis_settings.connect()
        self.names = Names(prefix=self.kafka.prefix)
        self.domain_names = plugins.domains(plugins.enabled(environ))

    @cached_property
    def codec(self) -> Codec:
        from eventfold.schemas.catalog import Catalog
        from eventfold.schemas.codec import Codec
        from eventfold.schemas.registry.framing import Confluent

        catalog = Catalog.installed(self.domain_names)
        return Codec(catalog, None if self.registry is None else Confluent(catalog, self.registry))

    @cached_property
    def registry(self) -> Registry | None:
        """The schema registry, where one is configured."""
        from eventfold.schemas.registry.settings import RegistrySettings

        settings = RegistrySettings.from_environ(self._environ)
        if settings is None:
            return None
        from eventfold.kafka.schema_registry import Registry

        return Registry(settings)

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """Those that decide."""
        found = {name: plugins.load(plugins.PROCESSORS, name) for name in self.domain_names}
        for name, domain in found.items():
            if domain is not None and (not isinstance(domain, Domain) or domain.name != name):
                raise UsageError(f"{plugins.PROCESSORS}: {name!r} must name an eventfold.Domain called {name!r}")
        return {name: domain for name, domain in found.items() if domain is not None}

    @cached_property
    def process_managers(self) -> dict[str, ProcessManager]:
        """Every process manager by name; UsageError when two domains use one name."""
        found: dict[str, ProcessManager] = {}
        for domain in self.domains.values():
            for manager in domain.process_managers:
                if manager.name in found:
                    raise UsageError(f"two process managers are called {manager.name!r}; rename the one of {domain.name!r}")
                found[manager.name] = manager
        return found

    @cached_property
    def owners(self) -> dict[str, str]:
        """The domain of each projection that a domain declares."""
        loaded = {domain: plugins.load(plugins.PROJECTIONS, domain) or () for domain in self.domain_names}
        return {projection.name: domain for domain, found in loaded.items() for projection in found}

    @cached_property
    def projections(self) -> dict[str, Projection]:
        """Every projection by name, those of timers and indexes among them; UsageError when one name is used twice."""
        from eventfold.processors.reactor.timers import timers_of

        found: dict[str, Projection] = {}
        for domain in self.domain_names:
            for projection in plugins.load(plugins.PROJECTIONS, domain) or ():
                if not isinstance(projection, Projection):
                    raise UsageError(f"{plugins.PROJECTIONS}: {domain!r} must name a list of eventfold.Projection")
                if projection.name in found:
                    raise UsageError(f"two projections are called {projection.name!r}; rename the one of {domain!r}")
                found[projection.name] = projection
        for domain, index in self.indexes.items():
            if index.name in found:
                raise UsageError(f"two projections are called {index.name!r}: the index of {domain!r} is; rename the other")
            found[index.name] = index
        for manager in self.process_managers.values():
            timers = timers_of(manager)
            if timers is not None:
                if timers.name in found:
                    raise UsageError(f"two projections are called {timers.name!r}: that of the timers of {manager.name!r} is")
                found[timers.name] = timers
        return found

    @cached_property
    def indexes(self) -> dict[str, Projection]:
        """The index of each domain that `EVENTFOLD_INDEXES` names."""
        names = plugins.indexed(self._environ, self.domain_names)
        if not names:
            return {}
        from eventfold.projections.index import index_of

        return {name: index_of(name, self.codec.catalog.types(name, "events")) for name in names}

    @cached_property
    def write_side(self) -> WriteSide:
        from eventfold.producers.write_side import WriteSide

        return WriteSide(self.kafka, self.redis, lambda: self.codec, lambda name: name in self.domains)

    @cached_property
    def readers(self) -> Readers:
        from eventfold.projections.queries import Readers

        return Readers(
            self.redis, self.names, list(self.projections.values()), lambda: self.history, ends=lambda places: self.ends(places)
        )

    @cached_property
    def ends(self) -> LogEnds:
        """Where the log ends, for readers that found nothing."""
        from eventfold.kafka.log_ends import LogEnds

        return LogEnds(self.kafka)

    def serve(self, sides: frozenset[str], host: str, port: int) -> None:
        """Serve over HTTP until told to stop."""
        # Only who serves needs what is imported here, which comes with the extra `serve`.
        try:
            serving = importlib.import_module("eventfold.web.serving")
        except ModuleNotFoundError as error:
            raise UsageError(f"{error.name} is not installed: pip install 'eventfold[serve]'") from error
        serving.serve(self.runtime, self.redis_settings, self.history, self.owners, self._environ, sides, host, port)

    @cached_property
    def history(self) -> History:
        from eventfold.processors.lookup.history import History

        return History(
            kafka=self.kafka,
            redis=self.redis,
            names=self.names,
            codec=lambda: self.codec,
            domains=self.domain_names,
            indexes=lambda: self.indexes,
            owners=self._owners,
        )

    def _owners(self, topic: str) -> list[str]:
        """Whose generations fold a topic (without the prefix)."""
        from eventfold.processors.handler.handover import ledger_name

        domain = self.domains.get(topic.removesuffix(".events"))
        ledgers = [] if domain is None else [ledger_name(domain)]
        return ledgers + [name for name, projection in self.projections.items() if topic in projection.topics]

    @cached_property
    def runtime(self) -> Runtime:
        from eventfold.processors.runtime import Runtime

        protocol = self._environ.get("EVENTFOLD_GROUP_PROTOCOL") or "consumer"
        if protocol not in ("consumer", "classic"):
            raise UsageError(f"EVENTFOLD_GROUP_PROTOCOL must be consumer or classic, not {protocol!r}")
        return Runtime(
            kafka=self.kafka,
            redis=self.redis,
            names=self.names,
            codec=lambda: self.codec,
            registry=self.registry,
            domains=self.domains,
            domain_names=self.domain_names,
            projections=self.projections,
            process_managers=self.process_managers,
            protocol=protocol,
            instance=self._environ.get("EVENTFOLD_INSTANCE") or socket.gethostname(),
        )
