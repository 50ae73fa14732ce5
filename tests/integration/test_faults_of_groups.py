"""A group that will not have a daemon ends it with a sentence; partitions that nobody has are named."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

_JOIN_GROUP = 11
BEAT = {"role": "projector", "pid": 1, "host": "h", "partitions": {}, "events": 0, "events_per_s": 0, "projection": "flights"}


@contextmanager
def another_kind_of_member(bootstrap: str, group: str) -> Iterator[None]:
    """A member of a classic group that is no group of consumers, as Kafka Connect's workers form one.

    JoinGroup, version 2, by hand: a broker converts a group of consumers from one protocol to the other, and this one never.
    """

    def text(of: str) -> bytes:
        return struct.pack(">h", len(of)) + of.encode()

    header = struct.pack(">hhi", _JOIN_GROUP, 2, 1) + text("another")
    protocols = struct.pack(">i", 1) + text("default") + struct.pack(">i", 0)
    body = text(group) + struct.pack(">ii", 30_000, 60_000) + text("") + text("connect") + protocols
    host, _, port = bootstrap.partition(":")
    with socket.create_connection((host, int(port)), 10) as member:
        member.sendall(struct.pack(">i", len(header + body)) + header + body)
        answer = member.recv(4_096)
        assert struct.unpack(">h", answer[12:14]) == (0,), answer
        yield


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_group_of_another_protocol_ends_a_daemon_and_is_told(sandbox: Sandbox, protocol: str) -> None:
    with another_kind_of_member(sandbox.stack.bootstrap, sandbox.topic("flights")):
        daemon = sandbox.start("run", "projector", "flights", EVENTFOLD_GROUP_PROTOCOL=protocol)
        assert daemon.ended() == 1
    sentence = f"group '{sandbox.topic('flights')}': Kafka says: "
    assert sentence in daemon.log.splitlines()[-1]
    assert "give every daemon the same EVENTFOLD_GROUP_PROTOCOL" in daemon.log.splitlines()[-1]
    (body,) = sandbox.status()
    assert body["name"] == "flights@one" and sentence in body["ended"] and body["alive"] is False
    places = f"nobody has {sandbox.topic('flights.events')}/0-1: no daemon of flights runs"
    notes = sandbox.run("status").stderr
    assert sentence in notes and f"flights: {places}" in notes
    report = json.loads(sandbox.run("doctor", "--json").stdout)
    assert [(f["what"], f["state"]) for f in report if sentence in f["finding"]] == [("flights@one", "wrong")]
    assert [(f["what"], f["state"]) for f in report if f["finding"] == places] == [("flights", "note")]


def test_partitions_that_nobody_has_though_daemons_run_are_named(open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=4) as sandbox:
        sandbox.start("run", "projector", "flights", "--partitions", "1").wait_for_log("event=assigned")
        eventually(lambda: sandbox.partitions_of("projector") == [1], "it says what it has")
        says = f"nobody has {sandbox.topic('flights.events')}/0,2-3, though flights@one runs"
        assert f"flights: {says}" in sandbox.run("status").stderr
        report = json.loads(sandbox.run("doctor", "--json").stdout)
        assert [(f["what"], f["state"]) for f in report if f["finding"].startswith(says)] == [("flights", "wrong")]


def test_why_a_broker_does_not_let_one_in_is_told(sandbox: Sandbox) -> None:
    """A broker without SASL refuses like one that does not know the password."""
    sasl = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "a", "SASL_PASSWORD": "s3cret"}
    # A question that no broker answers takes 15 s; that of `status` takes 3.
    sandbox.redis.hset(f"{sandbox.prefix}eventfold:daemons", "x", orjson.dumps(BEAT | {"beat": time.time()}))
    done = sandbox.run("status", environ={f"KAFKA_{name}": value for name, value in sasl.items()})
    assert "SASL PLAIN mechanism handshake failed" in done.stderr
    assert "look at KAFKA_SECURITY_PROTOCOL and the KAFKA_SASL_ settings" in done.stderr and "s3cret" not in done.stderr
