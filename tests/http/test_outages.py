"""A Redis or a Kafka that is away: a problem that says so, in time; and everything goes on once it is back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.http.conftest import SCHEDULED, Served, problem, serving
from tests.support.deadline import eventually
from tests.support.local_stack import LocalStack
from tests.support.sandbox import OpenSandbox

DEPARTED = {"departed_at": "2014-03-01T15:12:00Z"}
ANSWERED_S = 25
"""Within the 15 s for which Kafka's acknowledgement is waited for, and what a busy machine adds."""


@pytest.fixture(scope="module")
def served(open_sandbox: OpenSandbox, own_stack: LocalStack) -> Iterator[Served]:
    """As for the other tests, on a stack that nobody else needs."""
    with open_sandbox(stack=own_stack, EVENTFOLD_DOMAINS="flights,accounts") as sandbox:
        # A handler that was fenced while Kafka was away ends, and its supervisor starts it again.
        sandbox.start("run", "all").wait_for_log("event=assigned", times=10)
        with serving(sandbox) as found:
            yield found


@pytest.mark.timeout(600)
def test_a_redis_that_is_away(served: Served) -> None:
    key = served.schedule(700)
    stack = served.sandbox.stack
    os.kill(stack.pid("redis"), signal.SIGSTOP)
    try:
        silent = in_time(served, f"/queries/flights/{key}")
    finally:
        os.kill(stack.pid("redis"), signal.SIGCONT)
    assert silent["detail"].startswith("Redis")
    eventually(lambda: served.get(f"/queries/flights/{key}").status_code == 200, "queries are answered again")
    os.kill(stack.pid("redis"), signal.SIGKILL)
    try:
        in_time(served, f"/queries/flights/{key}")
        in_time(served, "/operations")
        assert served.get("/").status_code == 200
    finally:
        stack.up()
    assert "Traceback" not in served.server.log
    eventually(lambda: served.get("/queries/punctuality?by=carrier").status_code == 200, "queries are answered again", 90)
    done = eventually(lambda: answered(served, 701), "commands are decided again", 120)
    assert done["outcome"] == "accepted"


@pytest.mark.timeout(600)
def test_a_kafka_that_is_away(served: Served) -> None:
    key = served.schedule(710)
    stack = served.sandbox.stack
    os.kill(stack.pid("kafka-1"), signal.SIGKILL)
    try:
        begun = time.monotonic()
        sent = served.command("flights.DepartFlight", key, DEPARTED, idempotency_key="9d5f3f0e-5d0a-4b57-9a58-5a0a5d1a7a01")
        assert time.monotonic() - begun < ANSWERED_S
        unknown = problem(sent, 503, "outcome-unknown")
        assert unknown["command_id"] == "9d5f3f0e-5d0a-4b57-9a58-5a0a5d1a7a01"
        assert served.get(f"/queries/flights/{key}").json()["status"] == "scheduled"
        assert "log cannot be read" in in_time(served, f"/history/flights/{key}", within_s=60)["detail"]
        problem(served.get(f"/outcomes/flights/{unknown['command_id']}?key={key}"), 404, "outcome-unknown")
        told = served.get("/operations").json()
        assert "Kafka" in told["error"]
        assert all(domain["events"] is None for domain in told["domains"])
    finally:
        stack.up()

    def again() -> bool:
        sent = served.command("flights.DepartFlight", key, DEPARTED, idempotency_key=unknown["command_id"])
        return sent.status_code == 200

    eventually(again, "the same command is decided", 120)
    served.sandbox.caught_up("flights", timeout_s=120)
    assert served.get(f"/queries/flights/{key}").json()["status"] == "departed"
    assert len(served.get(f"/history/flights/{key}").json()) == 2, "it acted once"
    eventually(lambda: "error" not in served.get("/operations").json(), "operations know Kafka again")
    assert "Traceback" not in served.server.log


def in_time(served: Served, path: str, within_s: float = ANSWERED_S) -> dict[str, str]:
    """A 503 that came soon enough."""
    begun = time.monotonic()
    found = served.get(path)
    assert (found.status_code, found.headers["content-type"]) == (503, "application/problem+json"), found.text
    assert time.monotonic() - begun < within_s
    body: dict[str, str] = found.json()
    return body


def answered(served: Served, number: int) -> dict[str, str] | None:
    """The outcome of scheduling a flight; None where it is not known yet."""
    key, data = f"UA{number}:2014-03-01:EWR", {**SCHEDULED, "flight_number": number}
    done = served.command("flights.ScheduleFlight", key, data, idempotency_key=f"flight {number}")
    found: dict[str, str] = done.json()
    return found if done.status_code == 200 else None
