"""`eventfold status`: what daemons say of themselves, how those ended that did, and which partitions nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.terminal import line, say
from eventfold.store.errors import is_full
from eventfold.store.heartbeats import daemons, state, why
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show
from eventfold.tools.unowned import TIMEOUT_S, sentence, unowned, work_of


@click.command()
@json_option
@pass_runtime
def status(runtime: Runtime, as_json: bool) -> None:
    """Show each daemon by its last sign of life; on stderr what stands in its way, and which partitions nobody has."""
    found = daemons(runtime.redis, runtime.names.prefix)
    if as_json:
        show([{"name": name, **body} for name, body in found.items()], True)
    else:
        show(
            [_row(name, body) for name, body in found.items()],
            False,
            empty="no daemon has given a sign of life: start them with `eventfold run all`",
        )
    for note in _notes(runtime, found) if found else ():
        say(line(note), err=True)


def _row(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "role": body["role"],
        "state": state(body),
        "seen_s_ago": body["age_s"],
        "pid": body["pid"],
        "partitions": len(body["partitions"]),
        "events": body["events"],
        "events_per_s": body["events_per_s"],
    }


def _notes(runtime: Runtime, found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    full = is_full(runtime.redis)
    if full is not None:
        yield f"Redis is full, {full}: nothing is written until it has room"
    for name, body in found.items():
        said = why(body)
        if said is not None:
            yield f"{name}: {said}"
        for place, error in body.get("stalled", {}).items():
            yield f"{name}: {place} stands still: {error}"
        for refused in body.get("too_large", {}).values():
            yield f"{name}: {refused}; its decider keeps too much"
    try:
        left = unowned(runtime, Topics(runtime.kafka, TIMEOUT_S), found)
    except EventfoldError as error:
        yield f"which partitions nobody has is not known: {error}"
        return
    alive = {work_of(body) for body in found.values() if body["alive"]}
    # A daemon that lacks some first: one that does not run at all may not be wanted.
    for work in sorted(left, key=lambda work: (work not in alive, work)):
        yield f"{work}: {sentence(work, left[work], found)}"
