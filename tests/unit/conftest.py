"""Real flights, folded in memory: what the pure tests share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

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
    return list(decided())


@pytest.fixture(scope="session")
def real_events() -> list[Event]:
    """The first 5,000 of them, for tests that need no month."""
    return list(islice(decided(), 5_000))


def decided() -> Iterator[Event]:
    states = {}
    for command in commands(flights([1])):
        state = states.get(command.key, decider.initial())
        decision = decider.decide(state, command)
        assert isinstance(decision, list), f"{command}: {decision}"
        for event in decision:
            state = decider.evolve(state, event)
            yield Event(event.type, command.key, event.data)
        states[command.key] = state
