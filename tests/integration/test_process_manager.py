"""A process manager reacts to each event and refusal once, whatever happens to its daemons, and keeps its deadlines."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventfold.producers.process_manager import COMMANDS_LIVE_MS
from eventfold.schemas.ids import derived_id
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.times import millis
from eventfold.store.outcomes import Outcome
from tests.support import log
from tests.support.deadline import eventually
from tests.support.parcels import importable, install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

PARTITIONS = 2


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = install_parcels(tmp_path_factory.mktemp("parcels"))
    with importable(folder):
        yield folder


@pytest.fixture
def own(open_sandbox: OpenSandbox, installed: Path) -> Iterator[Sandbox]:
    with open_sandbox(partitions=PARTITIONS, PYTHONPATH=python_path(installed), EVENTFOLD_DOMAINS="parcels") as sandbox:
        yield sandbox


def submit(sandbox: Sandbox, verb: str, key: str, **data: Any) -> Outcome:
    return sandbox.client.submit(f"parcels.{verb}Parcel", key, data, timeout_s=30)


def post(sandbox: Sandbox, key: str) -> None:
    assert submit(sandbox, "Post", key, depot="Oslo", weight_g=700).accepted


def returned(sandbox: Sandbox, key: str) -> None:
    """A parcel that was posted and came back."""
    post(sandbox, key)
    assert submit(sandbox, "Return", key, reason="moved").accepted


def emitted(sandbox: Sandbox) -> list[log.Record]:
    """The commands of process managers."""
    return [command for command in log.read(sandbox, "parcels.internal") if "ce_processid" in command.headers]


def events(sandbox: Sandbox, type_: str) -> list[log.Record]:
    return [event for event in log.read(sandbox, "parcels.events") if event.header("ce_type") == f"parcels.{type_}"]


def settled(sandbox: Sandbox) -> None:
    """Nothing is left to decide, nor to react to."""
    sandbox.caught_up("parcels.handler", "returns.process-manager")
    sandbox.caught_up("parcels.handler", "returns.process-manager")


def test_an_event_and_a_refusal_lead_to_commands(own: Sandbox) -> None:
    own.handler(domain="parcels")
    daemon = own.process_manager("returns")
    returned(own, "P-1")
    post(own, "P-2-back")
    returned(own, "P-2")
    (kept,) = eventually(lambda: events(own, "ParcelKept"), "the one that cannot be sent back is kept")
    assert kept.key == "P-2"
    (cause,) = [event for event in events(own, "ParcelReturned") if event.key == "P-1"]
    (command,) = [command for command in emitted(own) if command.key == "P-1-back"]
    assert command.partition == partition_of("P-1-back", PARTITIONS)
    assert own.installation.codec.decode(command.value) == ("parcels.PostParcel", {"depot": "moved", "weight_g": 1_000})
    assert {name: value for name, value in command.headers.items() if name not in ("content-type", "ce_specversion")} == {
        "ce_id": derived_id(cause.header("ce_id"), "returns:0"),
        "ce_type": "parcels.PostParcel",
        "ce_source": "/eventfold/process-managers/returns",
        "ce_time": cause.header("ce_time"),
        "ce_subject": "P-1-back",
        "ce_correlationid": cause.header("ce_correlationid"),
        "ce_causationid": cause.header("ce_id"),
        "ce_expirytime": command.header("ce_expirytime"),
        "ce_processid": "returns/P-1",
        "noreply": "1",
    }
    assert millis(command.header("ce_expirytime")) == cause.timestamp + COMMANDS_LIVE_MS
    (refusal,) = log.read(own, "parcels.refusals")
    assert (refusal.key, refusal.header("ce_processid")) == ("P-2-back", "returns/P-2")
    assert kept.header("ce_processid") == "returns/P-2"
    assert own.installation.codec.decode(kept.value).data == {"parcel": "P-2-back", "reason": "already-posted"}
    assert {lag["topic"].removeprefix(own.prefix) for lag in own.json("lag") if lag["name"] == "returns.process-manager"} == {
        "parcels.events",
        "parcels.refusals",
    }
    settled(own)
    shown = {body["name"]: body for body in own.status()}
    assert shown["returns.process-manager@one"]["role"] == "process-manager"
    assert len(shown["returns.process-manager@one"]["partitions"]) == 2 * PARTITIONS
    assert daemon.stop() == 0
    assert len(emitted(own)) == 3


def test_a_deadline_that_nothing_ends_fires_once(own: Sandbox) -> None:
    own.handler(domain="parcels")
    own.process_manager("returns")
    now = time.time_ns() // 1_000_000
    for key, due in (("late", now + 1_500), ("later", now + 3_600_000), ("delivered", now + 1_500)):
        post(own, key)
        assert submit(own, "Promise", key, deliver_by=due).accepted
    assert submit(own, "Deliver", "delivered", delivered_at=now).accepted
    (back,) = eventually(lambda: events(own, "ParcelReturned"), "the deadline has passed")
    (promised,) = [event for event in events(own, "ParcelPromised") if event.key == "late"]
    settled(own)
    first, second = emitted(own)
    assert (back.key, back.header("ce_processid")) == ("late", "returns/late")
    assert (first.header("ce_type"), first.key) == ("parcels.ReturnParcel", "late")
    assert first.header("ce_id") == derived_id(promised.header("ce_id"), "returns:undelivered:0")
    assert "ce_expirytime" not in first.headers
    assert millis(first.header("ce_time")) == now + 1_500
    assert (second.header("ce_type"), second.key) == ("parcels.PostParcel", "late-back")
    assert own.rows("returns-timers", "undelivered").keys() == {"later"}


def test_after_redis_was_emptied_timers_come_back_and_fire_once(own: Sandbox) -> None:
    own.handler(domain="parcels")
    daemon = own.process_manager("returns")
    due = time.time_ns() // 1_000_000 + 6_000
    for key in ("late", "delivered"):
        post(own, key)
        assert submit(own, "Promise", key, deliver_by=due).accepted
    assert submit(own, "Deliver", "delivered", delivered_at=due).accepted
    own.caught_up("returns-timers")
    assert own.rows("returns-timers", "undelivered").keys() == {"late"}
    assert daemon.stop() == 0
    assert emitted(own) == []
    own.redis.flushdb()
    eventually(lambda: time.time_ns() // 1_000_000 > due, "the deadline has passed while nobody looked")
    own.process_manager("returns")
    eventually(lambda: events(own, "ParcelReturned"), "it fires once the timers are there again")
    settled(own)
    (promised,) = [event for event in events(own, "ParcelPromised") if event.key == "late"]
    assert [command.header("ce_id") for command in emitted(own) if command.header("ce_type") == "parcels.ReturnParcel"] == [
        derived_id(promised.header("ce_id"), "returns:undelivered:0")
    ]


def test_a_group_that_lost_its_offsets_begins_anew_and_changes_nothing(own: Sandbox) -> None:
    own.handler(domain="parcels")
    daemon = own.process_manager("returns")
    for number in range(10):
        returned(own, f"P-{number}")
    settled(own)
    assert daemon.stop() == 0
    first, before = emitted(own), log.read(own, "parcels.events")
    assert len(first) == 10
    group = own.topic("returns.process-manager")
    own.admin.delete_consumer_groups([group])[group].result(30)
    again = own.process_manager("returns")
    eventually(lambda: len(emitted(own)) == 20, "everything is emitted again")
    settled(own)
    assert "the group has no offset" in again.log
    assert sorted(command.header("ce_id") for command in emitted(own)) == sorted(2 * [c.header("ce_id") for c in first])
    assert log.read(own, "parcels.events") == before
    assert log.read(own, "parcels.refusals") == []


def test_what_is_older_than_a_command_lives_is_not_reacted_to_again(own: Sandbox) -> None:
    """Nobody knows the ids of its commands any more, and a refusal would be news of something that was done long ago."""
    week_ago = time.time_ns() // 1_000_000 - COMMANDS_LIVE_MS - 60_000
    own.configure("parcels.events", **{"message.timestamp.type": "CreateTime"})
    value = own.installation.codec.encode("parcels.ParcelReturned", {"reason": "old"})
    for key in ("old", "new"):
        own.producer.produce(
            own.topic("parcels.events"),
            key=key,
            value=value,
            headers=log.envelope("parcels.ParcelReturned", key),
            timestamp=week_ago if key == "old" else 0,
        )
    assert own.producer.flush(20) == 0
    own.process_manager("returns")
    own.caught_up("returns.process-manager")
    assert [command.key for command in emitted(own)] == ["new-back"]


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_two_daemons_share_the_partitions_and_hand_them_over(open_sandbox: OpenSandbox, installed: Path, protocol: str) -> None:
    settings = {"PYTHONPATH": python_path(installed), "EVENTFOLD_DOMAINS": "parcels", "EVENTFOLD_GROUP_PROTOCOL": protocol}
    with open_sandbox(partitions=4, **settings) as sandbox:
        sandbox.handler(domain="parcels")
        sandbox.process_manager("returns", "left")
        right = sandbox.start("--instance", "right", "run", "process-manager", "returns")
        shared = (4, 4)
        eventually(lambda: tuple(sandbox.partitions_of("process-manager")) == shared, "each has four of eight partitions", 60)
        for number in range(20):
            returned(sandbox, f"P-{number}")
        right.kill()
        for number in range(20, 30):
            returned(sandbox, f"P-{number}")
        settled(sandbox)
        # What lies behind the transaction of the one that was killed is read once that is aborted.
        eventually(lambda: len(emitted(sandbox)) >= 30, "everything is emitted")
        ids = [command.header("ce_id") for command in emitted(sandbox)]
        assert len(ids) == len(set(ids)) == 30


def test_a_daemon_that_sleeps_while_its_partitions_move_is_fenced(open_sandbox: OpenSandbox, installed: Path) -> None:
    """What it still has at hand when it wakes up is committed by the other one, and by that one alone."""
    with open_sandbox(partitions=2, PYTHONPATH=python_path(installed), EVENTFOLD_DOMAINS="parcels") as sandbox:
        sandbox.handler(domain="parcels")
        left = sandbox.process_manager("returns", "left")
        returned(sandbox, "P-0")
        settled(sandbox)
        os.kill(left.pid, signal.SIGSTOP)
        try:
            for number in range(1, 10):
                returned(sandbox, f"P-{number}")
            sandbox.process_manager("returns", "right")
            settled(sandbox)
        finally:
            os.kill(left.pid, signal.SIGCONT)
        for number in range(10, 20):
            returned(sandbox, f"P-{number}")
        eventually(lambda: len(sandbox.partitions_of("process-manager")) == 2, "both live", 60)
        settled(sandbox)
        ids = [command.header("ce_id") for command in emitted(sandbox)]
        assert len(ids) == len(set(ids)) == 20


def test_a_topic_that_was_made_anew_is_an_error(own: Sandbox) -> None:
    """Kafka forgets the offsets of a topic that is deleted; those of the refusals still tell."""
    handler = own.handler(domain="parcels")
    daemon = own.process_manager("returns")
    returned(own, "P-1")
    settled(own)
    assert [daemon.stop(), handler.stop()] == [0, 0]
    log.make_anew(own, "parcels.events", PARTITIONS)
    own.redis.flushdb()
    message = own.fails(1, "run", "process-manager", "returns")
    assert "was deleted and made again" in message
    assert "restore the topic's export" in message
    assert "eventfold forget returns.process-manager" in message
    own.ok("forget", "returns.process-manager")
    daemon = own.process_manager("returns")
    assert "in use: stop its daemons first" in own.fails(1, "forget", "returns.process-manager")
    assert daemon.stop() == 0


def test_a_log_that_was_cut_short_is_an_error(own: Sandbox) -> None:
    handler = own.handler(domain="parcels")
    daemon = own.process_manager("returns")
    returned(own, "P-1")
    settled(own)
    own.caught_up("returns-timers")
    assert [daemon.stop(), handler.stop()] == [0, 0]
    log.cut_start(own, "parcels.events", partition_of("P-1", PARTITIONS), 1)
    group = own.topic("returns.process-manager")
    own.admin.delete_consumer_groups([group])[group].result(30)
    # Its timers are a read model, which has ways on of its own.
    own.ok("replay", "returns-timers", "--keep-rows")
    message = own.fails(1, "run", "process-manager", "returns")
    assert "the log begins at offset 1" in message
    assert "restore the topic's export" in message
    assert "eventfold forget returns.process-manager --for-good" in message
    assert "forget returns.process-manager --for-good" in own.fails(1, "forget", "returns.process-manager")
    own.ok("forget", "returns.process-manager", "--for-good")
    own.process_manager("returns")


def test_a_name_that_is_not_there_is_refused(own: Sandbox) -> None:
    assert "no process manager is called 'refunds'; there are: returns" in own.fails(2, "run", "process-manager", "refunds")
