"""Partitions that were added to topics since they were folded, by what Redis knows of the live generations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eventfold.kafka.topics import Topics
from eventfold.processors.handler.handover import ledger_name
from eventfold.processors.runtime import Runtime
from eventfold.processors.sources import Sources, added, refuse_added
from eventfold.schemas.errors import EventfoldError
from eventfold.store.builds import Generation
from eventfold.store.connection import RedisError
from eventfold.store.generations import Generations


def added_partitions(runtime: Runtime) -> list[str]:
    """What is wrong, a sentence for the first that folds a topic; nothing where Redis does not answer: others tell that."""
    names = runtime.names
    read = {names.topic(topic) for projection in runtime.projections.values() for topic in projection.topics}
    read |= {topic for domain in runtime.domains for topic in (names.events(domain), names.refusals(domain))}
    now = {name: info.partitions for name, info in Topics(runtime.kafka).existing(sorted(read)).items()}
    found: dict[tuple[str, ...], str] = {}
    try:
        for live, text in _faults(runtime, Generations(runtime.redis, names.prefix), now):
            found.setdefault(tuple(added(live.partitions, now)), text)
    except RedisError:
        pass
    return list(found.values())


def _faults(runtime: Runtime, generations: Generations, now: Mapping[str, int]) -> Iterator[tuple[Generation, str]]:
    for domain in runtime.domains.values():
        ledger = generations.live(ledger_name(domain))
        if ledger is None:
            continue
        try:
            refuse_added(f"the handler of {domain.name!r} decided", ledger.partitions, now)
        except EventfoldError as error:
            yield ledger, str(error)
    for projection in runtime.projections.values():
        sources, live = Sources(projection, runtime.names), generations.live(projection.name)
        if live is None or not now.keys() >= {*sources.names}:
            continue
        try:
            if sources.lacks(live, {name: now[name] for name in sources.names}):
                yield live, f"{projection.name!r} lacks partitions that were added to its topics: its projector takes them"
        except EventfoldError as error:
            yield live, str(error)
