"""Half of a log in single-object encoding, half in Confluent's format: everything reads it as it reads one in one encoding."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from eventfold.kafka.schema_registry import Registry
from eventfold.schemas import container
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.registry.framing import Confluent
from eventfold.schemas.registry.settings import RegistrySettings
from eventfold.tools.history_check.samples import History
from tests.support import commands, flights, log
from tests.support.sandbox import OpenSandbox, Sandbox

# Fetching the registry is part of the first start in a checkout.
pytestmark = pytest.mark.timeout(600)

RECORDED = Path(__file__).parents[1] / "recorded"
DOMAINS = ("flights", "accounts")
PROJECTIONS = ("flights", "board", "punctuality", "aircraft", "accounts", "statements", "transfers", "totals")
HEADER = 10
DEPART = ("flights", "depart", "UA1:2013-02-08:JFK", "--at", "now")


def write(sandbox: Sandbox, framing: Confluent | None, codec: Codec) -> None:
    """Every version of every event and refusal; with a framing, the second half of each topic by it, the bodies the same."""
    for (topic, _), samples in History.read(RECORDED).slices.items():
        if topic.endswith(".commands"):
            continue
        for number, sample in enumerate(samples):
            value = sample.value()
            assert value is not None
            if framing is not None and number >= len(samples) // 2:
                value = framing.header(codec.written(value)) + value[HEADER:]
            log.write(sandbox, topic, sample.key(), value, sample.headers(), partition=0)


class Log:
    """A log with all that is made of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        daemons = [sandbox.handler(domain=domain) for domain in DOMAINS]
        daemons.append(sandbox.projector(*PROJECTIONS))
        sandbox.caught_up("flights.handler", "accounts.handler", *PROJECTIONS)
        self.keys = {
            domain: sorted({record.key or "" for record in log.read(sandbox, f"{domain}.events")}) for domain in DOMAINS
        }
        assert [daemon.stop() for daemon in daemons] == [0, 0, 0]

    def rows(self) -> dict[str, Any]:
        return {
            f"{name} {table}": {(partition, key): row for (_, partition, key), row in rows.items()}
            for name in PROJECTIONS
            for table, rows in self.sandbox.tables(name).items()
        }

    def states(self) -> dict[str, Any]:
        """Of every aggregate, as its handler remembers it and as it is folded from the log."""
        client = self.sandbox.client
        loaded = {
            key: (client.load(domain, key), client.load(domain, key, at=client.load(domain, key).version))
            for domain, keys in self.keys.items()
            for key in keys
        }
        return {key: [(of.version, of.state) for of in found] for key, found in loaded.items()}


@pytest.fixture(scope="module")
def logs(open_sandbox: OpenSandbox, registry_url: str) -> Iterator[tuple[Log, Log]]:
    """The log in single-object encoding, and the one that changed over."""
    settings = {"EVENTFOLD_DOMAINS": ",".join(DOMAINS)}
    catalog = Catalog.installed(DOMAINS)
    registry = Registry(RegistrySettings(url=registry_url))
    with (
        open_sandbox(partitions=1, **settings) as one,
        open_sandbox(partitions=1, **settings, SCHEMA_REGISTRY_URL=registry_url) as changed,
    ):
        write(one, None, Codec(catalog))
        write(changed, Confluent(catalog, registry), Codec(catalog))
        yield Log(one), Log(changed)
    registry.close()


