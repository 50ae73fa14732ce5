"""A domain of one's own, from a package of its own: installed, found, and working without a change to eventfold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import log
from tests.support.local_stack import REPOSITORY
from tests.support.parcels import install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

BIRDS = [
    {"place": "Reykjavík", "kind": "puffin", "count": 12, "seen_at": 1_367_402_400_000},
    {"place": "Faroe", "kind": "puffin", "count": 30, "seen_at": 1_367_488_800_000},
    {"place": "Faroe", "kind": "fulmar", "count": 5, "seen_at": 1_367_488_800_000},
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, installed as a user would."""
    return install_parcels(tmp_path_factory.mktemp("parcels"))


@pytest.fixture(scope="module")
def own(open_sandbox: OpenSandbox, installed: Path) -> Iterator[Sandbox]:
    """Its two domains and eventfold's own two under `eventfold run all`."""
    with open_sandbox(partitions=2, PYTHONPATH=python_path(installed), EVENTFOLD_DOMAINS="") as sandbox:
        sandbox.start("run", "all").wait_for_log("event=assigned", times=17)
        yield sandbox


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_its_topics_are_made_with_the_others(own: Sandbox) -> None:
    listed = {row["topic"].removeprefix(own.prefix) for row in own.json("topics", "list") if row["exists"]}
    assert {"parcels.commands", "parcels.events", "parcels.refusals", "parcels.dead-letters"} < listed
    assert {name for name in listed if name.startswith("sightings.")} == {"sightings.events", "sightings.dead-letters"}


def test_its_commands_and_its_query(own: Sandbox) -> None:
    assert "parcels" in own.ok("--help")
    posted = own.json("parcels", "post", "P-1", "--depot", "Oslo", "--weight", "1200")
    assert (posted["outcome"], posted["version"]) == ("accepted", 1)
    shown = own.json("query", "parcels", "P-1", "--after", posted["positions"][0])
    assert shown == {"id": "P-1", "status": "posted", "depot": "Oslo", "weight_g": 1200}
    delivered = own.json("parcels", "deliver", "P-1", "--expect-version", "1")
    assert own.json("query", "parcels", "P-1", "--after", delivered["positions"][0])["status"] == "delivered"
    assert own.json("query", "parcels", "P-1", "--as-of-version", "1") == shown
    assert own.json("history", "parcels", "P-1")[0]["data"] == {"depot": "Oslo", "weight_g": 1200}


def test_its_refusals(own: Sandbox) -> None:
    assert "(too-heavy)" in own.fails(1, "parcels", "post", "P-2", "--depot", "Oslo", "--weight", "30001")
    assert "(not-on-its-way)" in own.fails(1, "parcels", "return", "P-2", "--reason", "unknown")


def test_the_client_as_the_readme_uses_it(own: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in own.environ.items():
        monkeypatch.setenv(name, value)
    *_, snippet = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(snippet.replace("P-1", "P-20"), names)
    assert names["row"] == {"id": "P-20", "status": "posted", "depot": "north", "weight_g": 700}
    types = [row["type"] for row in own.json("history", "parcels", "P-20")]
    assert types == ["parcels.ParcelPosted", "parcels.ParcelDelivered"]


def test_flights_are_as_they_were(own: Sandbox) -> None:
    assert "not-scheduled" in own.fails(1, "flights", "cancel", "UA1:2013-02-08:JFK")


def test_accounts_are_as_they_were(own: Sandbox) -> None:
    opened = own.json("accounts", "open", "a", "--owner", "Ada Lovelace", "--currency", "EUR")
    assert own.json("query", "accounts", "a", "--after", opened["positions"][0])["balance"] == "0.00"


def test_facts_are_published_and_folded(own: Sandbox) -> None:
    args = ("publish", "sightings.BirdSeen", "--key", "place", "--time", "seen_at")
    id_ = "7e0a6c52-7a1d-4f5b-9d0f-6c5f3c1c0a11"
    done = json.loads(own.ok(*args, "--batch-id", id_, "--json", stdin=jsonl(*BIRDS)))
    assert done == {"topic": own.topic("sightings.events"), "published": 3, "batch_id": id_}
    own.caught_up_by_command("sightings")
    assert own.json("query", "sightings") == [
        {"kind": "fulmar", "sightings": 1, "birds": 5},
        {"kind": "puffin", "sightings": 2, "birds": 42},
    ]
    times = {record.header("ce_time") for record in log.read(own, "sightings.events")}
    assert times == {"2013-05-01T10:00:00Z", "2013-05-02T10:00:00Z"}
    history = own.json("history", "sightings", "Faroe")
    assert [(row["version"], row["happened"], row["data"]["seen_at"]) for row in history] == [
        (None, "2013-05-02T10:00:00Z", "2013-05-02T10:00:00Z")
    ] * 2
    first = {record.header("ce_id") for record in log.read(own, "sightings.events")}
    own.ok(*args, "--batch-id", id_, stdin=jsonl(*BIRDS))
    assert {record.header("ce_id") for record in log.read(own, "sightings.events")} == first


def test_times_of_facts_may_be_written_as_people_write_them(own: Sandbox) -> None:
    """JSON has no times; RFC 3339 is what `--time` takes, so a field of that type must take it too."""
    bird = {**BIRDS[0], "kind": "gannet", "seen_at": "2013-05-01T12:00:00+02:00"}
    own.ok("publish", "sightings.BirdSeen", "--key", "place", "--time", "seen_at", stdin=jsonl(bird))
    assert log.read(own, "sightings.events")[-1].header("ce_time") == "2013-05-01T10:00:00Z"


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (jsonl(BIRDS[0]) + "{not json\n", "line 2: not JSON"),
        (jsonl(BIRDS[0], {**BIRDS[1], "count": "many"}), "line 2"),
        (jsonl(BIRDS[0], {"kind": "puffin"}), "line 2: there is no field 'place'"),
        (jsonl(BIRDS[0], {**BIRDS[1], "seen_at": "yesterday"}), "line 2"),
        (jsonl(BIRDS[0], {**BIRDS[1], "place": ""}), "line 2"),
        (jsonl(BIRDS[0], {**BIRDS[1], "place": None}), "line 2: None cannot be a key"),
        (jsonl(BIRDS[0], {**BIRDS[1], "place": True}), "line 2: True cannot be a key"),
        (jsonl(BIRDS[0], {**BIRDS[1], "place": 1.5}), "line 2: 1.5 cannot be a key"),
        (jsonl(BIRDS[0], {**BIRDS[1], "place": {"x": 1}}), "line 2: {'x': 1} cannot be a key"),
        (jsonl(BIRDS[0], {**BIRDS[1], "seen_at": 1_367_402_400_000_000}), "line 2: 1367402400000000 is not a time"),
        (jsonl(BIRDS[0], {**BIRDS[1], "seen_at": True}), "line 2: True is not a time"),
        (jsonl(BIRDS[0], ["a", "list"]), "line 2: not a JSON object"),
    ],
)
def test_of_a_file_with_a_wrong_line_nothing_is_published(own: Sandbox, tmp_path: Path, lines: str, what: str) -> None:
    before = len(log.read(own, "sightings.events"))
    file = tmp_path / "birds.jsonl"
    file.write_text(lines)
    args = ("publish", "sightings.BirdSeen", str(file), "--key", "place", "--time", "seen_at")
    assert what in own.fails(2, *args)
    assert len(log.read(own, "sightings.events")) == before


