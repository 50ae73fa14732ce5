"""`eventfold topics`: what is created, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventfold.kafka.topics import Topics
from tests.support import log
from tests.support.sandbox import OpenSandbox, Sandbox

DAY_MS = 24 * 3600 * 1000
WEEK_MS = 7 * 24 * 3600 * 1000


@pytest.fixture
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


def test_before_they_are_created_the_list_says_so(corner: Sandbox) -> None:
    listed = corner.json("topics", "list")
    assert {row["topic"].removeprefix(corner.prefix) for row in listed} == {
        "flights.commands",
        "flights.dead-letters",
        "flights.events",
        "flights.internal",
        "flights.refusals",
    }
    assert not any(row["exists"] for row in listed)


def test_create_twice_changes_nothing(corner: Sandbox) -> None:
    first = corner.ok("topics", "create", "--partitions", "3")
    before = corner.json("topics", "list")
    second = corner.ok("topics", "create", "--partitions", "5")
    assert first.count(": created") == 5 == second.count(": exists")
    assert corner.json("topics", "list") == before
    assert {row["partitions"] for row in before} == {3}
    assert len({row["id"] for row in before}) == 5


def test_the_log_is_kept_for_ever_and_commands_for_a_week(corner: Sandbox) -> None:
    corner.create_topics()
    retention = {row["topic"].removeprefix(corner.prefix): row["retention_ms"] for row in corner.json("topics", "list")}
    assert retention == {
        "flights.events": -1,
        "flights.dead-letters": -1,
        "flights.commands": WEEK_MS,
        "flights.internal": WEEK_MS,
        "flights.refusals": WEEK_MS + DAY_MS,
    }
    config = Topics(corner.installation.kafka).config(corner.topic("flights.events"))
    assert (config["cleanup.policy"], config["retention.bytes"], config["compression.type"]) == ("delete", "-1", "zstd")
    assert config["message.timestamp.type"] == "LogAppendTime"


def test_a_daemon_without_topics_says_what_to_do(corner: Sandbox) -> None:
    for args in (("run", "projector", "flights"), ("run", "handler", "flights")):
        assert "eventfold topics create" in corner.fails(1, *args)


def test_how_far_behind_is_told_of_a_partition_too_whose_start_is_gone(open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=2) as sandbox:
        for number in range(10):
            log.write(sandbox, "flights.events", str(number), b"", partition=0)
        log.cut_start(sandbox, "flights.events", 0, 5)
        rows = {(row["name"], row["partition"]): row for row in sandbox.json("lag") if row["topic"].endswith("flights.events")}
        assert {name: rows["board", 0][name] for name in ("offset", "end", "lag")} == {"offset": 0, "end": 10, "lag": 10}
        assert rows["board", 1]["lag"] == 0