def test_the_log_did_change_over(logs: tuple[Log, Log]) -> None:
    for domain in DOMAINS:
        first, second = (log.read(of.sandbox, f"{domain}.events") for of in logs)
        assert {record.value[:2] for record in first if record.value} == {b"\xc3\x01"}
        begins = [(record.value or b"")[:1] for record in second]
        assert begins == [b"\xc3"] * (len(begins) // 2) + [b"\0"] * (len(begins) - len(begins) // 2)


def test_every_fold_is_the_same(logs: tuple[Log, Log]) -> None:
    one, changed = logs
    rows = one.rows()
    assert all(rows[f"{name} {table}"] for name, table in (("flights", "flights"), ("accounts", "accounts")))
    assert changed.rows() == rows


def test_every_aggregate_is_the_same(logs: tuple[Log, Log]) -> None:
    one, changed = logs
    assert changed.states() == one.states()


@pytest.mark.parametrize("name", ["flights", "accounts"])
def test_verify_and_replay_find_the_same(logs: tuple[Log, Log], name: str) -> None:
    _, changed = logs
    assert changed.sandbox.run("verify", name).returncode == 0
    done = changed.sandbox.run("replay", name)
    assert done.returncode == 0, done.stderr
    assert "equal by their digests" in done.stdout + done.stderr


def test_history_and_tail_tell_the_same(logs: tuple[Log, Log]) -> None:
    one, _ = logs
    key = one.keys["flights"][0]
    found = []
    for of in logs:
        rows = of.sandbox.json("history", "flights", key)
        lines = of.sandbox.ok("tail", "flights.events", "--from", "beginning", "--json").splitlines()
        rows += [json.loads(line) for line in lines]
        for row in rows:
            del row["position"], row["recorded"]
        found.append(rows)
    assert found[0] == found[1]
    assert not any("error" in row for row in found[1])


def test_a_history_that_was_exported_is_checked_without_the_registry(logs: tuple[Log, Log], tmp_path: Path) -> None:
    """The files hold the schemas of the ids."""
    _, changed = logs
    for domain in DOMAINS:
        changed.sandbox.ok("export", f"{domain}.events", str(tmp_path))
    for path in RECORDED.glob("*.commands-0.avro"):
        shutil.copy(path, tmp_path / f"{changed.sandbox.prefix}{path.name}")
    away = {"SCHEMA_REGISTRY_URL": ""}
    done = changed.sandbox.run("schemas", "record", "--history", str(tmp_path), environ=away)
    assert done.returncode == 0, done.stderr
    recorded, ours = (json.loads((of / "folded.json").read_text()) for of in (tmp_path, RECORDED))
    assert recorded["projection"]["flights"]["slices"] == ours["projection"]["flights"]["slices"]
    done = changed.sandbox.run("schemas", "check", "--domain", "flights", "--history", str(tmp_path), environ=away)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_log_is_restored_with_the_registry_that_gave_its_ids_alone(
    logs: tuple[Log, Log], open_sandbox: OpenSandbox, tmp_path: Path
) -> None:
    _, changed = logs
    changed.sandbox.ok("export", "flights.events", str(tmp_path))
    restore = ("import-log", str(tmp_path), "flights.events")
    with open_sandbox(partitions=0, SCHEMA_REGISTRY_URL=changed.sandbox.environ["SCHEMA_REGISTRY_URL"]) as sandbox:
        says = sandbox.fails(1, *restore, environ={"SCHEMA_REGISTRY_URL": ""})
        assert "was written by the ids of a schema registry" in says
        assert "SCHEMA_REGISTRY_URL is not set" in says
        (path,) = tmp_path.glob("*.avro")
        with container.opened(path) as (about, records):
            found, told = list(records), dict(about)
        told["schemas"] = json.dumps(_turned_round(json.loads(told["schemas"])))
        container.save(path, found, lambda: told)
        assert "then flights." in (says := sandbox.fails(1, *restore))
        assert "now is flights." in says
        assert not [topic for topic in sandbox.admin.list_topics(timeout=10).topics if topic.startswith(sandbox.prefix)]
        sandbox.ok(*restore, "--any-ids")
        read = log.read(sandbox, "flights.events")
        assert [record.value for record in read] == [record.value for record in log.read(changed.sandbox, "flights.events")]


def _turned_round(schemas: dict[str, Any]) -> dict[str, Any]:
    """As of another registry, which gave the ids to other schemas."""
    ids = sorted(header for header in schemas if header.startswith("00"))
    return {**schemas, **{header: schemas[other] for header, other in zip(ids, reversed(ids), strict=True)}}


# -- what is written with a registry, and a registry that is away -----------------------------------------------------------


@pytest.fixture
def registered(open_sandbox: OpenSandbox, registry_url: str) -> Iterator[Sandbox]:
    with open_sandbox(partitions=2, SCHEMA_REGISTRY_URL=registry_url) as sandbox:
        yield sandbox


def flown(sandbox: Sandbox, number: int) -> None:
    assert commands.schedule(sandbox, number).accepted
    outcome = commands.depart(sandbox, number)
    row = sandbox.client.query("flights", id=flights.flight_id(number), after=outcome)
    assert row["status"] == "departed"


def test_commands_and_events_are_written_by_ids(registered: Sandbox) -> None:
    registered.handler()
    registered.projector("flights")
    flown(registered, 1)
    for topic in ("flights.commands", "flights.events"):
        assert {(record.value or b"")[:1] for record in log.read(registered, topic)} == {b"\0"}
    assert commands.schedule(registered, 1).code == "already-scheduled"
    (refusal,) = log.read(registered, "flights.refusals")
    assert (refusal.value or b"")[:1] == b"\0"
    looked = {row["what"]: row for row in registered.json("doctor")}
    assert looked["schema registry"]["state"] == "ok"


def test_a_registry_that_stops_has_no_effect_on_what_runs(registered: Sandbox) -> None:
    registered.handler()
    registered.projector("flights")
    flown(registered, 1)
    pid = registered.stack.pid("registry")
    os.kill(pid, signal.SIGSTOP)
    try:
        flown(registered, 2)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_registry_that_is_down_at_start_is_an_error(registered: Sandbox) -> None:
    away = {"SCHEMA_REGISTRY_URL": "http://127.0.0.1:9/apis"}
    for args in (("run", "all"), ("run", "handler", "flights"), ("run", "projector", "flights"), DEPART):
        says = registered.fails(1, *args, environ=away)
        assert "the schema registry at http://127.0.0.1:9/apis does not answer" in says
        assert "SCHEMA_REGISTRY_URL" in says
    done = registered.run("doctor", "--json", environ=away)
    assert done.returncode == 1
    (finding,) = [row for row in json.loads(done.stdout) if row["what"] == "schema registry"]
    assert "does not answer" in finding["finding"]


def test_an_event_of_an_id_that_cannot_be_asked_for_waits_and_is_not_lost(registered: Sandbox) -> None:
    """Somebody else registered a version that the daemon has not met; it is asked for once the registry is back."""
    projector = registered.projector("flights")
    number = flights.numbers_on(0, 2, 1)[0]
    key = flights.flight_id(number)
    newest = registered.installation.codec.catalog.newest("flights.FlightScheduled")
    field = {"name": "theirs", "type": "string", "default": "", "doc": "of others"}
    schema = Schema(json.dumps({**newest.schema, "fields": [*newest.schema["fields"], field]}), "AVRO")
    with SchemaRegistryClient({"url": registered.environ["SCHEMA_REGISTRY_URL"]}) as client:
        id_ = client.register_schema(newest.type, schema)
    body = Codec(Catalog.installed(["flights"])).encode(newest.type, flights.scheduled(number))[HEADER:] + b"\0"
    pid = registered.stack.pid("registry")
    os.kill(pid, signal.SIGKILL)
    try:
        headers = log.envelope(newest.type, key, sequence=1)
        log.write(registered, "flights.events", key, b"\0" + id_.to_bytes(4, "big") + body, headers)
        projector.wait_for_log("does not answer")
        assert projector.runs
    finally:
        registered.stack.registry_url()
    registered.caught_up("flights")
    assert registered.rows("flights")[key]["status"] == "scheduled"
    assert projector.stop() == 0
