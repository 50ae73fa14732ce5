"""Finds the owners of dead letters: each knows where its own lie and what can be done about them."""

from __future__ import annotations

from eventfold.processors.dead_letters.letters import handler_name
from eventfold.processors.dead_letters.owner import Owner
from eventfold.processors.dead_letters.parked import ParkedEvents
from eventfold.processors.dead_letters.topic import PROCESS_MANAGER, DeadLetters, OfTopic, Open, nobody
from eventfold.processors.dead_letters.undecided import UndecidedCommands
from eventfold.processors.reactor.reparking import resolve
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import UsageError


def owners(runtime: Runtime) -> list[Owner]:
    """Everyone who may own letters: the installed projections, and whoever has some in the topics."""
    letters = DeadLetters(runtime).open()
    names = dict.fromkeys([*_handlers(runtime), *(letter.owner for letter in letters)])
    return [
        *(ParkedEvents(runtime, projection) for projection in runtime.projections.values()),
        *(_of_topic(runtime, name, letters) for name in names),
    ]


def owner_of(runtime: Runtime, name: str) -> Owner:
    """The owner of that name; UsageError when there is none."""
    if name in runtime.projections:
        return ParkedEvents(runtime, runtime.projections[name])
    letters = DeadLetters(runtime).open()
    managers = [name + PROCESS_MANAGER for name in runtime.process_managers]
    known = dict.fromkeys([*_handlers(runtime), *managers, *(letter.owner for letter in letters)])
    if name not in known:
        there = ", ".join(sorted([*runtime.projections, *known]))
        raise UsageError(f"nobody called {name!r} owns dead letters; there are: {there}")
    return _of_topic(runtime, name, letters)


def _of_topic(runtime: Runtime, name: str, letters: list[Open]) -> Owner:
    handlers = _handlers(runtime)
    if name in handlers:
        return OfTopic(name, letters, UndecidedCommands(runtime, handlers[name]).resolve)
    manager = runtime.process_managers.get(name.removesuffix(PROCESS_MANAGER))
    if manager is not None:
        # It looks for the letters itself: more may have come.
        return OfTopic(name, letters, lambda entry, _, how: resolve(runtime, manager, entry.key, entry.place, how))
    return OfTopic(name, letters, nobody)


def _handlers(runtime: Runtime) -> dict[str, str]:
    """The handlers' names, with their domains."""
    return {handler_name(domain): domain for domain in runtime.domains}
