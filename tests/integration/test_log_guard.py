"""Settings of topics that destroy the log are refused at the start, and noticed under daemons that run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from eventfold.kafka.settings import KafkaSettings
from eventfold.processors.log_guard import LogDestroyedError, LogGuard
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import Transient
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

DESTROYING = [
    ("cleanup.policy", "compact"),
    ("cleanup.policy", "compact,delete"),
    ("retention.ms", "604800000"),
    ("retention.bytes", "1000000"),
]
KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@pytest.fixture(scope="module")
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=1, EVENTFOLD_DOMAINS="accounts") as sandbox:
        yield sandbox


@pytest.fixture
def runtime(corner: Sandbox) -> Iterator[Runtime]:
    """Of topics that are as they must be, and are made so again."""
    yield corner.installation.runtime
    corner.ok("topics", "configure")


@pytest.mark.parametrize(("setting", "value"), DESTROYING)
def test_whatever_deletes_events_is_refused_at_the_start_and_mended_by_the_command_it_names(
    corner: Sandbox, runtime: Runtime, setting: str, value: str
) -> None:
    guard = LogGuard(runtime, ["accounts"])
    guard.refuse()
    corner.configure("accounts.events", **{setting: value})
    with pytest.raises(LogDestroyedError) as raised:
        guard.refuse()
    topic = corner.topic("accounts.events")
    assert f"{topic} has {setting}={value}, it must be {KEPT[setting]}: Kafka deletes" in str(raised.value)
    assert "`eventfold topics configure`" in str(raised.value)
    assert corner.ok("topics", "configure") == f"{topic}: {setting} was {value}, it is {KEPT[setting]} now\n"
    guard.refuse()


@pytest.mark.parametrize(
    "args",
    [
        ("run", "handler", "accounts"),
        ("run", "projector", "accounts"),
        ("run", "process-manager", "transfers"),
        ("replay", "accounts"),
        ("verify", "accounts"),
    ],
    ids=lambda args: args[-2],
)
def test_daemons_and_rebuilds_refuse_a_compacted_log(corner: Sandbox, runtime: Runtime, args: tuple[str, ...]) -> None:
    corner.configure("accounts.events", **{"cleanup.policy": "compact"})
    assert "accounts.events has cleanup.policy=compact, it must be delete" in corner.fails(1, *args)


def test_what_does_not_delete_events_is_a_warning(corner: Sandbox, runtime: Runtime) -> None:
    corner.configure("accounts.events", **{"message.timestamp.type": "CreateTime", "max.message.bytes": "10000"})
    corner.configure("accounts.refusals", **{"cleanup.policy": "compact", "retention.bytes": "1000"})
    with capture_logs() as said:
        LogGuard(runtime, ["accounts"]).refuse()
    assert {line["log_level"] for line in said} == {"warning"}
    found = " ".join(line["what"].replace(corner.prefix, "") for line in said)
    assert "accounts.events has max.message.bytes=10000, it must be at least 4194304: Kafka refuses records" in found
    assert "accounts.events has message.timestamp.type=CreateTime" in found
    assert "accounts.refusals has cleanup.policy=compact" in found
    assert "accounts.refusals has retention.bytes=1000, it must be -1" in found


def test_a_larger_record_may_be_allowed(corner: Sandbox, runtime: Runtime) -> None:
    corner.configure("accounts.events", **{"max.message.bytes": "9000000"})
    with capture_logs() as said:
        LogGuard(runtime, ["accounts"]).refuse()
    assert said == []


def test_compaction_ends_a_daemon_that_runs_and_a_retention_is_an_error_in_its_log(corner: Sandbox, runtime: Runtime) -> None:
    stop, faults = threading.Event(), list[Exception]()

    def watch() -> None:
        try:
            LogGuard(runtime, ["accounts"]).watch(stop, every_s=0.05)
        except LogDestroyedError as error:
            faults.append(error)

    with capture_logs() as said:
        watching = threading.Thread(target=watch)
        watching.start()
        corner.configure("accounts.events", **{"retention.ms": "604800000"})
        eventually(lambda: [line for line in said if line["log_level"] == "error"], "the retention is noticed")
        assert watching.is_alive()
        corner.configure("accounts.events", **{"cleanup.policy": "compact"})
        watching.join(20)
    assert "cleanup.policy=compact" in str(faults[0])


def test_a_kafka_that_is_away_for_a_while_ends_nothing(runtime: Runtime) -> None:
    """At the start it does, as it ends whatever asks Kafka then."""
    away = replace(runtime, kafka=KafkaSettings(bootstrap="127.0.0.1:9", properties={"socket.timeout.ms": "1000"}))
    guard, stop = LogGuard(away, ["accounts"], timeout_s=0.5), threading.Event()
    with pytest.raises(Transient, match=r"Kafka at 127\.0\.0\.1:9: cannot read the settings"):
        guard.refuse()
    with capture_logs() as said:
        watching = threading.Thread(target=guard.watch, args=(stop, 0.01))
        watching.start()
        eventually(lambda: len(said) > 1, "it has looked twice")
        stop.set()
        watching.join(20)
    assert not watching.is_alive()
    assert {line["event"] for line in said} == {"the topics' settings are not looked at"}
