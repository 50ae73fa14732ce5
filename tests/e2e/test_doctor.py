"""`eventfold doctor`: what it finds, and that one thing which cannot be looked at hides no other."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.writing import written
from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

DAY_MS = 24 * 3600 * 1000


def findings(sandbox: Sandbox, code: int, **environ: str) -> list[dict[str, str]]:
    """The report, of a run that must end with that exit code."""
    done = sandbox.run("doctor", "--json", environ=environ)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def wrong(sandbox: Sandbox, what: str = "topics of flights") -> list[str]:
    found = findings(sandbox, 1)
    assert {finding["what"] for finding in found if finding["state"] == "wrong"} == {what}
    return [finding["finding"].replace(sandbox.prefix, "") for finding in found if finding["what"] == what]


def test_nothing_is_wrong(running: Sandbox) -> None:
    found = findings(running, 0)
    assert {finding["state"] for finding in found} <= {"ok", "note"}
    assert found[0].keys() == {"what", "state", "finding"}
    assert {"python", "domains", "schemas", "kafka", "redis", "topics of flights", "daemons"} <= {f["what"] for f in found}


def test_a_topic_that_is_missing(sandbox: Sandbox) -> None:
    topic = sandbox.topic("flights.dead-letters")
    sandbox.admin.delete_topics([topic])[topic].result(30)
    assert wrong(sandbox) == ["missing: flights.dead-letters; run `eventfold topics create`"]


def test_settings_that_topics_must_have(sandbox: Sandbox) -> None:
    sandbox.configure("flights.events", **{"retention.ms": str(7 * DAY_MS), "message.timestamp.type": "CreateTime"})
    sandbox.configure("flights.dead-letters", **{"cleanup.policy": "compact"})
    sandbox.configure("flights.commands", **{"retention.ms": str(8 * DAY_MS)})
    sandbox.configure("flights.refusals", **{"retention.ms": str(7 * DAY_MS)})
    mended = "`eventfold topics configure` sets it right"
    assert wrong(sandbox) == [
        f"flights.events has retention.ms={7 * DAY_MS}, it must be -1: Kafka deletes what is older; {mended}",
        "flights.events has message.timestamp.type=CreateTime, it must be LogAppendTime: a producer's clock says when a record "
        f"was appended, and how long it and a command's id are kept; {mended}",
        "flights.dead-letters has cleanup.policy=compact, it must be delete: Kafka deletes all records of a key but the last; "
        f"{mended}",
        "flights.commands keeps commands for up to 8.5 days, but ids are known for 8: shorten retention.ms",
        f"flights.refusals has retention.ms={7 * DAY_MS}, shorter than that of flights.commands",
    ]
    sandbox.ok("topics", "configure")
    assert wrong(sandbox) == [
        "flights.commands keeps commands for up to 8.5 days, but ids are known for 8: shorten retention.ms",
        f"flights.refusals has retention.ms={7 * DAY_MS}, shorter than that of flights.commands",
    ]


def test_commands_that_are_kept_for_ever(sandbox: Sandbox) -> None:
    sandbox.configure("flights.commands", **{"retention.ms": "-1"})
    assert "flights.commands keeps commands for ever" in wrong(sandbox)[0]


def test_commands_that_are_kept_shorter_are_no_fault(sandbox: Sandbox) -> None:
    sandbox.configure("flights.commands", **{"retention.ms": str(DAY_MS)})
    findings(sandbox, 0)


def test_a_log_that_does_not_begin_at_0(sandbox: Sandbox) -> None:
    (number,) = flights.numbers_on(1, 2, 1)
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))
    place = TopicPartition(sandbox.topic("flights.events"), 1, 1)
    sandbox.admin.delete_records([place])[place].result(30)
    (found,) = wrong(sandbox)
    assert found.startswith("flights.events/1 begins at offset 1, not at 0: restore the topic's export")


def test_partitions_that_differ(sandbox: Sandbox) -> None:
    topic = sandbox.topic("flights.refusals")
    sandbox.admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    (found,) = wrong(sandbox)
    assert "must have the same number of partitions" in found
    assert "'flights.refusals': 3" in found


def test_an_event_that_no_writer_may_write_any_more(sandbox: Sandbox) -> None:
    catalog = Catalog.installed(["flights"])
    data = {**flights.scheduled(1), "flight_date": 2**31 - 1}
    value = written(catalog, "flights.FlightScheduled", 1, data, as_written=True)
    log.write(sandbox, "flights.events", "UA\n1", value, log.envelope("flights.FlightScheduled", "UA\n1"))
    told = [finding for finding in findings(sandbox, 0) if finding["what"] == "events"]
    assert [finding["state"] for finding in told] == ["note", "note"]
    place = rf"{re.escape(sandbox.topic('flights.events'))}/\d+@0 key b'UA\\n1': "
    key, field = (finding["finding"] for finding in told)
    assert re.fullmatch(rf"{place}'UA\\n1' is not an aggregate's id: .*; it is read as it is, but no writer .*", key)
    assert re.fullmatch(rf"{place}flights.FlightScheduled: the field 'flight_date' must lie between .*", field)
    done = sandbox.run("doctor", "--json", "--every-event")
    assert [finding for finding in json.loads(done.stdout) if finding["what"] == "events"] == told


def test_a_silent_daemon(sandbox: Sandbox) -> None:
    sandbox.projector("flights")
    eventually(sandbox.status, "a sign of life")
    sandbox.daemons[0].kill()
    eventually(lambda: sandbox.status()[0]["alive"] is False, "silence is noticed")
    (found,) = wrong(sandbox, "flights@one")
    assert f"pid {sandbox.daemons[0].pid} on " in found


def test_topics_that_kafka_does_not_describe_hide_nothing_else(sandbox: Sandbox) -> None:
    found = {finding["what"]: finding for finding in findings(sandbox, 1, EVENTFOLD_TOPIC_PREFIX="no topic/")}
    assert found["topics of flights"]["state"] == "wrong"
    assert "cannot describe the topic" in found["topics of flights"]["finding"]
    assert {"python", "kafka", "redis", "daemons", "java"} < found.keys()


def test_without_kafka_and_redis(sandbox: Sandbox) -> None:
    found = findings(sandbox, 1, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9", REDIS_URL="redis://127.0.0.1:9/0")
    assert [finding["what"] for finding in found if finding["state"] == "wrong"] == ["kafka", "redis"]


@pytest.mark.parametrize(
    ("shown", "finding"),
    [
        ('openjdk version "11.0.2" 2019-01-15', 'openjdk version "11.0.2" 2019-01-15: `make up` needs Java 17 or newer'),
        ('java version "1.8.0_401"', 'java version "1.8.0_401": `make up` needs Java 17 or newer'),
        ("Unable to locate a Java Runtime.", "`make up` needs Java 17 or newer"),
    ],
)
def test_an_old_java_is_a_note(sandbox: Sandbox, tmp_path: Path, shown: str, finding: str) -> None:
    old = tmp_path / "java"
    old.write_text(f"#!/bin/sh\necho 'Picked up JAVA_TOOL_OPTIONS: -Da=b' >&2\necho '{shown}' >&2\n")
    old.chmod(0o755)
    found = next(f for f in findings(sandbox, 0, PATH=f"{tmp_path}:{os.environ['PATH']}") if f["what"] == "java")
    assert found["state"] == "note"
    assert found["finding"].endswith(finding)
