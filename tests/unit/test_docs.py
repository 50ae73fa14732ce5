"""Documents name what there is: links, modules, files, commands and their options, settings, make's targets."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from eventfold.cli import front_door
from eventfold.schemas import plugins

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("eventfold", "kafka", "processors", "producers", "projections", "schemas", "store", "tools", "web")
PAGES = [REPOSITORY / path for path in ("README.md", "CHANGELOG.md")]
PAGES += [path for pattern in ("docs/*.md", "examples/*/README.md") for path in sorted(REPOSITORY.glob(pattern))]
ENTRY_POINTS = {plugins.PAGES, plugins.PROCESSORS, plugins.PRODUCERS, plugins.PROJECTIONS, plugins.SCHEMAS}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
PLACEHOLDER = re.compile(r"…|\.\.\.|<.*>|[A-Z_]+(\.\.\.)?")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(page.read_text()) if found == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    return [" ".join(span.split()) for span in SPAN.findall(prose(page))]


@functools.cache
def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in an address: small letters, hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = [link.partition("#") for link in LINK.findall(prose(page)) if not re.match(r"https?://", link)]
    targets = [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in links]
    assert [target for target, _ in targets if not target.exists()] == []
    assert [f"{target}#{anchor}" for target, anchor in targets if anchor and anchor not in anchors(target)] == []


def is_there(dotted: str) -> bool:
    """A module, or what one has."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


@each_page
def test_modules_and_what_is_said_to_be_in_them_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w/.-])eventfold(?:\.\w+)+", page.read_text()))
    assert [dotted for dotted in named - ENTRY_POINTS if not is_there(dotted)] == []


@functools.cache
def classes() -> dict[str, str]:
    """The module of each class of the rooms, by the class' name."""
    files = [file for room in ROOMS for file in (REPOSITORY / room).rglob("*.py")]
    modules = {file: ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removeprefix("eventfold.") for file in files}
    return {name: f"eventfold.{module}" for file, module in modules.items() for name in CLASS.findall(file.read_text())}


@each_page
def test_classes_exist_and_have_what_is_said_of_them(page: Path) -> None:
    called = {name for span in spans(page) for name in re.findall(r"(?<![\w.])(\w+Error|[A-Z][a-z]\w+(?=\())", span)}
    assert called - set(classes()) == set()
    dotted = {tuple(found) for span in spans(page) for found in re.findall(r"(?<![\w.])([A-Z]\w+)\.([a-z]\w+)\b", span)}
    ours = [(name, has) for name, has in dotted if name in classes()]
    assert [f"{name}.{has}" for name, has in ours if not is_there(f"{classes()[name]}.{name}.{has}")] == []


@each_page
def test_paths_exist(page: Path) -> None:
    top = {path.name for path in REPOSITORY.iterdir()}
    rows = re.findall(r"^([a-z]+/) (.*(?:\n  .*)*)", "".join(blocks(page, "")), re.MULTILINE)
    drawn = [path for room, about in rows for path in (room, *(room + name for name in re.findall(r"\b\w+/", about)))]
    paths = [path for path in [*drawn, *spans(page)] if re.fullmatch(r"[\w.-]+/|[\w.-]+(/[\w.-]+)+/?", path)]
    ours = [path for path in paths if path.partition("/")[0] in top or path.endswith(".py")]
    assert [path for path in ours if not (REPOSITORY / path).exists() and not (page.parent / path).exists()] == []


def typed(page: Path) -> list[str]:
    """The lines that a reader is to type, each with those that a backslash continues."""
    lines = re.findall(r"^\$ ((?:.*\\\n)*.*)", "".join(blocks(page, "console")), re.MULTILINE)
    return [line.replace("\\\n", " ") for line in lines]


def commands(page: Path) -> Iterator[str]:
    """Every call of eventfold that a page shows, in a console block or within a sentence."""
    for line in typed(page):
        shell = shlex.shlex(line, posix=True, punctuation_chars=";|&")
        shell.whitespace_split = True
        call: list[str] = []
        for word in [*shell, ";"]:
            if set(word) <= set(";|&"):
                yield shlex.join(call)
                call = []
            elif word not in {"do", "done"} and (call or "=" not in word):
                call.append(word)
    for span in spans(page):
        yield re.sub(r"^([A-Z_]+=\S+ )+", "", span)


