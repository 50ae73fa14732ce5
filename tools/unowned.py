"""Partitions that no daemon has, by what the daemons say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.record import Place

TIMEOUT_S = 3.0
"""For how long a broker may owe the answer how many partitions there are."""


def works(runtime: Runtime) -> dict[str, list[str]]:
    """The topics whose partitions each kind of daemon shares out: `<projection>`, `<domain>.handler`,
    `<name>.process-manager`.
    """
    names = runtime.names
    found = {of.name: [names.topic(topic) for topic in of.topics] for of in runtime.projections.values()}
    found |= {f"{domain}.handler": [names.commands(domain), names.internal(domain)] for domain in runtime.domains}
    for name, manager in runtime.process_managers.items():
        refusing = [domain for domain in manager.domains if domain in runtime.domains]
        topics = [*map(names.events, manager.domains), *map(names.refusals, refusing)]
        found[f"{name}.process-manager"] = topics
    return found


def work_of(body: Mapping[str, Any]) -> str:
    """What a daemon works on by its sign of life, as `works` calls it."""
    if "process_manager" in body:
        return f"{body['process_manager']}.process-manager"
    return body.get("projection") or f"{body.get('domain')}.handler"


def unowned(runtime: Runtime, topics: Topics, found: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Place]]:
    """The partitions of each kind of daemon that none of those who live says it has, where there are any.

    found: the signs of life. Transient when Kafka does not tell how many partitions there are.
    """
    wanted = works(runtime)
    info = topics.existing(sorted({topic for sources in wanted.values() for topic in sources}))
    had = {(work_of(body), name) for body in found.values() if body["alive"] for name in body["partitions"]}
    left = {
        work: [
            (topic, partition)
            for topic in sources
            if topic in info
            for partition in range(info[topic].partitions)
            if (work, f"{topic}/{partition}") not in had
        ]
        for work, sources in wanted.items()
    }
    return {work: places for work, places in left.items() if places}


def members(work: str, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The daemons of a kind that live."""
    return [name for name, body in found.items() if body["alive"] and work_of(body) == work]


def sentence(work: str, places: Sequence[Place], found: Mapping[str, Mapping[str, Any]]) -> str:
    """That nobody works on these partitions, and why that may be."""
    there = members(work, found)
    if not there:
        return f"nobody has {ranges(places)}: no daemon of {work} runs"
    waiting = [name for name in there if found[name].get("waits") or found[name].get("trouble")]
    if waiting:
        return f"nobody has {ranges(places)}: {', '.join(waiting)} waits"
    return (
        f"nobody has {ranges(places)}, though {', '.join(there)} runs: another program may be in the group, or a member that "
        "was killed may not be expelled yet; look again, then at the daemons' logs"
    )


def ranges(places: Sequence[Place]) -> str:
    """Partitions in a few words: `flights.events/0-2,5`."""
    by_topic: dict[str, list[list[int]]] = {}
    for topic, partition in sorted(places):
        runs = by_topic.setdefault(topic, [])
        if runs and runs[-1][-1] == partition - 1:
            runs[-1][1:] = [partition]
        else:
            runs.append([partition])
    return " ".join(f"{topic}/{','.join('-'.join(map(str, run)) for run in runs)}" for topic, runs in by_topic.items())
