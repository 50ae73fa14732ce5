"""`eventfold.Client`: the same from Python."""

from __future__ import annotations

import time
import uuid

import pytest

from eventfold import Client
from eventfold.schemas.errors import NotFoundError, TimedOutError, UsageError
from eventfold.store.outcomes import OutcomeUnknownError
from tests.support import commands, flights
from tests.support.sandbox import Sandbox

NUMBER = 9_001


def test_a_command_and_what_came_of_it(running: Sandbox) -> None:
    client, id_ = Client(running.environ), flights.flight_id(NUMBER)
    outcome = client.submit("flights.ScheduleFlight", id_, flights.scheduled(NUMBER))
    assert (outcome.accepted, outcome.version) == (True, 1)
    assert client.query("flights", after=outcome, id=id_)["status"] == "scheduled"
    refused = client.submit("flights.ArriveFlight", id_, flights.arriving(), expected_version=1)
    assert (refused.accepted, refused.code) == (False, "not-departed")


def test_what_does_not_fit_is_refused_before_it_is_sent(running: Sandbox) -> None:
    client, id_ = Client(running.environ), flights.flight_id(NUMBER)
    with pytest.raises(UsageError, match="departed_at"):
        client.submit("flights.DepartFlight", id_, {"departed_at": "noon"})
    with pytest.raises(UsageError, match="no schema"):
        client.submit("flights.Nothing", id_, {})
    with pytest.raises(UsageError, match="aggregate's id"):
        client.submit("flights.DepartFlight", "", flights.departing())
    for name in ("time", "expires"):
        for moment in (10**15, -(10**14), 1.5e12):
            with pytest.raises(UsageError, match="is not a time"):
                client.submit("flights.DepartFlight", id_, flights.departing(), **{name: moment})


def test_an_id_that_is_none_is_refused_before_it_is_sent(running: Sandbox) -> None:
    with pytest.raises(UsageError, match="UUID"):
        Client(running.environ).submit("flights.DepartFlight", "X", flights.departing(), id="seventeen", timeout_s=2)


def test_an_outcome_that_redis_cannot_tell_is_unknown_and_learnt_later(running: Sandbox) -> None:
    number, id_ = NUMBER + 1, str(uuid.uuid4())
    away = Client({**running.environ, "REDIS_URL": "redis://127.0.0.1:9/0"})
    with pytest.raises(OutcomeUnknownError, match="--command-id") as raised:
        away.submit("flights.ScheduleFlight", flights.flight_id(number), flights.scheduled(number), id=id_)
    assert raised.value.command_id == id_
    assert raised.value.exit_code == 3
    outcome = commands.schedule(running, number, id=raised.value.command_id)
    assert (outcome.accepted, outcome.version) == (True, 1)


def test_what_is_too_large_was_not_sent(running: Sandbox) -> None:
    data = {**flights.scheduled(NUMBER + 2), "tail_number": "N" * 2_000_000}
    with pytest.raises(UsageError, match="'tail_number' must have at most 65,536 characters"):
        Client(running.environ).submit("flights.ScheduleFlight", flights.flight_id(NUMBER + 2), data)


def test_what_is_not_there_and_what_does_not_come(running: Sandbox) -> None:
    client = Client(running.environ)
    with pytest.raises(NotFoundError):
        client.query("flights", id="UA9999:2013-02-08:JFK")
    with pytest.raises(UsageError):
        client.query("nothing")
    elsewhere = Client({**running.environ, "EVENTFOLD_TOPIC_PREFIX": f"{uuid.uuid4()}."})
    began = time.monotonic()
    with pytest.raises((TimedOutError, NotFoundError)):
        elsewhere.query("flights", id="X")
    assert time.monotonic() - began < 5
