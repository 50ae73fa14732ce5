"""Partitions that are added to a topic of eventfold's own end what folds it, with the way on; and that way leads on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventfold.kafka.topics import Topics
from tests.support import commands, flights, log, partitions
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.parcels import importable, install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

KEPT = ("commands", "events", "refusals", "internal")
NUMBERS = flights.numbers_on(0, 2, 6)
WAY = "restore them into new ones with `eventfold import-log"


def ended(daemon: Daemon, *says: str) -> None:
    """It ended by itself within a few seconds, with one sentence."""
    assert daemon.ended(30) == 1
    assert "Traceback" not in daemon.log
    for text in says:
        assert text in daemon.log.splitlines()[-1], daemon.log


def folded(sandbox: Sandbox) -> list[Daemon]:
    """A handler and a projector that have scheduled and folded some flights."""
    daemons = [sandbox.handler(), sandbox.projector("flights")]
    for number in NUMBERS:
        assert commands.schedule(sandbox, number).accepted
    sandbox.caught_up("flights", "flights.handler")
    return daemons


def test_all_that_fold_end_with_the_way_on_and_it_leads_on(sandbox: Sandbox, tmp_path: Path) -> None:
    daemons, before = folded(sandbox), sandbox.rows("flights")
    partitions.add(sandbox, 4, *(f"flights.{kind}" for kind in (*KEPT, "dead-letters")))
    for daemon in daemons:
        ended(daemon, "partitions were added", "(2 then, 4 now)", WAY)
    moved = flights.flight_id(NUMBERS[1])
    for args in (
        ("run", "handler", "flights"),
        ("run", "projector", "flights"),
        ("replay", "flights"),
        ("replay", "flights", "--key", moved),
        ("verify", "flights"),
        ("rollback", "flights"),
        ("history", "flights", moved),
        ("query", "flights", moved, "--as-of-version", "1"),
    ):
        assert WAY in sandbox.fails(1, *args), args
    findings = {row["what"]: row for row in json.loads(sandbox.run("doctor", "--json").stdout)}
    assert findings["partitions"]["state"] == "wrong" and WAY in findings["partitions"]["finding"]
    # What was folded is as right as it was.
    assert sandbox.json("generations", "flights")[0]["behind"] == 0
    assert sandbox.json("query", "flights", moved) == before[moved]
    # Where no handler stands between, events of a key may lie in two partitions by now.
    log.write_event(sandbox, "flights.FlightDeparted", moved, flights.departed(NUMBERS[1]), sequence=2)
    assert {event.partition for event in log.read(sandbox, "flights.events") if event.key == moved} == {0, 2}
    _restore(sandbox, tmp_path)
    handler, _ = sandbox.handler(), sandbox.projector("flights")
    sandbox.caught_up("flights", "flights.handler")
    after = sandbox.rows("flights")
    assert after.keys() == before.keys()
    assert {key: row["status"] for key, row in after.items() if row["status"] != "scheduled"} == {moved: "departed"}
    assert len(sandbox.json("history", "flights", moved)) == 2
    outcome = commands.schedule(sandbox, NUMBERS[0])
    assert (outcome.code, outcome.version) == ("already-scheduled", 1)
    assert handler.runs
    assert sandbox.json("verify", "flights")["equal"]


def _restore(sandbox: Sandbox, folder: Path) -> None:
    """As docs/backup.md says it."""
    for kind in KEPT:
        sandbox.ok("export", f"flights.{kind}", str(folder))
    names = [sandbox.topic(f"flights.{kind}") for kind in (*KEPT, "dead-letters")]
    for future in sandbox.admin.delete_topics(names).values():
        future.result(30)
    topics = Topics(sandbox.installation.kafka)
    eventually(lambda: not topics.existing(names), "the topics are gone")
    sandbox.redis.flushdb()
    sandbox.ok("import-log", str(folder), "--partitions", "4")
    sandbox.ok("topics", "create", "--partitions", "4")


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_of_the_commands_alone(open_sandbox: OpenSandbox, protocol: str) -> None:
    """Their handlers must not go on in partitions that the events do not have."""
    with open_sandbox(EVENTFOLD_GROUP_PROTOCOL=protocol) as sandbox:
        handlers = [sandbox.handler(), sandbox.handler("two")]
        partitions.add(sandbox, 4, "flights.commands")
        for daemon in handlers:
            ended(daemon, "partitions were added", "flights.commands' (2 then, 4 now)", WAY)
        assert "must have the same number of partitions" in sandbox.fails(1, "run", "handler", "flights")


def test_the_log_shows_it_when_redis_was_emptied(sandbox: Sandbox) -> None:
    """Half of the keys hash to other partitions then, where nobody knows of their events."""
    handler = sandbox.handler()
    for number in flights.numbers_on(0, 2, 20):
        assert commands.schedule(sandbox, number).accepted
    assert handler.stop() == 0
    partitions.add(sandbox, 4, *(f"flights.{kind}" for kind in (*KEPT, "dead-letters")))
    sandbox.redis.flushdb()
    says = sandbox.fails(1, "run", "handler", "flights")
    assert "of 4: were partitions added to the topic?" in says and WAY in says
    for args in (("run", "projector", "flights"), ("replay", "flights")):
        says = sandbox.fails(1, *args)
        assert "of the first 20 keys do not belong there, of 4 partitions" in says and WAY in says


def test_a_dead_letter_topic_may_have_more(sandbox: Sandbox) -> None:
    partitions.add(sandbox, 4, "flights.dead-letters")
    sandbox.handler()
    assert commands.schedule(sandbox, NUMBERS[0]).accepted
    assert "must have" not in sandbox.run("doctor").stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = install_parcels(tmp_path_factory.mktemp("parcels"))
    with importable(folder):
        yield folder


def test_a_process_manager_ends_too_and_remembers_how_many_there_were(open_sandbox: OpenSandbox, installed: Path) -> None:
    with open_sandbox(PYTHONPATH=python_path(installed), EVENTFOLD_DOMAINS="parcels") as sandbox:
        manager = sandbox.process_manager("returns")
        log.write_event(sandbox, "parcels.ParcelReturned", "P-1", {"reason": "moved"})
        sandbox.caught_up("returns.process-manager")
        partitions.add(sandbox, 3, *(f"parcels.{kind}" for kind in (*KEPT, "dead-letters")))
        ended(manager, "partitions were added", "(2 then, 3 now)", WAY)
        sandbox.redis.flushdb()
        # By the group's own notes: its timers would be folded anew.
        ended(sandbox.start("run", "process-manager", "returns"), "partitions were added", "(2 then, 3 now)", WAY)
