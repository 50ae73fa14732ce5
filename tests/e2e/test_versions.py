"""A projection that changes: old and new daemons side by side, and a replay that switches between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.parcels import install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox


def _second_version(source: Path) -> None:
    """The row has the weight in kilograms as well."""
    file = source / "parcels" / "projections.py"
    text = file.read_text()
    changed = text.replace("version=1", "version=2").replace(
        '"weight_g": event.data["weight_g"]}',
        '"weight_g": event.data["weight_g"], "weight_kg": event.data["weight_g"] // 1000}',
    )
    assert changed.count("version=2") == 1 and "weight_kg" in changed
    file.write_text(changed)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """A PYTHONPATH for each version."""
    first = install_parcels(tmp_path_factory.mktemp("first"))
    second = install_parcels(tmp_path_factory.mktemp("second"), _second_version)
    return {1: python_path(first), 2: python_path(second)}


@pytest.fixture
def old(open_sandbox: OpenSandbox, paths: dict[int, str]) -> Iterator[Sandbox]:
    """The first version, with its handler and projector, and a parcel."""
    with open_sandbox(partitions=2, PYTHONPATH=paths[1], EVENTFOLD_DOMAINS="parcels") as sandbox:
        sandbox.handler(domain="parcels")
        sandbox.projector("parcels")
        post(sandbox, "P-1", 1200)
        yield sandbox


def post(sandbox: Sandbox, id_: str, weight: int) -> str:
    posted = sandbox.json("parcels", "post", id_, "--depot", "Oslo", "--weight", str(weight))
    position: str = posted["positions"][0]
    return position


def states(sandbox: Sandbox) -> dict[int, str]:
    return {row["version"]: row["state"] for row in sandbox.json("generations", "parcels")}


def shown(sandbox: Sandbox, id_: str, after: str) -> dict[str, Any]:
    row: dict[str, Any] = sandbox.json("query", "parcels", id_, "--after", after)
    return row


def waiting(daemon: Daemon, times: int = 1) -> None:
    daemon.wait_for_log("event=waits", times)


def test_old_and_new_side_by_side(old: Sandbox, paths: dict[int, str]) -> None:
    new_path = {"PYTHONPATH": paths[2]}
    live = old.generation("parcels")
    new = old.start("run", "projector", "parcels", EVENTFOLD_INSTANCE="new", **new_path)
    waiting(new)
    assert "version 1 of the projection, this is version 2" in new.log and "eventfold replay parcels" in new.log
    # The new one took no partition from the old one, which goes on.
    assert shown(old, "P-2", post(old, "P-2", 2500)) == {"id": "P-2", "status": "posted", "depot": "Oslo", "weight_g": 2500}
    (status,) = [row for row in old.status() if row["name"] == "parcels@new"]
    assert "version 2" in status["waits"]
    assert "waits: the live generation is of another version" in old.ok("status")

    done = old.run("replay", "parcels", "--json", environ=new_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["switched"] and found["version"] == 2
    assert found["compared"]["counts"] == {"parcels": {"changed": 2}}
    fields = {row["key"]: row["fields"] for row in found["compared"]["differences"]}
    assert fields["P-1"] == {"weight_kg": {"is": None, "should": 1}}
    assert old.generation("parcels") == found["generation"] != live

    # The new daemon takes over, the old one says so and feeds what is kept.
    new.wait_for_log("event=assigned")
    assert shown(old, "P-3", post(old, "P-3", 3700))["weight_kg"] == 3
    waiting(old.daemons[1])
    eventually(lambda: all(row["behind"] == 0 for row in old.json("generations", "parcels")), "both are fed")
    assert states(old) == {1: "kept", 2: "live"}
    (kept,) = [row["generation"] for row in old.json("generations", "parcels") if row["state"] == "kept"]
    assert "weight_kg" not in old.json("query", "parcels", "P-3", "--generation", kept)

    # And back: the old daemon goes on with the live one, the new one waits again.
    assert old.json("rollback", "parcels")["version"] == 1
    assert shown(old, "P-4", post(old, "P-4", 100)) == {"id": "P-4", "status": "posted", "depot": "Oslo", "weight_g": 100}
    waiting(new, 2)
    assert old.run("verify", "parcels", environ=new_path).returncode == 1
    assert old.json("verify", "parcels")["equal"]


def test_a_different_model_goes_live_only_if_it_may(old: Sandbox, paths: dict[int, str]) -> None:
    new_path, live = {"PYTHONPATH": paths[2]}, old.generation("parcels")
    refused = old.run("replay", "parcels", "--switch", "if-equal", environ=new_path)
    assert refused.returncode == 1
    assert "parcels: 1 changed" in refused.stdout and "weight_kg" in refused.stdout and "not live" in refused.stdout
    assert old.generation("parcels") == live
    resumed = old.run("replay", "parcels", "--resume", environ={"PYTHONPATH": paths[1]})
    assert resumed.returncode == 2 and "was begun by version 2" in resumed.stderr
    done = old.run("replay", "parcels", "--resume", "--switch", "always", environ=new_path)
    assert done.returncode == 0 and "live now" in done.stdout, done.stderr
    assert states(old) == {1: "kept", 2: "live"}


def test_an_older_version_does_not_take_over_unasked(old: Sandbox, paths: dict[int, str]) -> None:
    new_path = {"PYTHONPATH": paths[2]}
    assert old.run("replay", "parcels", environ=new_path).returncode == 0
    live = old.generation("parcels")
    assert "--switch always" in old.fails(2, "replay", "parcels")
    assert old.generation("parcels") == live
    assert old.json("replay", "parcels", "--switch", "always")["version"] == 1


def test_a_table_and_an_index_that_are_no_more_are_differences(
    open_sandbox: OpenSandbox, tmp_path_factory: pytest.TempPathFactory, paths: dict[int, str]
) -> None:
    """The live generation has a table and an index that the new version lacks."""

    def more(source: Path) -> None:
        file = source / "parcels" / "projections.py"
        tables = 'tables=(Table(name="parcels"),)'
        wider = (
            'tables=(Table(name="parcels", indexes=(Index(name="by_depot", member=lambda key, row: row["depot"]),)), '
            'Table(name="depots"))'
        )
        text = file.read_text().replace(tables, wider).replace("import Event, ", "import Event, Index, ")
        text += """

@parcels.on("parcels.ParcelPosted", table="depots")
def counted(row, event):
    return {"depot": event.data["depot"]}
"""
        assert wider in text
        file.write_text(text)

    wide = python_path(install_parcels(tmp_path_factory.mktemp("wide"), more))
    with open_sandbox(partitions=2, PYTHONPATH=wide, EVENTFOLD_DOMAINS="parcels") as sandbox:
        sandbox.handler(domain="parcels")
        sandbox.projector("parcels")
        post(sandbox, "P-1", 1200)
        sandbox.caught_up_by_command("parcels")
        done = sandbox.run("replay", "parcels", "--json", "--switch", "always", environ={"PYTHONPATH": paths[2]})
        counts = json.loads(done.stdout)["compared"]["counts"]
        assert counts == {"by_depot": {"extra": 1}, "depots": {"extra": 1}, "parcels": {"changed": 1}}
