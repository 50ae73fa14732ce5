"""Daemons as the one who runs them sees them: stopped, killed, watched."""

from __future__ import annotations

import os
import re
import signal
import socket
from typing import Any

import pytest

from tests.support import commands, flights
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

KILLED = ("flights.handler@one", "punctuality@one")
DAEMONS = {"aircraft@one", "board@one", "flights.handler@one", "flights@one", "punctuality@one"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_daemons_end_with_0_and_leave_their_groups(sandbox: Sandbox, number: signal.Signals) -> None:
    sandbox.handler()
    sandbox.projector("flights", "board")
    assert commands.schedule(sandbox, 1).accepted
    sandbox.caught_up("flights", "board", "flights.handler")
    assert [daemon.stop(number) for daemon in sandbox.daemons] == [0, 0]
    groups = [sandbox.topic(name) for name in ("flights.handler", "flights", "board")]
    found = sandbox.admin.describe_consumer_groups(groups)
    assert [found[group].result(30).members for group in groups] == [[], [], []]
    assert sandbox.status() == []
    assert not any("Traceback" in daemon.log for daemon in sandbox.daemons)


def test_run_all_starts_a_killed_daemon_again_and_stops_all(sandbox: Sandbox) -> None:
    supervisor = sandbox.start("run", "all")
    supervisor.wait_for_log("event=assigned", times=5)
    assert commands.schedule(sandbox, 1).accepted

    def living() -> dict[str, int]:
        return {body["name"]: body["pid"] for body in sandbox.status() if body["alive"]}

    before = eventually(lambda: living() if living().keys() == DAEMONS else {}, "all five give signs of life")
    for name in KILLED:
        os.kill(before[name], signal.SIGKILL)
    os.kill(before["aircraft@one"], signal.SIGTERM)
    again = eventually(
        lambda: found if (found := living()).keys() == DAEMONS and not killed(found, before) else {}, "all three are back"
    )
    assert again["board@one"] == before["board@one"]
    assert commands.depart(sandbox, 1).version == 2
    sandbox.caught_up("flights", "board", "punctuality", "aircraft")
    assert sandbox.rows("flights")[flights.flight_id(1)]["status"] == "departed"
    assert len(re.findall(r'event="ended by itself"', supervisor.log)) == 2
    assert re.findall(r'level=(\w+) .*event="was stopped by another" .*daemon="([^"]*)"', supervisor.log) == [
        ("warning", "run projector aircraft")
    ]
    assert supervisor.stop() == 0
    assert 'event="all stopped"' in supervisor.log
    assert sandbox.status() == []
    assert not any(is_alive(pid) for pid in again.values())


def killed(found: dict[str, int], before: dict[str, int]) -> bool:
    return any(found[name] == before[name] for name in (*KILLED, "aircraft@one"))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_status_of_each_daemon(running: Sandbox) -> None:
    def all_there() -> list[dict[str, Any]]:
        found = running.status()
        taken = all(len(body["partitions"]) == (4 if body["role"] == "handler" else 2) for body in found)
        return found if taken and {body["name"] for body in found} == DAEMONS else []

    for body in eventually(all_there, "all are there"):
        assert body["alive"] is True
        assert body["role"] == ("handler" if "handler" in body["name"] else "projector")
        assert body.keys() >= {"pid", "host", "started", "beat", "age_s", "events", "events_per_s", "partitions"}
    table = running.ok("status")
    assert table.count(" runs ") == 5


def test_a_killed_daemon_is_silent(sandbox: Sandbox) -> None:
    sandbox.projector("flights")
    eventually(sandbox.status, "a sign of life")
    sandbox.daemons[0].kill()
    eventually(lambda: sandbox.status()[0]["alive"] is False, "silence is noticed")
    assert "silent" in sandbox.ok("status")


def test_a_second_supervisor_of_one_instance_ends_at_once(sandbox: Sandbox) -> None:
    first = sandbox.start("run", "all")
    first.wait_for_log("event=started", times=5)
    message = sandbox.fails(1, "run", "all")
    assert f"runs already, on {socket.gethostname()} with pid {first.pid}" in message
    assert message.count("\n") == 1, message
    other = sandbox.start("--instance", "two", "run", "all")
    other.wait_for_log("event=started", times=5)
    assert [daemon.stop() for daemon in (other, first)] == [0, 0]
    again = sandbox.start("run", "all")
    again.wait_for_log("event=started", times=5)
    assert again.stop() == 0


def test_after_a_killed_supervisor_the_next_takes_over(sandbox: Sandbox) -> None:
    first = sandbox.start("run", "all")
    first.wait_for_log("event=assigned", times=5)
    orphans = {int(pid) for pid in re.findall(r"event=started .*pid=(\d+)", first.log)}
    first.kill()
    try:
        assert sandbox.redis.exists(f"{sandbox.prefix}eventfold:supervisor:one")
        again = sandbox.start("run", "all")
        again.wait_for_log("event=started", times=5)
    finally:
        for pid in filter(is_alive, orphans):
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(map(is_alive, orphans)), "what the killed one started has ended")
    assert commands.schedule(sandbox, 1).accepted
    assert again.stop() == 0


def test_a_daemon_that_had_to_be_killed_makes_the_end_a_failure(sandbox: Sandbox) -> None:
    supervisor = sandbox.start("run", "all")
    supervisor.wait_for_log("event=assigned", times=5)
    stuck = next(body for body in sandbox.status() if body["name"] == "board@one")
    os.kill(stuck["pid"], signal.SIGSTOP)
    assert supervisor.stop() == 1
    assert "eventfold: these did not stop within 30 s and were killed: run projector board\n" in supervisor.log
    assert not is_alive(stuck["pid"])
