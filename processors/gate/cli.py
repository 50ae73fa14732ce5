"""`logfold schemas`: what there is, what changed, and whether it may be released."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

from processors.cli import json_option, pass_runtime
from processors.gate.recording import Recording
from processors.gate.replay import Today, replay, uncovered
from processors.gate.results import Recorded
from processors.gate.samples import History
from processors.runtime import Runtime
from projections.index import index_of
from projections.show import show as show_rows
from schemas.catalog import Catalog, MessageSchema, installed
from schemas.codec import Codec
from schemas.errors import FAILED, LogfoldError, NotFoundError, UsageError
from schemas.gate.contract import Contract
from schemas.gate.difference import default_text, differences
from schemas.gate.evolution import unreadable
from schemas.gate.problem import Problem
from schemas.gate.released import Released
from schemas.parsed import fingerprint, type_name
from schemas.plugins import OWN

domain_option = click.option("--domain", help="Only this one; by default every enabled domain and logfold's own messages.")
history_option = click.option(
    "--history", "folder", type=click.Path(path_type=Path), metavar="PATH", help="A folder of recorded samples."
)


@click.group()
def schemas() -> None:
    """The versions of all messages: look at them, compare them, check and release new ones."""


@schemas.command()
@domain_option
@history_option
@pass_runtime
def check(runtime: Runtime, domain: str | None, folder: Path | None) -> None:
    """Say all that is wrong with the schemas, a line each; exit 1 if anything is.

    With --history, recorded samples of every version are read and folded by today's code too. Needs no Kafka and no Redis.
    """
    contract, domains = _contract(runtime, domain)
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
    click.echo(f"{summary}: no problem")


@schemas.command("list")
@domain_option
@json_option
@pass_runtime
def list_(runtime: Runtime, domain: str | None, as_json: bool) -> None:
    """List every version of every message."""
    contract, domains = _contract(runtime, domain)
    released = {name: Released.read(contract.folders[name]) for name in domains}
    rows = [
        {
            "type": message.type,
            "version": message.version,
            "kind": message.kind,
            "fingerprint": fingerprint(message).hex(),
            "released": message in released[message.domain],
        }
        for versions in contract.versions(domains)
        for message in versions
    ]
    show_rows(rows, as_json)
    for problem in contract.problems:
        click.echo(f"not listed: {problem}", err=True)


@schemas.command()
@click.argument("type", metavar="TYPE")
@click.option("--version", type=click.IntRange(min=1), help="By default the newest.")
@json_option
@pass_runtime
def show(runtime: Runtime, type: str, version: int | None, as_json: bool) -> None:
    """Show one version of TYPE (flights.FlightArrived), or the one whose fingerprint TYPE is (16 hex digits, as in errors).

    JSON is the schema itself.
    """
    contract, _ = _contract(runtime, None)
    message = _by_fingerprint(contract, type) or _version(contract, type, version)
    if as_json:
        show_rows(message.schema, True)
        return
    head = {
        "type": f"{message.type} version {message.version} ({message.kind})",
        "doc": message.schema.get("doc"),
        "fingerprint": fingerprint(message).hex(),
        "released": message in Released.read(contract.folders[message.domain]),
        "file": str(message.path),
    }
    show_rows(head, False)
    click.echo()
    show_rows(_fields(message.schema, ""), False, empty="it has no fields")


@schemas.command()
@click.argument("type", metavar="TYPE")
@click.argument("older", type=int, required=False, metavar="[V1]")
@click.argument("newer", type=int, required=False, metavar="[V2]")
@pass_runtime
def diff(runtime: Runtime, type: str, older: int | None, newer: int | None) -> None:
    """Say what changed from version V1 of TYPE to V2, by default the newest and the one before it; exit 1 where V2 cannot
    read V1.
    """
    contract, _ = _contract(runtime, None)
    new = _version(contract, type, newer)
    old = _version(contract, type, max(new.version - 1, 1) if older is None else older)
    click.echo(f"{type} version {old.version} to {new.version} ({new.kind})")
    _list(differences(old, new) or ["nothing but docs, if anything"])
    upcasters = [of for of in contract.upcasters if of.type == type and old.version <= of.version < new.version]
    _list([f"upcaster from version {of.version} to {of.version + 1}: {of.name}" for of in upcasters])
    backward, forward = unreadable(new, old), unreadable(old, new)
    for reader, writer, wrong in ((new, old, backward), (old, new, forward)):
        reads = "cannot read" if wrong else "reads"
        click.echo(f"version {reader.version} {reads} what is written with version {writer.version}, by Avro's rules")
        _list(wrong)
    if backward:
        sys.exit(FAILED)


@schemas.command()
@domain_option
@pass_runtime
def release(runtime: Runtime, domain: str | None) -> None:
    """Note every version that is not released yet in its domain's released.txt; from then on it may not change.

    Refused where the check finds any other problem. Commit the file together with the schemas.
    """
    contract, domains = _contract(runtime, domain)
    _end(contract.check(domains))
    names = [(name, added) for name in sorted(domains) for added in contract.release(name)]
    for name, added in names:
        click.echo(f"{name}: {added}")
    click.echo(f"{len(names)} versions released" if names else "every version is released already")


@schemas.command()
@click.argument("file", type=click.File("rb"), required=False)
@history_option
@pass_runtime
def record(runtime: Runtime, file: IO[bytes] | None, folder: Path | None) -> None:
    """Add samples to the recorded history, and note what today's code makes of all of them.

    FILE (- is stdin) has a JSON object a line: type, key, data; commands are decided, events are taken as they are. Without
    it, only what the samples are folded into is noted anew. Samples that are there are never changed. Refused where one of
    them cannot be folded any more, or is folded into something else by a projection or a decider of the same version.
    """
    if folder is None:
        raise UsageError("say where the samples lie, or are to lie: --history PATH")
    folder.mkdir(parents=True, exist_ok=True)
    today = _today(runtime, Codec(Catalog.installed(runtime.domain_names)))
    before, recorded = History.read(folder, runtime.names.prefix), Recorded.read(folder)
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
        click.echo(f"{topic}/{partition}: {number} samples added")
    click.echo(f"{recorded.path}: written")


def _contract(runtime: Runtime, domain: str | None) -> tuple[Contract, Sequence[str]]:
    """All schemas, and the domains that are asked about."""
    contract = Contract.read(*installed(runtime.domain_names))
    if domain is not None and domain not in contract.folders:
        raise UsageError(f"no domain is called {domain!r}; there are: {', '.join(sorted(contract.folders))}")
    return contract, list(contract.folders) if domain is None else [domain]


def _replayed(runtime: Runtime, contract: Contract, domains: Sequence[str], folder: Path) -> tuple[list[Problem], int]:
    """What goes wrong with the samples of these domains, and how many there are."""
    try:
        codec = Codec(Catalog(contract.folders, contract.upcasters))
    except LogfoldError as error:
        return [Problem(folder, f"nothing is replayed, since today's code does not start: {error}")], 0
    history = History.read(folder, runtime.names.prefix).of(domains)
    # Logfold's own messages are written by handlers.
    expected = [name for name in domains if name != OWN or runtime.domains]
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


def _version(contract: Contract, type_: str, version: int | None) -> MessageSchema:
    types = {of[0].type: of for of in contract.versions(list(contract.folders))}
    if type_ not in types:
        raise NotFoundError(f"no message is called {type_!r}; there are: {', '.join(sorted(types))}")
    if version is None:
        return types[type_][-1]
    for message in types[type_]:
        if message.version == version:
            return message
    raise NotFoundError(f"{type_} has no version {version}; there are: {', '.join(str(of.version) for of in types[type_])}")


def _by_fingerprint(contract: Contract, text: str) -> MessageSchema | None:
    for messages in contract.messages.values():
        for message in messages:
            if fingerprint(message).hex() == text.lower():
                return message
    return None


def _fields(schema: Any, path: str) -> list[dict[str, Any]]:
    """A row a field, those of records inside of it below it."""
    if isinstance(schema, list):
        return [row for branch in schema for row in _fields(branch, path)]
    if not isinstance(schema, dict):
        return []
    rows = [row for of in ("items", "values") if of in schema for row in _fields(schema[of], path)]
    for field in schema.get("fields", ()):
        name = path + field["name"]
        row = {"field": name, "type": type_name(field["type"]), "default": default_text(field), "doc": field.get("doc")}
        rows += [row, *_fields(field["type"], f"{name}.")]
    return rows


def _list(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        click.echo(f"  - {sentence}")


def _end(problems: Sequence[Problem]) -> None:
    """Tell the problems and end, if there are any; each once."""
    here = Path.cwd()
    near = (each._replace(path=each.path.relative_to(here)) if each.path.is_relative_to(here) else each for each in problems)
    said = list(dict.fromkeys(map(str, near)))
    for says in said:
        click.echo(says)
    if said:
        click.echo(f"logfold: {len(said)} {'problem' if len(said) == 1 else 'problems'}", err=True)
        sys.exit(FAILED)
