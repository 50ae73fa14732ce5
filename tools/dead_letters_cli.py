"""`eventfold dead-letters`: what could not be worked on, and what to do about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from eventfold.kafka.skips import Skips, unreadable_at
from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters.owner import DISCARD, RETRY, SKIP, Entry, Owner, Resolved
from eventfold.processors.dead_letters.owners import owner_of, owners
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import FAILED, NotFoundError, UsageError
from eventfold.schemas.position import Position
from eventfold.schemas.terminal import line, say
from eventfold.store.parked import shown
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show

_COLUMNS = ("owner", "domain", "key", "origin", "events", "since", "error")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at what could not be worked on, try it again, or throw it away.

    An owner is a projection, DOMAIN.handler (commands that cannot be decoded) or NAME.process-manager; a key is written as
    `list` shows it.
    """


@dead_letters.command("list")
@click.option("--owner", help="Only of this one.")
@json_option
@pass_runtime
def list_(runtime: Runtime, owner: str | None, as_json: bool) -> None:
    """List the keys of which something waits: since when, from which record on, how many, and why."""
    chosen = owners(runtime) if owner is None else [owner_of(runtime, owner)]
    rows = [entry.to_json() for of in chosen for entry in of.entries()]
    show(rows, as_json, _COLUMNS, empty="no dead letters")


@dead_letters.command("show")
@click.argument("owner")
@click.argument("key")
@json_option
@pass_runtime
def show_(runtime: Runtime, owner: str, key: str, as_json: bool) -> None:
    """Show what waits of a key: the error, and each record as far as it can be decoded."""
    of = owner_of(runtime, owner)
    codec = runtime.codec()
    found = [(entry, [item.to_json(codec) for item in of.items(entry)]) for entry in _entries(of, [key])]
    if as_json:
        rows = [{**entry.to_json(), "records": items} for entry, items in found]
        show(rows[0] if len(rows) == 1 else rows, True)
        return
    for entry, items in found:
        show(entry.to_json(), False)
        for item in items:
            say()
            show(item, False)


@dead_letters.command()
@click.argument("owner")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--all", "every", is_flag=True, help="Every key of the owner.")
@json_option
@pass_runtime
def retry(runtime: Runtime, owner: str, keys: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Work on what waits of each KEY again, in its order, with today's schemas and code; exit code 1 when some still fails."""
    if every == bool(keys):
        raise UsageError("name the keys to try again, or --all of them")
    of = owner_of(runtime, owner)
    _resolve(of, _entries(of, keys) if keys else of.entries(), RETRY, as_json)


@dead_letters.command()
@click.argument("owner")
@click.argument("key")
@yes_option
@json_option
@pass_runtime
def discard(runtime: Runtime, owner: str, key: str, yes: bool, as_json: bool) -> None:
    """Throw away the first record that waits of KEY, for good, and work on the others; exit code 1 when one of them fails."""
    of = owner_of(runtime, owner)
    entries = _entries(of, [key])
    for entry in entries:
        _confirm(f"throw away {entry.origin} of {shown(entry.key)!r}", yes)
    _resolve(of, entries, DISCARD, as_json)


@dead_letters.command("skip-key")
@click.argument("owner")
@click.argument("key")
@yes_option
@json_option
@pass_runtime
def skip_key(runtime: Runtime, owner: str, key: str, yes: bool, as_json: bool) -> None:
    """Throw away all that waits of KEY, for good, and go on with what comes."""
    of = owner_of(runtime, owner)
    entries = _entries(of, [key])
    for entry in entries:
        _confirm(f"throw away {entry.events} records of {shown(entry.key)!r}, from {entry.origin} on,", yes)
    _resolve(of, entries, SKIP, as_json)


@dead_letters.command()
@click.argument("position", metavar="TOPIC/PARTITION@OFFSET")
@yes_option
@json_option
@pass_runtime
def skip(runtime: Runtime, position: str, yes: bool, as_json: bool) -> None:
    """Let every reader pass over the records at a position, for good: only what no reader can read, as of a broken batch."""
    at, skips = Position.parse(position), Skips(runtime.kafka)
    topic = Topics(runtime.kafka).describe([at.topic])[at.topic]
    if at.partition >= topic.partitions:
        raise UsageError(f"{at.topic} has no partition {at.partition}; it has {topic.partitions}")
    until = skips.until(at)
    if until is None:
        found = unreadable_at(runtime.kafka, at)
        if found is None:
            raise UsageError(f"the records from {at} on can be read, so no reader has to pass over them")
        _confirm(f"give up {found}, {found.until - found.origin.offset} offsets ({found.why}),", yes)
        skips.write(found)
        at, until = found.origin, found.until
    if as_json:
        show({"since": str(at), "until": until}, True)
    else:
        say(f"every reader passes over {at} and goes on at offset {until}, within seconds")


def _confirm(what: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{what} for good? Say so with --yes")
    click.confirm(line(f"{what} for good?"), abort=True, err=True)


def _entries(of: Owner, keys: Sequence[str]) -> list[Entry]:
    """What waits of these keys; NotFoundError for one of which nothing does."""
    entries = of.entries()
    found: list[Entry] = []
    for key in dict.fromkeys(keys):
        raw = os.fsencode(key)
        there = [entry for entry in entries if raw == entry.key or key == shown(entry.key)]
        if not there:
            raise NotFoundError(f"nothing of the key {shown(raw)!r} waits for {of.name!r}: see `eventfold dead-letters list`")
        found += there
    return found


def _resolve(of: Owner, entries: Sequence[Entry], how: str, as_json: bool) -> None:
    results = [of.resolve(entry, how) for entry in entries]
    if as_json:
        show([{"owner": of.name, **result.to_json()} for result in results], True)
    else:
        for result in results:
            say(line(_sentence(result)))
        if not results:
            say(f"nothing waits for {of.name!r}", err=True)
    if any(result.left for result in results):
        sys.exit(FAILED)


def _sentence(result: Resolved) -> str:
    parts: list[Any] = []
    if result.dropped:
        parts.append(f"{result.dropped} thrown away")
    if result.done or not result.dropped:
        parts.append(f"{result.done} worked on")
    parts.append(f"{result.left} still wait: {result.error}" if result.left else "nothing waits any more")
    return f"{shown(result.key)}: {', '.join(parts)}" + (f"; {result.note}" if result.note else "")
