"""Whether what read models and handlers have folded is of the log that is there, and of all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from eventfold.kafka.topics import Topics
from eventfold.processors.handler.handover import ledger_name
from eventfold.processors.open_slice import opened
from eventfold.processors.runtime import Runtime
from eventfold.processors.ways_on import of_handler, of_projection
from eventfold.schemas.errors import EventfoldError, Transient
from eventfold.store.builds import Build
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore


def lost(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """Who cannot go on with the log that is there (flights, flights.handler), and why, with what to do."""
    looking = _Looking(runtime)
    for name, projection in runtime.projections.items():
        if said := looking.at(name, lambda of=projection: of_projection(of)):  # type: ignore[misc]
            yield name, said
    for name, domain in runtime.domains.items():
        refusals = frozenset({runtime.names.refusals(name)})
        if said := looking.at(ledger_name(domain), lambda of=name: of_handler(of), refusals):  # type: ignore[misc]
            yield f"{name}.handler", said


def partly_folded(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """The read models that are not of the whole history, and where they begin or end."""
    generations = Generations(runtime.redis, runtime.names.prefix)
    for name in runtime.projections:
        live = _live(generations, name)
        if live is not None and not live.whole:
            begins = ", ".join(f"{place}@{offset}" for place, offset in sorted(live.first.items())) or "zero"
            yield name, f"the live generation {live.id} is not of the whole history: it can be folded from {begins} on"


class _Looking:
    def __init__(self, runtime: Runtime) -> None:
        self._generations = Generations(runtime.redis, runtime.names.prefix)
        self._store = SliceStore(runtime.redis)
        self._topics = Topics(runtime.kafka)

    def at(self, owner: str, told: Callable[[], AbstractContextManager[None]], expiring: frozenset[str] = frozenset()) -> str:
        """What is wrong with the live generation of an owner; nothing where there is none."""
        live = _live(self._generations, owner)
        if live is None or set(self._topics.existing(list(live.generation.partitions))) != set(live.generation.partitions):
            return ""
        try:
            with told():
                self._open(live, expiring)
        except Transient:
            raise
        except EventfoldError as error:
            return str(error)
        return ""

    def _open(self, live: Build, expiring: frozenset[str]) -> None:
        slices = {(slice_.topic, slice_.partition): slice_ for slice_ in live.generation.slices()}
        progress = dict(zip(slices, self._store.progress(list(slices.values())), strict=True))
        opened(slices, progress, self._topics, expiring, live.first_of())


def _live(generations: Generations, owner: str) -> Build | None:
    live = generations.live(owner)
    return None if live is None else next((build for build in generations.all(owner) if build.id == live.id), None)
