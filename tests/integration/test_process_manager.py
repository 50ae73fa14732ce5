"""A process manager reacts to each event and refusal once, whatever happens to its daemons, and keeps its deadlines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processors.process_manager import COMMANDS_LIVE_MS
from producers.outcomes import Outcome
from schemas.ids import derived_id
from schemas.partitioner import partition_of
from schemas.times import millis
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
    with open_sandbox(partitions=PARTITIONS, PYTHONPATH=python_path(installed), LOGFOLD_DOMAINS="parcels") as sandbox:
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
    return [command for command in log.read(sandbox, "parcels.commands") if "ce_processid" in command.headers]


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
        "ce_source": "/logfold/process-managers/returns",
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
    assert own.installation.codec.decode(kept.value).data == {"reason": "P-2-back: already-posted"}
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
