"""The rooms of the house: import-linter's contracts hold, each catches what it forbids, and no imports go in a circle."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("kafka", "processors", "producers", "projections", "schemas", "store", "tools", "web")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("eventfold", *ROOMS, *(f"examples/{name}" for name in ("accounts", "flights", "parcels"))):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def broken(folder: Path) -> list[str]:
    """The names of the contracts that do not hold."""
    found = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = re.findall(r"^(.+?) (KEPT|BROKEN)\b", found.stdout, re.MULTILINE)
    assert verdicts, found.stdout + found.stderr
    names = [name for name, verdict in verdicts if verdict == "BROKEN"]
    assert (found.returncode == 0) == (not names)
    return names


def test_the_contracts_hold(copy: Path) -> None:
    assert broken(copy) == []


def test_each_contract_catches_what_it_forbids(copy: Path) -> None:
    for room, forbidden in (
        ("producers", "import eventfold.projections.projection"),
        ("projections", "import eventfold"),
        ("schemas", "import flights.schemas"),
        ("producers", "import projections.projection"),
        ("processors", "import fastavro"),
        ("tools", "import confluent_kafka"),
        ("kafka", "import redis"),
        ("projections", "import avro.schema"),
        ("store", "import starlette"),
        ("tools", "import eventfold.schemas.testing"),
        ("web/queries", "import eventfold.web.commands.resources"),
    ):
        (copy / room / f"bad_{forbidden.split()[-1].split('.')[0]}.py").write_text(f"{forbidden}\n")
    names = {name.partition(":")[0] for name in broken(copy)}
    assert names == {
        "Rooms",
        "No production code imports a test kit",
        "No room knows the front door",
        "A room is imported as eventfold.<room>, never by the name of its folder",
        "Generic code never imports a domain",
        "Only the codec knows fastavro",
        "Only the compatibility check knows the Apache Avro library",
        "Only the room kafka knows Kafka's client",
        "Only the room store knows Redis' client",
        "Only what serves knows the extra `serve`",
        "The two sides meet in the server alone",
    }


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("projections", "eventfold.producers.decider"),
        ("schemas", "eventfold.producers.decider"),
        ("producers", "eventfold.tools.run_cli"),
    ],
)
def test_the_rooms_are_layers_and_the_two_sides_never_meet(copy: Path, room: str, forbidden: str) -> None:
    (copy / room / "bad.py").write_text(f"import {forbidden}\n")
    assert [name.partition(":")[0] for name in broken(copy)] == ["Rooms"]


def redis_commands(room: str) -> list[str]:
    """Where a room's modules call a command on something that is named as a Redis client is."""
    commands = {name for name in dir(Redis) if not name.startswith("_")}
    found = []
    for path in sorted((REPOSITORY / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in commands:
                on = node.func.value
                name = on.attr if isinstance(on, ast.Attribute) else on.id if isinstance(on, ast.Name) else ""
                if name.endswith("redis"):
                    found.append(f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.func.attr}")
    return found


def test_only_the_room_store_sends_commands_to_redis() -> None:
    assert redis_commands("store")
    for room in ("eventfold", *ROOMS):
        if room != "store":
            assert redis_commands(room) == []


def modules(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The modules of a package with their files, links followed."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            yield from modules(path, f"{name}.{path.name}")
        elif path.suffix == ".py":
            yield name if path.stem == "__init__" else f"{name}.{path.stem}", path


def imported(path: Path) -> Iterator[str]:
    """What a module imports itself, also under TYPE_CHECKING alone; not what a function imports once it is called."""
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: imports are absolute"
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += ast.iter_child_nodes(node)


def circle(package: Path) -> list[str]:
    """A circle of modules that import each other; empty when there is none."""
    paths = dict(modules(package, package.name))
    # The front door is imported along with every module of the package; loading names from the rooms later is its job.
    graph = {name: {other for other in imported(path) if other in paths} - {package.name} for name, path in paths.items()}
    assert len(graph) > 200, "the rooms were looked into"
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_import_circles(copy: Path) -> None:
    assert circle(copy / "eventfold") == []
    (copy / "store" / "chicken.py").write_text("import eventfold.store.egg\n")
    (copy / "store" / "egg.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from eventfold.store import chicken\n"
    )
    assert sorted(set(circle(copy / "eventfold"))) == ["eventfold.store.chicken", "eventfold.store.egg"]
