"""Real flights, folded in memory: what the pure tests share."""

from __future__ import annotations

import pytest

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.event import Event
from flights.dataset import flights
from flights.decider import decider
from flights.importer import commands


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
