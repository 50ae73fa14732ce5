"""The front door: mounts each room's commands, reads the settings once, builds the connections and hands them in."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import click
from confluent_kafka import KafkaException
from redis.exceptions import RedisError

import processors.cli
import processors.dead_letters.cli
import processors.gate.cli
import processors.http.cli
import processors.log.export_cli
import processors.log.tail_cli
import processors.lookup.history_cli
import processors.lookup.loading_cli
import processors.lookup.outcome_cli
import processors.rebuild.cli
import producers.cli
import projections.cli
from processors.doctor import doctor
from processors.domain import Domain
from processors.lookup.changing import Decide, change
from processors.lookup.history import History
from processors.lookup.loading import Loaded, Loader
from processors.lookup.outcome_finder import OutcomeFinder
from processors.process_manager import ProcessManager
from processors.reactor.timers import timers_of
from processors.runtime import Runtime
from producers.commands import Command
from producers.outcomes import Outcome
from producers.publish import publish
from producers.settings import LIBRDKAFKA, KafkaSettings
from producers.write_side import WriteSide
from projections.index import index_of
from projections.projection import Projection
from projections.reader import Readers
from projections.settings import RedisSettings
from schemas import plugins
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import DONE, FAILED, INTERRUPTED, USAGE, LogfoldError, UsageError
from schemas.names import Names
from schemas.position import Position
from schemas.registry.client import Registry
from schemas.registry.framing import Confluent
from schemas.registry.settings import RegistrySettings


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
        catalog = Catalog.installed(self.domain_names)
        return Codec(catalog, None if self.registry is None else Confluent(catalog, self.registry))

    @cached_property
    def registry(self) -> Registry | None:
        """The schema registry, where one is configured."""
        settings = RegistrySettings.from_environ(self._environ)
        return None if settings is None else Registry(settings)

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """Those that decide."""
        found = {name: plugins.load(plugins.PROCESSORS, name) for name in self.domain_names}
        for name, domain in found.items():
            if domain is not None and (not isinstance(domain, Domain) or domain.name != name):
                raise UsageError(f"{plugins.PROCESSORS}: {name!r} must name a processors.domain.Domain called {name!r}")
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
        found: dict[str, Projection] = {}
        for domain in self.domain_names:
            for projection in plugins.load(plugins.PROJECTIONS, domain) or ():
                if not isinstance(projection, Projection):
                    raise UsageError(f"{plugins.PROJECTIONS}: {domain!r} must name a list of projections.projection.Projection")
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
        """The index of each domain that `LOGFOLD_INDEXES` names."""
        names = plugins.indexed(self._environ, self.domain_names)
        return {name: index_of(name, self.codec.catalog.types(name, "events")) for name in names}

    @cached_property
    def write_side(self) -> WriteSide:
        return WriteSide(self.kafka, self.redis, lambda: self.codec, lambda name: name in self.domains)

    @cached_property
    def readers(self) -> Readers:
        return Readers(self.redis, self.names, list(self.projections.values()), self.history)

    def serve(self, sides: frozenset[str], host: str, port: int) -> None:
        """Serve over HTTP until told to stop."""
        # Only who serves needs what is imported here, which comes with the extra `serve`.
        try:
            serving = importlib.import_module("processors.http.serving")
        except ModuleNotFoundError as error:
            raise UsageError(f"{error.name} is not installed: pip install 'logfold[serve]'") from error
        serving.serve(
            self.runtime, self.redis_settings, self.readers, self.history, self.owners, self._environ, sides, host, port
        )

    @cached_property
    def history(self) -> History:
        return History(
            kafka=self.kafka,
            redis=self.redis,
            names=self.names,
            codec=lambda: self.codec,
            domains=self.domain_names,
            indexes=lambda: self.indexes,
        )

    @cached_property
    def runtime(self) -> Runtime:
        protocol = self._environ.get("LOGFOLD_GROUP_PROTOCOL") or "consumer"
        if protocol not in ("consumer", "classic"):
            raise UsageError(f"LOGFOLD_GROUP_PROTOCOL must be consumer or classic, not {protocol!r}")
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
            instance=self._environ.get("LOGFOLD_INSTANCE") or socket.gethostname(),
        )


class Client:
    """Submits commands and reads models from Python: `with` settings from the environment, or from a mapping."""

    def __init__(self, environ: Mapping[str, str] | None = None, source: str = "/logfold/client") -> None:
        self._installation = Installation(os.environ if environ is None else environ)
        self._sender = self._installation.write_side.sender(source)

    def submit(self, type_: str, key: str, data: Mapping[str, Any], *, timeout_s: float = 10, **more: Any) -> Outcome:
        """Send a command and wait for its outcome; `more` are the other fields of producers.commands.Command.

        UsageError when the command is wrong, NotSentError when it was refused before Kafka had it. When what becomes of it
        is unknown: OutcomeUnknownError, a TimedOutError with its `command_id`, or PublishError. Send it again with its id.
        """
        return self._sender.submit(Command(type=type_, key=key, data=data, **more), timeout_s)

    def load(
        self,
        domain: str,
        key: str,
        *,
        after: Outcome | Position | None = None,
        at: Position | int | None = None,
        timeout_s: float = 10,
    ) -> Loaded:
        """An aggregate by its id: version, state, and as of which position; version 0 for one that has no event.

        Without `at`, as the handler remembers it, once `after` is in it. That may be behind the log by what is being
        written: submit what follows from it with `expected_version`, or use `change`. at: as it was at a position or a
        version, folded from the log. The state may hold personal data.
        UsageError for a position of another partition; NotFoundError for a point that the log has not reached;
        TimedOutError when `after` did not come within `timeout_s`.
        """
        loader = self._loader(domain)
        return loader.load(key, after=after, timeout_s=timeout_s) if at is None else loader.load_at(key, at)

    def change(
        self,
        domain: str,
        key: str,
        decide: Decide,
        *,
        after: Outcome | Position | None = None,
        attempts: int = 5,
        timeout_s: float = 10,
    ) -> Outcome | None:
        """Load an aggregate, let `decide` make a command of it, and submit that with the version that was loaded.

        decide: (Loaded) -> (type, data), or None when there is nothing to do; called anew after each conflict.
        after: what must be in the aggregate that is loaded first; without it one's own last command may not be.
        None when it says None; ConflictError, with the last `outcome`, after so many attempts. Else as `submit`.
        """
        return change(self._loader(domain), self._sender, key, decide, after=after, attempts=attempts, timeout_s=timeout_s)

    def outcome(self, id: str, *, domain: str | None = None, timeout_s: float = 0) -> Outcome:
        """What became of the command `id`, up to eight days ago and more; OutcomeUnknownError when nothing is known of it.

        timeout_s: how long to wait for the decision.
        """
        return OutcomeFinder(self._installation.runtime).outcome(id, domain, timeout_s)

    def query(self, projection: str, *, after: Outcome | None = None, timeout_s: float = 10, **params: Any) -> Any:
        """Run a projection's query, once the events of `after` are folded; NotFoundError when it has no answer."""
        positions: tuple[Position, ...] = () if after is None else after.positions
        return self._installation.readers.query(projection, params, positions, timeout_s)

    def _loader(self, domain: str) -> Loader:
        known = self._installation
        return Loader(known.runtime.domain(domain), known.redis, known.names, known.history)


