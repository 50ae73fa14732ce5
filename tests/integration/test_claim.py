"""The claim of a supervisor: one holds a name, and what ends that."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from eventfold.processors.claiming import claimed
from eventfold.schemas.errors import EventfoldError
from eventfold.store.claims import Claim
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

TAKEN = "'one' runs already, on {host} with pid {pid}"


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def key(sandbox: Sandbox) -> str:
    return f"{sandbox.prefix}eventfold:supervisor:one"


def claim(sandbox: Sandbox, name: str = "one") -> Claim:
    return Claim(sandbox.redis, sandbox.prefix, f"supervisor:{name}", TAKEN)


def hold(sandbox: Sandbox, host: str, pid: int) -> None:
    """Let another hold the name for a minute."""
    sandbox.redis.set(key(sandbox), json.dumps({"host": host, "pid": pid, "token": "other"}), ex=60)


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_it_expires_unless_renewed_and_is_released(sandbox: Sandbox, stop: threading.Event) -> None:
    with claimed(claim(sandbox), stop):
        assert 0 < sandbox.redis.ttl(key(sandbox)) <= 15
        sandbox.redis.expire(key(sandbox), 5)
        eventually(lambda: sandbox.redis.ttl(key(sandbox)) > 10, "it is renewed")
    eventually(lambda: not sandbox.redis.exists(key(sandbox)), "it is released")
    assert not stop.is_set()


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_name_that_another_holds_is_refused(sandbox: Sandbox, stop: threading.Event, host: str) -> None:
    hold(sandbox, host, os.getppid())
    with pytest.raises(EventfoldError, match=f"'one' runs already, on {host} with pid {os.getppid()}"):
        claimed(claim(sandbox), stop).__enter__()
    with claimed(claim(sandbox, "two"), stop):
        pass
    assert json.loads(sandbox.redis.get(key(sandbox)))["token"] == "other"


def test_one_that_died_on_this_host_is_taken_over(sandbox: Sandbox, stop: threading.Event) -> None:
    hold(sandbox, socket.gethostname(), ended_pid())
    with claimed(claim(sandbox), stop):
        assert json.loads(sandbox.redis.get(key(sandbox)))["pid"] == os.getpid()


def test_of_a_pid_on_another_host_nothing_is_known(sandbox: Sandbox, stop: threading.Event) -> None:
    hold(sandbox, "elsewhere", ended_pid())
    with pytest.raises(EventfoldError, match="runs already, on elsewhere"):
        claimed(claim(sandbox), stop).__enter__()


def test_an_emptied_redis_gets_it_again(sandbox: Sandbox, stop: threading.Event) -> None:
    with claimed(claim(sandbox), stop):
        sandbox.redis.flushdb()
        eventually(lambda: sandbox.redis.exists(key(sandbox)), "it is claimed again")


def test_one_that_lost_it_to_another_is_stopped_and_says_why(sandbox: Sandbox, stop: threading.Event) -> None:
    def until_stopped() -> None:
        with claimed(claim(sandbox), stop):
            hold(sandbox, "elsewhere", 1)
            assert stop.wait(30)

    with pytest.raises(EventfoldError, match="'one' runs already, on elsewhere"):
        until_stopped()
    assert json.loads(sandbox.redis.get(key(sandbox)))["host"] == "elsewhere"