@functools.cache
def root() -> click.Context:
    context = click.Context(front_door, info_name="eventfold")
    with context:
        assert front_door.callback is not None
        context.invoke(front_door.callback, instance=None)
    return context


def options(at: list[click.Context]) -> dict[str, click.Option]:
    found = [param for context in at for param in context.command.get_params(context) if isinstance(param, click.Option)]
    return {name: option for option in found for name in (*option.opts, *option.secondary_opts)}


def below(at: list[click.Context], names: list[str] | None) -> list[click.Context]:
    """The commands of these groups that are called so, or all of them."""
    found = []
    for context in at:
        group = context.command
        assert isinstance(group, click.Group)
        for name in group.list_commands(context) if names is None else names:
            _, command, _ = group.resolve_command(context, [name])
            assert command is not None
            found.append(click.Context(command, parent=context, info_name=name))
    return found


def unknown(call: str) -> str | None:
    """What of a call does not exist: `eventfold run all`, `eventfold dead-letters list|show`, `eventfold query … --as-of`."""
    at, value_of_option = [root()], False
    for word in shlex.split(call)[1:]:
        word = word.strip("[]")
        if value_of_option:
            value_of_option = False
        elif re.match(r"--?[a-z]", word):
            option = options(at).get(word.partition("=")[0])
            if option is None:
                return f"no option {word}"
            value_of_option = not option.is_flag and not option.count and "=" not in word
        elif all(isinstance(c.command, click.Group) for c in at):
            try:
                at = below(at, None if PLACEHOLDER.fullmatch(word) else word.split("|"))
            except click.UsageError as error:
                return error.message
    return None


@each_page
def test_commands_and_their_options_exist(page: Path) -> None:
    calls = [call for call in commands(page) if re.match(r"eventfold( |$)", call)]
    assert [f"`{call}`: {missing}" for call in calls if (missing := unknown(call))] == []


def everything(at: list[click.Context]) -> Iterator[click.Context]:
    for context in at:
        yield context
        if isinstance(context.command, click.Group):
            yield from everything(below([context], None))


@each_page
def test_options_exist(page: Path) -> None:
    """Those that stand without a command: `--after POSITION`."""
    known = options(list(everything([root()])))
    named = [found for span in spans(page) for found in re.findall(r"^--[a-z-]+", span)]
    assert [name for name in named if name not in known] == []


def test_a_command_that_is_not_there_is_found() -> None:
    assert unknown("eventfold query flights ID --as-off TIME") == "no option --as-off"
    assert unknown("eventfold query … --as-of") is None
    assert unknown("eventfold query … --carrier") == "no option --carrier"
    assert unknown("eventfold dead-letters list|keep") == "No such command 'keep'."


@each_page
def test_snippets_compile_and_what_they_import_is_there(page: Path) -> None:
    nodes = [node for block in blocks(page, "python") for node in ast.walk(ast.parse(block))]
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert [f"{node.module}.{a.name}" for node in froms for a in node.names if not is_there(f"{node.module}.{a.name}")] == []


@each_page
def test_snippets_run_one_after_the_other(page: Path) -> None:
    """All but those of the client, which needs Kafka and Redis."""
    parcels = plugins.load(plugins.PROCESSORS, "parcels")
    assert parcels is not None
    names: dict[str, object] = {"decider": parcels.decider}
    for block in blocks(page, "python"):
        if "Client()" not in block:
            exec(compile(block, page.name, "exec"), names)


def test_entry_points_of_the_readme_are_those_of_the_example() -> None:
    told = tomllib.loads("".join(blocks(REPOSITORY / "README.md", "toml")))["project"]["entry-points"]
    example = tomllib.loads((REPOSITORY / "examples/parcels/pyproject.toml").read_text())["project"]["entry-points"]
    assert told.pop(plugins.PAGES) == {"parcels": "parcels.pages"}, "views are optional, and parcels have none"
    assert told == {group: {"parcels": domains["parcels"]} for group, domains in example.items()}


def test_settings_are_those_of_the_code() -> None:
    code = "".join(path.read_text() for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
    told = "".join(page.read_text() for page in PAGES)
    setting = re.compile(r"\bEVENTFOLD_[A-Z_]+\b")
    assert set(setting.findall(told)) == set(setting.findall(code))


@each_page
def test_targets_of_make_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert [
        call
        for call in [*spans(page), *typed(page)]
        if (named := re.match(r"make ([a-z-]+)", call)) and named[1] not in targets
    ] == []