def test_a_wrong_line_of_a_pipe_is_named_with_what_was_published_before_it(own: Sandbox) -> None:
    """Of a file, which can be read twice, nothing is."""
    before = len(log.read(own, "sightings.events"))
    lines = jsonl(BIRDS[0], {**BIRDS[1], "kind": "x" * 2_000_000}, BIRDS[2])
    args = ("publish", "sightings.BirdSeen", "--key", "place")
    wrong = "line 2: sightings.BirdSeen: the field 'kind' must have at most 65,536 characters"
    assert wrong in own.fails(2, *args, stdin=lines)
    assert len(log.read(own, "sightings.events")) == before
    command = [sys.executable, "-m", "eventfold", *args]
    piped = subprocess.run(command, input=lines.encode(), env=own.environ, cwd=own.folder, capture_output=True, timeout=60)
    message = piped.stderr.decode()
    assert piped.returncode == 2 and wrong in message and "read up to line 2; published: 1 events" in message
    assert len(log.read(own, "sightings.events")) == before + 1


def test_what_cannot_be_published_is_refused(own: Sandbox) -> None:
    assert "has a decider" in own.fails(2, "publish", "flights.FlightScheduled", "--key", "id", stdin="{}\n")
    assert "has a decider" in own.fails(2, "publish", "parcels.ParcelPosted", "--key", "id", stdin="{}\n")
    assert "is no event of" in own.fails(2, "publish", "sightings.Nothing", "--key", "place", stdin=jsonl(BIRDS[0]))
    assert own.fails(2, "publish", "nowhere.Nothing", "--key", "place", stdin=jsonl(BIRDS[0]))


def test_all_daemons_run(own: Sandbox) -> None:
    found = {body["name"].removesuffix("@one") for body in own.status() if body["alive"]}
    wanted = {"flights.handler", "parcels.handler", "flights", "board", "punctuality", "aircraft", "parcels", "sightings"}
    wanted |= {"accounts.handler", "accounts", "statements", "transfers", "totals"}
    wanted |= {"transfers.process-manager", "transfers-timers"}
    assert found == wanted | {"returns.process-manager", "returns-timers"}
    assert "all 17 run" in own.run("doctor").stdout
    started = re.findall(r'daemon="?(run [^"]*?)"? pid=', own.daemons[0].log)
    assert "run process-manager returns" in started
    assert "run projector returns-timers" not in started


def test_its_process_manager_sends_a_parcel_back_that_was_returned(own: Sandbox) -> None:
    own.ok("parcels", "post", "P-7", "--depot", "Oslo", "--weight", "1200")
    own.ok("parcels", "return", "P-7", "--reason", "moved")
    own.caught_up_by_command("returns.process-manager")
    own.caught_up_by_command("parcels.handler")
    own.caught_up_by_command("parcels")
    assert own.json("query", "parcels", "P-7-back")["depot"] == "moved"


def test_a_domain_that_is_not_enabled_is_not_there(own: Sandbox) -> None:
    assert "No such command" in own.run("parcels", "post", "--help", environ={"EVENTFOLD_DOMAINS": "flights"}).stderr
    assert "not installed" in own.fails(2, "status", environ={"EVENTFOLD_DOMAINS": "weather"})
