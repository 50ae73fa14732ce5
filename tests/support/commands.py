"""Commands about one flight, sent from this process."""

from __future__ import annotations

from typing import Any

from eventfold.producers.commands import Command
from eventfold.store.outcomes import Outcome
from tests.support import flights
from tests.support.sandbox import Sandbox

TIMEOUT_S = 30


def schedule(sandbox: Sandbox, number: int, **more: Any) -> Outcome:
    return _submit(sandbox, "ScheduleFlight", number, flights.scheduled(number), more)


def depart(sandbox: Sandbox, number: int, delay_min: int = 5, **more: Any) -> Outcome:
    return _submit(sandbox, "DepartFlight", number, flights.departing(delay_min), more)


def arrive(sandbox: Sandbox, number: int, delay_min: int = 20, **more: Any) -> Outcome:
    return _submit(sandbox, "ArriveFlight", number, flights.arriving(delay_min), more)


def _submit(sandbox: Sandbox, name: str, number: int, data: dict[str, Any], more: dict[str, Any]) -> Outcome:
    more.setdefault("timeout_s", TIMEOUT_S)
    return sandbox.client.submit(f"flights.{name}", flights.flight_id(number), data, **more)


def post(sandbox: Sandbox, name: str, number: int, data: dict[str, Any], **more: Any) -> None:
    """Send a command and do not wait for its outcome."""
    command = Command(type=f"flights.{name}", key=flights.flight_id(number), data=data, **more)
    sandbox.installation.write_side.sender("/test").post(command)