class FrontDoor(click.Group):
    """Commands of the rooms, and one group of commands a domain."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in _installation().domain_names if self._domain(name))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or self._domain(name)

    def _domain(self, name: str) -> click.Command | None:
        if name not in _installation().domain_names:
            return None
        commands = plugins.load(plugins.PRODUCERS, name)
        if commands is not None and not isinstance(commands, click.Command):
            raise UsageError(f"{plugins.PRODUCERS}: {name!r} must name a click group")
        return commands


@lru_cache(maxsize=1)
def _installation() -> Installation:
    installation = Installation(os.environ)
    for name in installation.domain_names:
        if name in front_door.commands:
            raise UsageError(f"a domain cannot be called {name!r}: that is a command of logfold")
    return installation


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="logfold")
@click.option("--instance", help="This daemon's name among its like, stable across restarts (LOGFOLD_INSTANCE).")
@click.pass_context
def front_door(ctx: click.Context, instance: str | None) -> None:
    """An event-sourced pipeline on Kafka: commands in, events kept for ever, read models that can be rebuilt."""
    if instance:
        os.environ["LOGFOLD_INSTANCE"] = instance
    installation = _installation()
    ctx.meta[producers.cli.META] = installation.write_side
    ctx.meta[projections.cli.META] = installation.readers
    ctx.meta[processors.cli.META] = installation.runtime
    ctx.meta[processors.lookup.history_cli.META] = installation.history
    ctx.meta[processors.http.cli.META] = installation.serve


for _command in (
    projections.cli.query,
    projections.cli.digest_command,
    processors.cli.run,
    processors.cli.lag,
    processors.cli.status,
    processors.cli.topics,
    processors.dead_letters.cli.dead_letters,
    processors.gate.cli.schemas,
    processors.http.cli.serve,
    processors.log.tail_cli.tail,
    processors.log.export_cli.export,
    processors.log.export_cli.import_log,
    processors.lookup.history_cli.history,
    processors.lookup.history_cli.event,
    processors.lookup.outcome_cli.outcome,
    processors.lookup.loading_cli.aggregate,
    processors.rebuild.cli.replay,
    processors.rebuild.cli.verify,
    processors.rebuild.cli.generations,
    processors.rebuild.cli.rollback,
    processors.rebuild.cli.build_worker,
    doctor,
    publish,
):
    front_door.add_command(_command)


def main() -> None:
    """Run the command line; whatever goes wrong ends in one sentence on stderr and an exit code."""
    # librdkafka's own lines are for daemons, which log them; a command says what went wrong itself.
    logging.getLogger(LIBRDKAFKA).setLevel(logging.CRITICAL)
    try:
        code = front_door.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", INTERRUPTED)
    except LogfoldError as error:
        _fail(str(error), error.exit_code)
    except KafkaException as error:
        _fail(f"Kafka at {KafkaSettings.from_environ(os.environ).bootstrap}: {error.args[0].str()}", FAILED)
    except RedisError as error:
        _fail(f"Redis at {RedisSettings.from_environ(os.environ).shown}: {error}", FAILED)
    except UnicodeEncodeError as error:
        _fail(f"{error.object!r} is not Unicode text", USAGE)
    except BrokenPipeError:
        # Whoever read our output has seen enough; stdout must not be flushed into the broken pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else DONE)


def _fail(message: str, code: int) -> None:
    click.echo(f"logfold: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
