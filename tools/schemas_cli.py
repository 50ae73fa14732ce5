"""`eventfold schemas`: what there is, what changed, and whether it may be released."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

from eventfold.processors.runtime import Runtime
from eventfold.projections.index import index_of
from eventfold.schemas import own
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.compatibility.contract import Contract
from eventfold.schemas.compatibility.problem import Problem
from eventfold.schemas.errors import FAILED, EventfoldError, UsageError
from eventfold.schemas.terminal import say
from eventfold.tools.history_check import looking
from eventfold.tools.history_check.looking import contract_of, domain_option
from eventfold.tools.history_check.noted import Noted
from eventfold.tools.history_check.recording import Recording
from eventfold.tools.history_check.replay import Today, replay, uncovered
from eventfold.tools.history_check.results import Recorded
from eventfold.tools.history_check.samples import History
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show as show_rows

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def schemas() -> None:
    """The versions of all messages: look at them, compare them, check and release new ones."""


for _command in (looking.list_, looking.show, looking.diff):
    schemas.add_command(_command)


@schemas.command()
@domain_option
@click.option("--history", "folder", type=_FOLDER, metavar="PATH", help="A folder of recorded samples.")
@pass_runtime
def check(runtime: Runtime, domain: str | None, folder: Path | None) -> None:
    """Say all that is wrong with the schemas, a line each; exit 1 if anything is.

    With --history, recorded samples of every version are read and folded by today's code too. Needs no Kafka and no Redis.
    """
    contract, domains = contract_of(runtime, domain)
    problems = [*contract.check(domains), *contract.unreleased(domains)]
    types = contract.versions(domains)
    summary = f"{sum(map(len, types))} versions of {len(types)} messages of {', '.join(sorted(domains))}"
    if folder is None:
        summary += "; no history was replayed (--history PATH)"
    else:
        found, samples = _replayed(runtime, contract, domains, folder)
        problems += found
        summary += f"; {samples} samples in {folder} are read and folded as they were recorded"
    _end(problems)
    say(f"{summary}: no problem")


@schemas.command()
@domain_option
@pass_runtime
def release(runtime: Runtime, domain: str | None) -> None:
    """Note every version that is not released yet in its domain's released.txt; from then on it may not change.

    Refused where the check finds any other problem. Commit the file together with the schemas.
    """
    contract, domains = contract_of(runtime, domain)
    _end(contract.check(domains))
    names = [(name, added) for name in sorted(domains) for added in contract.release(name)]
    for name, added in names:
        say(f"{name}: {added}")
    say(f"released: {len(names)}" if names else "every version is released already")


@schemas.command()
@domain_option
@json_option
@pass_runtime
def register(runtime: Runtime, domain: str | None, as_json: bool) -> None:
    """Register every version in the schema registry (SCHEMA_REGISTRY_URL), and show their ids.

    Refused where the check finds a problem. What is there already stays as it is; a subject, called like the message, is set
    to BACKWARD_TRANSITIVE before its first version.
    """
    if runtime.registry is None:
        raise UsageError("no schema registry is configured: set SCHEMA_REGISTRY_URL")
    contract, domains = contract_of(runtime, domain)
    _end([*contract.check(domains), *contract.unreleased(domains)])
    registry = runtime.registry
    rows = []
    written = [name for name in domains if name != own.FORMER]
    for message in (message for versions in contract.versions(written) for message in versions):
        known = registry.find(message)
        id_ = registry.register(message) if known is None else known
        rows.append({"type": message.type, "version": message.version, "id": id_, "new": known is None})
    show_rows(rows, as_json)


@schemas.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--history", "folder", type=_FOLDER, metavar="PATH", required=True, help="Where the samples lie, or are to lie.")
@pass_runtime
def record(runtime: Runtime, file: IO[bytes] | None, folder: Path) -> None:
    """Add samples to the recorded history, and note what today's code makes of all of them.

    FILE (- is stdin) has a JSON object a line: type, key, data; commands are decided, events are taken as they are. Without
    it, only what the samples are folded into is noted anew. Samples that are there are never changed. Refused where one of
    them cannot be folded any more, or is folded into something else by a projection or a decider of the same version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before, recorded = History.read(folder, runtime.names.prefix).of(runtime.domain_names), Recorded.read(folder)
    catalog = Catalog.installed(runtime.domain_names)
    today = _today(runtime, Codec(catalog, Noted(catalog, before.schemas)))
    problems, results = replay(before, today)
    _end([*problems, *recorded.changed(results)])
    recording = Recording(before, today)
    if file is not None:
        recording.add(file, file.name)
    problems, results = replay(recording.history, today)
    _end(problems)
    recording.history.write(recording.added)
    recorded.write(results)
    for (topic, partition), number in recording.added.items():
        say(f"{topic}/{partition}: samples added: {number}")
    say(f"{recorded.path}: written")


def _replayed(runtime: Runtime, contract: Contract, domains: Sequence[str], folder: Path) -> tuple[list[Problem], int]:
    """What goes wrong with the samples of these domains, and how many there are."""
    history = History.read(folder, runtime.names.prefix).of(domains)
    try:
        catalog = Catalog(contract.folders, contract.upcasters)
        codec = Codec(catalog, Noted(catalog, history.schemas))
    except EventfoldError as error:
        return [Problem(folder, f"nothing is replayed, since today's code does not start: {error}")], 0
    # Our own messages are written by handlers, and by none under the former name.
    own_ones = {own.NAME} if runtime.domains else set()
    expected = [name for name in domains if name not in own.NAMES or name in own_ones]
    problems, results = replay(history, _today(runtime, codec))
    problems += [*uncovered(history, codec, expected), *Recorded.read(folder).check(results)]
    return problems, sum(map(len, history.slices.values()))


def _today(runtime: Runtime, codec: Codec) -> Today:
    # An index is there where an environment wants it, and has no code of a domain.
    indexes = {index_of(name, ()).name for name in runtime.domain_names}
    return Today(
        codec=codec,
        projections=[each for name, each in runtime.projections.items() if name not in indexes],
        domains=runtime.domains,
        process_managers=list(runtime.process_managers.values()),
    )


def _end(problems: Sequence[Problem]) -> None:
    """Tell the problems and end, if there are any; each once."""
    here = Path.cwd()
    near = (each._replace(path=each.path.relative_to(here)) if each.path.is_relative_to(here) else each for each in problems)
    said = list(dict.fromkeys(map(str, near)))
    for says in said:
        say(says)
    if said:
        say(f"eventfold: {len(said)} {'problem' if len(said) == 1 else 'problems'}", err=True)
        sys.exit(FAILED)
