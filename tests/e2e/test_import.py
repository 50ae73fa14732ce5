"""`eventfold flights import` over flights of which one has a history already."""

from __future__ import annotations

import json
from pathlib import Path

from flights.dataset import flights
from flights.importer import commands
from tests.support import few_days
from tests.support.sandbox import Sandbox


def test_what_is_refused_is_counted_once_and_makes_it_a_failure(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.handler()
    flight = next(f for f in flights([2]) if f.arrived_at is not None)
    scheduled, *others = commands([flight])
    cancelled_at = {"cancelled_at": flight.scheduled_departure}
    assert sandbox.client.submit(scheduled.type, flight.id, scheduled.data).accepted
    assert sandbox.client.submit("flights.CancelFlight", flight.id, cancelled_at).accepted

    args = ("flights", "import", "--months", "2")
    days = {"PYTHONPATH": few_days.cut(tmp_path, 2, 2)}
    done = sandbox.run(*args, environ=days)
    refused = 1 + len(others)
    assert done.returncode == 1, done.stderr
    assert f"newly refused: {refused}\n" in done.stdout
    done = sandbox.run(*args, "--json", environ=days)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["refused"] == 0
