"""Forgets what one owner made of the log, so that its daemon begins anew: a projection, a handler, a process manager."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial

from eventfold.kafka.group_offsets import GroupOffsets, delete_group
from eventfold.kafka.topics import Topics
from eventfold.processors.claiming import claimed
from eventfold.processors.handler.handover import ledger_name
from eventfold.processors.reactor.resuming import begin_at
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.record import Place
from eventfold.store.claims import Claim
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore

HANDLER, PROCESS_MANAGER = ".handler", ".process-manager"


def forget(runtime: Runtime, name: str, *, for_good: bool) -> list[str]:
    """Forget what `name` made of the log, and say what was forgotten.

    A projection loses its generations, a handler (`<domain>.handler`) its ledgers: their daemons fold the log from its
    beginning, and a projection answers nothing until then. A process manager (`<name>.process-manager`), which must not run
    meanwhile, loses its group's offsets: it goes through the log anew, and reacts to nothing that is older than commands live.

    for_good: also where the log no longer begins at offset zero, so that rows are gone for ever; a process manager then begins
    with what is left. UsageError when nothing is called so; EventfoldError when it would lose what cannot be made again.
    """
    known: Mapping[str, Callable[[bool], list[str]]] = {
        **{name: partial(_projection, runtime, name) for name in runtime.projections},
        **{f"{domain}{HANDLER}": partial(_handler, runtime, domain) for domain in runtime.domains},
        **{f"{manager}{PROCESS_MANAGER}": partial(_process_manager, runtime, manager) for manager in runtime.process_managers},
    }
    if name not in known:
        raise UsageError(f"nothing is called {name!r}; there are: {', '.join(sorted(known))}")
    return known[name](for_good)


def _projection(runtime: Runtime, name: str, for_good: bool) -> list[str]:
    projection = runtime.projection(name)
    if not for_good:
        _refuse_loss(runtime, [runtime.names.topic(topic) for topic in projection.topics], name)
    taken = f"a replay of {name!r} runs, on {{host}} with pid {{pid}}: wait for it, or stop it"
    with claimed(Claim(runtime.redis, runtime.names.prefix, f"replay:{name}", taken), threading.Event()):
        return _generations(runtime, name)


def _handler(runtime: Runtime, domain: str, _: bool) -> list[str]:
    # Without the beginning of its log it decides nothing, so it never can lose anything here.
    return _generations(runtime, ledger_name(runtime.domain(domain)))


def _generations(runtime: Runtime, owner: str) -> list[str]:
    found = Generations(runtime.redis, runtime.names.prefix).forget(owner, SliceStore(runtime.redis))
    return [f"the generation {build.id} of {owner}" for build in found]


def _process_manager(runtime: Runtime, name: str, for_good: bool) -> list[str]:
    manager, names = runtime.process_manager(name), runtime.names
    group = names.process_manager_group(name)
    events = [names.events(domain) for domain in manager.domains]
    refusals = [names.refusals(domain) for domain in manager.domains if domain in runtime.domains]
    if not for_good:
        _refuse_loss(runtime, events, f"{name}{PROCESS_MANAGER}")
    delete_group(runtime.kafka, group)
    if for_good:
        with GroupOffsets(runtime.kafka, group) as offsets:
            offsets.commit(begin_at(Topics(runtime.kafka), group, [*events, *refusals]))
    return [f"the offsets of the group {group}"]


def _refuse_loss(runtime: Runtime, sources: list[str], name: str) -> None:
    topics = Topics(runtime.kafka)
    places: list[Place] = [(of.name, p) for of in topics.describe(sources).values() for p in range(of.partitions)]
    for (topic, partition), start in topics.starts(places).items():
        if start:
            raise EventfoldError(
                f"{topic}/{partition} begins at offset {start}, so what {name} made of what is gone could not be made again: "
                f"restore the topic first (docs/backup.md), or forget it all the same: `eventfold forget {name} --for-good`"
            )
