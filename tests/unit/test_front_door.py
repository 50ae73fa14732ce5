"""What users import, and the command line: whole, and cheap until something is asked for."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import eventfold
from eventfold.cli import front_door
from eventfold.listed import COMMANDS, Listed

DAEMONS = "eventfold.processors.runtime structlog"
CODEC = "eventfold.schemas.codec avro"
CLIENTS = "confluent_kafka redis fastavro"


def imported_for_types() -> Iterator[tuple[str, str]]:
    """(home, name) of each import below `if TYPE_CHECKING`."""
    for node in ast.parse(Path(eventfold.__file__).read_text()).body:
        if isinstance(node, ast.If):
            for found in node.body:
                assert isinstance(found, ast.ImportFrom) and found.module is not None
                yield from ((found.module, name.name) for name in found.names)


def test_types_and_values_have_the_same_homes() -> None:
    homes = {(f"eventfold.{home}", name) for name, home in eventfold._HOME_OF.items()}
    assert set(imported_for_types()) == homes
    assert sorted(eventfold._HOME_OF) == sorted(eventfold.__all__)
    assert len(set(eventfold.__all__)) == len(eventfold.__all__)


@pytest.mark.parametrize("name", eventfold.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(eventfold, name) is getattr(importlib.import_module(f"eventfold.{eventfold._HOME_OF[name]}"), name)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'eventfold' has no attribute 'Absent'"):
        _ = eventfold.Absent
    assert set(eventfold.__all__) <= set(dir(eventfold))


@pytest.mark.parametrize("listed", COMMANDS, ids=lambda listed: listed.name)
def test_a_command_is_as_it_is_listed(listed: Listed) -> None:
    command = listed.load()
    assert isinstance(command, click.Command) and not isinstance(command, Listed)
    assert (listed.name, listed.hidden, listed.deprecated) == (command.name, command.hidden, command.deprecated)
    for limit in (20, 45, 62, 1_000):
        assert listed.get_short_help_str(limit) == command.get_short_help_str(limit)


def test_a_listed_command_is_loaded_when_it_is_run() -> None:
    context = click.Context(front_door)
    name, command, rest = front_door.resolve_command(context, ["query", "--help"])
    assert (name, rest) == ("query", ["--help"])
    assert isinstance(command, click.Group) and command is not front_door.commands["query"]


@pytest.mark.parametrize(
    ("source", "absent"),
    [
        ("import eventfold", f"{CLIENTS} {DAEMONS} {CODEC} click rich eventfold.schemas"),
        ("from eventfold import Projection, Table", f"confluent_kafka fastavro {DAEMONS} {CODEC} rich"),
        ("from eventfold.testing import given", "confluent_kafka structlog rich"),
        ("import sys; from eventfold.cli import main; sys.argv[1:] = ['--help']; main()", f"{DAEMONS} {CODEC} rich"),
        ("import sys; from eventfold.cli import main; sys.argv[1:] = ['query', '--help']; main()", f"{DAEMONS} {CODEC} rich"),
    ],
    ids=["import", "declaration", "testing", "help", "query"],
)
def test_what_is_not_asked_for_is_not_imported(source: str, absent: str) -> None:
    """Each of these would take a good part of a query's time."""
    told = f"import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules, file=sys.stderr)); {source}"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    loaded = done.stderr.rpartition("loaded ")[2].split()
    assert "eventfold" in loaded
    assert set(absent.split()) & set(loaded) == set()
