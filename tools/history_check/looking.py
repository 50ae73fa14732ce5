"""`eventfold schemas list`, `show` and `diff`: what there is, and what changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from eventfold.processors.runtime import Runtime
from eventfold.schemas.catalog import MessageSchema, installed
from eventfold.schemas.compatibility.contract import Contract
from eventfold.schemas.compatibility.difference import default_text, differences
from eventfold.schemas.compatibility.evolution import unreadable
from eventfold.schemas.compatibility.released import Released
from eventfold.schemas.errors import FAILED, UsageError
from eventfold.schemas.parsed import fingerprint, type_name
from eventfold.schemas.terminal import say
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show as show_rows

domain_option = click.option("--domain", help="Only this one; by default every enabled domain and eventfold's own messages.")


def contract_of(runtime: Runtime, domain: str | None) -> tuple[Contract, Sequence[str]]:
    """All schemas, and the domains that are asked about."""
    contract = Contract.read(*installed(runtime.domain_names))
    if domain is not None and domain not in contract.folders:
        raise UsageError(f"no domain is called {domain!r}; there are: {', '.join(sorted(contract.folders))}")
    return contract, list(contract.folders) if domain is None else [domain]


@click.command("list")
@domain_option
@json_option
@pass_runtime
def list_(runtime: Runtime, domain: str | None, as_json: bool) -> None:
    """List every version of every message."""
    contract, domains = contract_of(runtime, domain)
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
        say(f"not listed: {problem}", err=True)


@click.command()
@click.argument("type", metavar="TYPE")
@click.option("--version", type=click.IntRange(min=1), help="By default the newest.")
@json_option
@pass_runtime
def show(runtime: Runtime, type: str, version: int | None, as_json: bool) -> None:
    """Show one version of TYPE (flights.FlightArrived), or the one whose fingerprint TYPE is (16 hex digits, as in errors).

    JSON is the schema itself.
    """
    contract, _ = contract_of(runtime, None)
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
    say()
    show_rows(_fields(message.schema, ""), False, empty="it has no fields")


@click.command()
@click.argument("type", metavar="TYPE")
@click.argument("older", type=int, required=False, metavar="[V1]")
@click.argument("newer", type=int, required=False, metavar="[V2]")
@pass_runtime
def diff(runtime: Runtime, type: str, older: int | None, newer: int | None) -> None:
    """Say what changed from version V1 of TYPE to V2, by default the newest and the one before it; exit 1 where V2 cannot
    read V1.
    """
    contract, _ = contract_of(runtime, None)
    new = _version(contract, type, newer)
    if older is None and new.version == 1:
        raise UsageError(f"{type} has no version before version 1, with which to compare it")
    old = _version(contract, type, new.version - 1 if older is None else older)
    if old.version == new.version:
        raise UsageError(f"{type} version {new.version} cannot be compared with itself")
    say(f"{type} version {old.version} to {new.version} ({new.kind})")
    _list(differences(old, new) or ["nothing but docs, if anything"])
    upcasters = [of for of in contract.upcasters if of.type == type and old.version <= of.version < new.version]
    _list([f"upcaster from version {of.version} to {of.version + 1}: {of.name}" for of in upcasters])
    backward, forward = unreadable(new, old), unreadable(old, new)
    for reader, writer, wrong in ((new, old, backward), (old, new, forward)):
        reads = "cannot read" if wrong else "reads"
        say(f"version {reader.version} {reads} what is written with version {writer.version}, by Avro's rules")
        _list(wrong)
    if backward:
        sys.exit(FAILED)


def _version(contract: Contract, type_: str, version: int | None) -> MessageSchema:
    types = {of[0].type: of for of in contract.versions(list(contract.folders))}
    if type_ not in types:
        raise UsageError(f"no message is called {type_!r}; there are: {', '.join(sorted(types))}")
    if version is None:
        return types[type_][-1]
    for message in types[type_]:
        if message.version == version:
            return message
    raise UsageError(f"{type_} has no version {version}; there are: {', '.join(str(of.version) for of in types[type_])}")


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
        say(f"  - {sentence}")
