"""The built wheel in an empty environment, beside an application whose own packages are called as our rooms are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from release_check import EXAMPLE, Built, build, check_contents, environment_of, smoke, wheel_of
from tests.support.deadline import eventually
from tests.support.local_stack import REPOSITORY, clean_environ
from tests.support.sandbox import OpenSandbox, Sandbox

SHOP = Path(__file__).with_name("shop")
APPLICATION = """
import json, schemas, tools, web
import eventfold.schemas
from eventfold import Client

client = Client()
outcome = client.submit("shop.StockItem", "apple", {"count": 3})
shelf = client.query("stock", id="apple", after=outcome)
refused = client.submit("shop.StockItem", "apple", {"count": 0})
docs = [module.__doc__ for module in (schemas, tools, web)]
print(json.dumps([outcome.accepted, shelf, refused.code, docs, schemas.__file__ != eventfold.schemas.__file__]))
"""
# mypy says so when one of the two comments that it must need is not needed: what it cannot see is `Any`.
USER = """
from eventfold import Client, Decider, Domain, Message, Outcome, Projection, Refusal, Table
from eventfold.testing import given

def decide(state: dict[str, int], command: Message) -> list[Message] | Refusal:
    return [Message("shop.ItemStocked", command.data)]

def evolve(state: dict[str, int], event: Message) -> dict[str, int]:
    return {"count": state.get("count", 0) + 1}

decider = Decider(version=1, initial=dict, decide=decide, evolve=evolve)
domain = Domain(name="shop", decider=decider)
stock = Projection(name="stock", version=1, topics=("shop.events",), tables=(Table(name="stock"),))
given(decider).when(Message("shop.StockItem", {})).then(Message("shop.ItemStocked", {}))

def restock(client: Client) -> Outcome:
    return client.submit("shop.StockItem", "apple", {"count": 3})

Projection(name="stock", version="1", topics=(), tables=())  # type: ignore[arg-type]
given(stock).then_refused("nothing")  # type: ignore[attr-defined]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def python(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, the shop and the example that `make release-check` takes, and no more."""
    folder = tmp_path_factory.mktemp("shop")
    wheels = [wheel_of(SHOP, folder / "wheel"), wheel_of(EXAMPLE, folder / "example")]
    return environment_of(Path(sys.executable), folder / "environment", built.wheel, *wheels)


@pytest.fixture
def shop(open_sandbox: OpenSandbox, python: Path) -> Iterator[Sandbox]:
    """Topics and daemons of the shop, all run by the environment's own `eventfold`."""
    with open_sandbox(partitions=0, EVENTFOLD_DOMAINS="shop") as sandbox:
        told = run(sandbox, str(python.with_name("eventfold")), "topics", "create", "--partitions", "2")
        assert "shop.events: created" in told
        log = sandbox.folder / "all.log"
        with log.open("wb") as output:
            daemons = subprocess.Popen(
                [python.with_name("eventfold"), "run", "all"],
                env=sandbox.environ,
                cwd=sandbox.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(lambda: log.read_text().count("event=assigned") == 2, "handler and projector have their partitions")
            yield sandbox
            daemons.terminate()
            assert daemons.wait(45) == 0, log.read_text()
        finally:
            daemons.kill()
            daemons.wait()


def run(sandbox: Sandbox, *command: str) -> str:
    done = subprocess.run(command, env=sandbox.environ, cwd=sandbox.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package_below_one_name(built: Built) -> None:
    files = check_contents(built)
    assert {file.partition("/")[0] for file in files} == {"eventfold"}
    assert {"py.typed", "schemas/eventfold/released.txt", "schemas/eventfold/events/CommandRefused.v1.avsc"} < {
        file.removeprefix("eventfold/") for file in files
    }
    assert {Path(file).suffix for file in files if file.startswith("eventfold/web/shell/")} > {".html", ".js", ".css", ".mjs"}


def test_what_make_release_check_tries_of_each_python(built: Built, python: Path) -> None:
    smoke(python, built.wheel.name.split("-")[1])


def test_an_application_with_packages_called_like_our_rooms_runs_its_own_domain(shop: Sandbox, python: Path) -> None:
    eventfold = str(python.with_name("eventfold"))
    assert "Keep the shelves filled." in run(shop, eventfold, "--help")
    accepted, shelf, refused, docs, apart = json.loads(run(shop, str(python), "-c", APPLICATION))
    assert (accepted, refused, apart) == (True, "nothing", True)
    assert shelf == {"item": "apple", "count": 3}
    assert docs == ["The messages of the shop.", "What the shop decides with.", "What the shop shows."]
    stocked = json.loads(run(shop, eventfold, "shop", "stock", "apple", "4", "--json"))
    found = run(shop, eventfold, "query", "stock", "apple", "--after", stocked["positions"][0], "--json")
    assert json.loads(found) == {"item": "apple", "count": 7}


@pytest.mark.parametrize("installed", ["wheel", "editable"])
def test_a_users_strict_mypy_sees_the_types(installed: str, python: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    seen_from = python if installed == "wheel" else Path(sys.executable)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(seen_from), "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Success"), done.stdout + done.stderr


def test_an_editable_install_lends_no_room_its_bare_name(tmp_path: Path) -> None:
    """An application beside it keeps its own `schemas`, whatever is installed first."""
    for room in ("kafka", "schemas", "store", "tools", "web"):
        code = f"import importlib.util as u; assert u.find_spec('eventfold.{room}'); assert u.find_spec('{room}') is None"
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean_environ(), check=True)


def test_a_checkout_whose_links_are_text_files_is_not_built(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "setup.py", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "eventfold").write_text("../eventfold")
    done = subprocess.run([sys.executable, "setup.py", "--name"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this checkout has text files where symbolic links belong" in done.stderr
    assert "Traceback" not in done.stderr
