"""Real flights, folded in memory: what the pure tests share."""

from __future__ import annotations

import pytest

from producers.flights.dataset import flights
from producers.flights.decider import decider
from producers.flights.importer import commands
from projections.event import Event
from schemas.catalog import Catalog
from schemas.codec import Codec


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(Catalog.installed(["flights", "accounts"]))


@pytest.fixture(scope="session")
def january_events() -> list[Event]:
    """Every event of January 2013, decided in memory, in the order of the importer's commands."""
    states, events = {}, []
    for command in commands(flights([1])):
        state = states.get(command.key, decider.initial())
        decided = decider.decide(state, command)
        assert isinstance(decided, list), f"{command}: {decided}"
        for event in decided:
            state = decider.evolve(state, event)
            events.append(Event(event.type, command.key, event.data))
        states[command.key] = state
    return events
