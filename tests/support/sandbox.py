"""A test's own corner of the stack: a topic prefix, a Redis database, daemons, and what to look at them with."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from redis import Redis

from eventfold import Client
from eventfold.installation import Installation
from eventfold.projections.reader import Reader
from eventfold.store.heartbeats import daemons
from eventfold.tools.lag import lags
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.local_stack import LocalStack, clean_environ
from tests.support.process import run

_NUMBERS = itertools.count(1)
CATCH_UP_S = 60.0
_LEAVE_S = 15


class Sandbox:
    """Everything under one `EVENTFOLD_TOPIC_PREFIX` and one Redis database.

    prefix: of an existing sandbox, to read its topics from a Redis of one's own; with its database, to look at all of it.
    """

    def __init__(
        self, stack: LocalStack, folder: Path, database: int, prefix: str, settings: Mapping[str, str], *, made: bool = False
    ) -> None:
        """made: whether what lies in the database is to stay."""
        self.stack = stack
        self.folder = folder
        self.prefix = prefix
        self.database = database
        self.environ = {
            **clean_environ(),
            "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
            "REDIS_URL": stack.redis_url(database),
            "EVENTFOLD_TOPIC_PREFIX": prefix,
            "EVENTFOLD_INSTANCE": "one",
            "EVENTFOLD_DOMAINS": "flights",
            **settings,
        }
        self.redis = Redis.from_url(self.environ["REDIS_URL"])
        if not made:
            self.redis.flushdb()
        self.daemons: list[Daemon] = []
        self.closed = False

    # -- the command line ----------------------------------------------------------------------------------------------

    def run(self, *args: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """`eventfold <args>` to its end."""
        return run(args, {**self.environ, **(environ or {})}, self.folder, stdin)

    def ok(self, *args: str, stdin: str = "") -> str:
        """What a command that must succeed prints."""
        done = self.run(*args, stdin=stdin)
        assert done.returncode == 0, f"eventfold {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *args: str) -> Any:
        """What a command that must succeed prints as JSON."""
        return json.loads(self.ok(*args, "--json"))

    def fails(self, code: int, *args: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> str:
        """The one sentence with which a command must end, with that exit code."""
        return sentence(self.run(*args, stdin=stdin, environ=environ), code)

    # -- daemons -------------------------------------------------------------------------------------------------------

    def start(self, *args: str, **environ: str) -> Daemon:
        """`eventfold <args>` as a daemon; it is killed at the end of the test, if it still runs."""
        log_file = self.folder / f"{next(_NUMBERS)}-{'-'.join(args).replace('/', '_')}.log"
        daemon = Daemon(args, {**self.environ, **environ}, log_file)
        self.daemons.append(daemon)
        return daemon

    def handler(self, instance: str = "one", domain: str = "flights", **environ: str) -> Daemon:
        """A handler that has its first partitions."""
        daemon = self.start("--instance", instance, "run", "handler", domain, **environ)
        daemon.wait_for_log("assigned")
        return daemon

    def projector(self, *names: str, **environ: str) -> Daemon:
        """A projector of each projection that has its first partitions."""
        daemon = self.start("run", "projector", *names, **environ)
        daemon.wait_for_log("assigned", times=len(names))
        return daemon

    def process_manager(self, name: str, instance: str = "one", **environ: str) -> Daemon:
        """A process manager that has its first partitions."""
        daemon = self.start("--instance", instance, "run", "process-manager", name, **environ)
        daemon.wait_for_log(f"event=assigned process_manager={name}")
        return daemon

    def start_all(self) -> list[Daemon]:
        """What `eventfold run all` runs, with all projectors in one process; each has its partitions."""
        known = self.installation
        handlers = [self.start("run", "handler", domain) for domain in known.domains]
        projections = [name for name in known.projections if name not in known.runtime.hosted]
        projector = self.start("run", "projector", *projections)
        managers = [self.start("run", "process-manager", name) for name in known.process_managers]
        for handler in handlers:
            handler.wait_for_log("event=assigned")
        for name, manager in zip(known.process_managers, managers, strict=True):
            manager.wait_for_log(f"event=assigned process_manager={name}")
        projector.wait_for_log("event=assigned", times=len(projections))
        return [*handlers, projector, *managers]

    # -- looking -------------------------------------------------------------------------------------------------------

    @cached_property
    def installation(self) -> Installation:
        return Installation(self.environ)

    @cached_property
    def client(self) -> Client:
        return Client(self.environ)

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.stack.bootstrap, "log_level": 0})

    @cached_property
    def producer(self) -> Producer:
        return self.new_producer()

    def new_producer(self, **more: Any) -> Producer:
        """A producer of no part of eventfold, which partitions as Java's does."""
        return Producer({"bootstrap.servers": self.stack.bootstrap, "partitioner": "murmur2_random", "log_level": 0, **more})

    def create_topics(self, partitions: int = 2) -> None:
        self.ok("topics", "create", "--partitions", str(partitions))

    def configure(self, name: str, **settings: str) -> None:
        """Change a topic's settings, and return once the broker tells them; it learns them a moment after the controller."""
        changes = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in settings.items()]
        resource = ConfigResource(ResourceType.TOPIC, self.topic(name), incremental_configs=changes)
        self.admin.incremental_alter_configs([resource])[resource].result(30)
        asked = ConfigResource(ResourceType.TOPIC, self.topic(name))

        def told() -> bool:
            found = self.admin.describe_configs([asked])[asked].result(30)
            return all(found[key].value == value for key, value in settings.items())

        eventually(told, "the broker tells the settings")

    def topic(self, name: str) -> str:
        return self.prefix + name

    def reader(self, projection: str) -> Reader:
        return self.installation.readers.open(projection)

    def caught_up(self, *names: str, timeout_s: float = CATCH_UP_S) -> None:
        """Return once these projections and handlers (`flights.handler`) have nothing left to work on."""

        def behind() -> dict[str, int]:
            return {
                f"{lag.name} {lag.partition}": lag.lag
                for lag in lags(self.installation.runtime)
                if lag.name in names and lag.lag
            }

        eventually(lambda: not behind(), f"{names} have caught up", timeout_s, 0.2)

    def caught_up_by_command(self, *names: str) -> None:
        """The same as `eventfold lag` tells it, for domains that this process does not have."""
        eventually(
            lambda: all(row["lag"] == 0 for row in self.json("lag") if row["name"] in names), f"{names} have caught up", 60
        )

    def tables(self, projection: str) -> dict[str, dict[tuple[str, int, str], bytes]]:
        """Every stored row of the live generation: by table, then by topic, partition and key."""
        reader = self.reader(projection)
        return {
            table.name: {
                (slice_.topic, slice_.partition, key): row
                for slice_ in reader.generation.slices()
                for key, row in reader.rows(slice_, table.name)
            }
            for table in reader.projection.tables
        }

    def rows(self, projection: str, table: str | None = None) -> dict[str, Any]:
        """The rows of a table that has one slice a key."""
        found = self.tables(projection)[table or projection]
        rows = {key: json.loads(row) for (_, _, key), row in found.items()}
        assert len(rows) == len(found), "a key stands in two slices"
        return rows

    def generation(self, projection: str) -> str | None:
        """The id of the live generation."""
        stored = self.redis.get(f"{{{self.prefix}{projection}}}:live")
        return None if stored is None else json.loads(stored)["generation"]

    def empty_redis(self, *projections: str) -> None:
        """Delete every key, and return once each of these projections is being built anew."""
        before = {name: self.generation(name) for name in projections}
        self.redis.flushdb()
        eventually(lambda: all(self.generation(name) not in (None, old) for name, old in before.items()), "they are built anew")

    def status(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("status")
        return found

    def partitions_of(self, role: str) -> list[int]:
        """How many partitions each living daemon of this role has, by its last sign of life."""
        found = daemons(self.redis, self.prefix).values()
        return sorted(len(body["partitions"]) for body in found if body["role"] == role and body["alive"])

    def members(self, group: str) -> dict[str, int]:
        """How many partitions the group has given to each of its members, as Kafka says; heartbeats tell it later."""
        name = self.topic(group)
        members = self.admin.describe_consumer_groups([name])[name].result(30).members
        return {member.member_id: len(member.assignment.topic_partitions) for member in members}

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self, *, delete_topics: bool, empty: bool = True) -> None:
        """Stop what still runs, so that it leaves its groups, and leave nothing behind in Redis, if it is to be `empty`."""
        self.closed = True
        for daemon in self.daemons:
            if daemon.runs:
                daemon.process.terminate()
        for daemon in self.daemons:
            try:
                daemon.process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
        if delete_topics:
            mine = [name for name in self.admin.list_topics(timeout=10).topics if name.startswith(self.prefix)]
            for future in (self.admin.delete_topics(mine) if mine else {}).values():
                future.result(30)
        if empty:
            self.redis.flushdb()
        self.redis.close()
        made = [of for of in (self.__dict__.get("installation"), self.__dict__.get("client")) if of is not None]
        for of in made:
            registry = of.registry if isinstance(of, Installation) else of._installation.registry
            if registry is not None:
                registry.close()


def sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence with which a command must have ended, with that exit code."""
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stderr


def shown_logs(sandboxes: Sequence[Sandbox], lines: int = 60) -> list[tuple[str, str]]:
    """The end of the log of each daemon, for a failed test's report."""
    return [
        (f"log of {daemon.name} (pid {daemon.pid}, exit code {daemon.process.poll()})", _tail(daemon.log, lines))
        for sandbox in sandboxes
        for daemon in sandbox.daemons
    ]


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])


OpenSandbox = Callable[..., AbstractContextManager[Sandbox]]
"""The fixture `open_sandbox`: a corner of the stack for a module or a test."""
