"""`eventfold tail`: a topic's records as they lie there, decoded, merged by time."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from eventfold.schemas.position import Position
from eventfold.schemas.times import iso
from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

FIRST, OTHER = (flights.flight_id(*flights.numbers_on(partition, 2, 1)) for partition in (0, 1))
COUNT = 30


@pytest.fixture(scope="module")
def written(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """Thirty events, by turns in two partitions, of which the last of partition 0 cannot be decoded."""
    with open_sandbox(partitions=2) as sandbox:
        for number in range(COUNT - 1):
            key, partition = (FIRST, 0) if number % 2 == 0 else (OTHER, 1)
            kind, data = ("Departed", flights.departed(1)) if number % 3 else ("Scheduled", flights.scheduled(1))
            log.write_event(sandbox, f"flights.Flight{kind}", key, data, partition=partition, sequence=number)
        bad = log.envelope("flights.FlightDiverted", FIRST, sequence=COUNT - 1)
        log.write(sandbox, "flights.events", FIRST, b"\xc3\x01nothing at all\x1b[2J", bad, partition=0)
        yield sandbox


def tail(sandbox: Sandbox, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sandbox.ok("tail", "flights.events", "--json", *options).splitlines()]


def versions(sandbox: Sandbox, *options: str) -> list[int]:
    return [row["version"] for row in tail(sandbox, *options)]


@pytest.fixture(scope="module")
def all_(written: Sandbox) -> list[int]:
    """All versions in the order in which they are to be shown; several may lie in one millisecond."""
    records = sorted(
        log.read(written, "flights.events"), key=lambda record: (record.timestamp, record.partition, record.offset)
    )
    return [int(record.header("ce_sequence")) for record in records]


def test_the_last_ten_in_the_order_of_time(written: Sandbox, all_: list[int]) -> None:
    assert sorted(all_) == list(range(COUNT))
    assert versions(written) == all_[-10:]
    assert versions(written, "-n", "3") == all_[-3:]
    assert versions(written, "-n", "1000") == all_


def test_from_somewhere_on(written: Sandbox, all_: list[int]) -> None:
    assert versions(written, "--from", "beginning") == all_
    assert versions(written, "--from", "beginning", "-n", "4") == all_[:4]
    assert versions(written, "--from", "0@10") == [20, 22, 24, 26, 28, 29]
    topic = written.topic("flights.events")
    both = versions(written, "--from", f"{topic}/0@13", "--from", "1@13")
    assert both == [number for number in all_ if number >= 26]
    records = log.read(written, "flights.events")
    at = next(record.timestamp for record in records if record.header("ce_sequence") == "21")
    since = {int(record.header("ce_sequence")) for record in records if record.timestamp >= at}
    assert versions(written, "--from", iso(at)) == [number for number in all_ if number in since]
    done = written.run("tail", "flights.events", "--from", "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing to show\n")


def test_only_what_is_looked_for(written: Sandbox, all_: list[int]) -> None:
    of_first = [number for number in range(COUNT - 1) if number % 2 == 0] + [COUNT - 1]
    assert versions(written, "--key", FIRST, "-n", "1000") == of_first
    scheduled = [number for number in all_ if number % 3 == 0 and number < COUNT - 1]
    assert versions(written, "--type", "FlightScheduled", "-n", "1000") == scheduled
    of_both = versions(written, "--type", "flights.FlightScheduled", "--type", "FlightDiverted", "-n", "3")
    assert of_both == [number for number in all_ if number in (24, 27, 29)]
    assert versions(written, "--key", OTHER, "--type", "FlightScheduled", "-n", "2") == [21, 27]


def test_all_of_a_record_as_json(written: Sandbox) -> None:
    (row,) = tail(written, "--from", "1@0", "-n", "1")
    record = next(record for record in log.read(written, "flights.events") if record.partition == 1)
    assert (row["key"], row["type"], row["schema_version"]) == (OTHER, "flights.FlightDeparted", 1)
    assert row["position"] == str(Position(written.topic("flights.events"), 1, 0))
    assert row["recorded"] == iso(record.timestamp)
    assert row["headers"] == record.headers
    assert row["data"]["departed_at"] == "2013-02-08T12:05:00Z"


def test_what_cannot_be_decoded_is_shown_with_its_bytes(written: Sandbox) -> None:
    (row,) = tail(written, "-n", "1")
    assert row["type"] == "flights.FlightDiverted"
    assert row["error"] == "no schema in the catalog has the fingerprint 6e6f7468696e6720"
    assert base64.b64decode(row["value_base64"]) == b"\xc3\x01nothing at all\x1b[2J"
    line = written.ok("tail", "flights.events", "-n", "1")
    assert "c3 01 6e 6f" in line
    assert "\x1b" not in line


def test_lines_for_people(written: Sandbox) -> None:
    line = written.ok("tail", "flights.events", "--from", "0@0", "-n", "1")
    position, recorded, type_, key, data = line.strip().split("  ")
    assert position == f"{written.topic('flights.events')}/0@0"
    assert recorded.startswith("20") and recorded.endswith("Z")
    assert (type_, key) == ("flights.FlightScheduled v1", FIRST)
    assert json.loads(data)["distance_mi"] == 2475


def test_aborted_records_are_no_records(sandbox: Sandbox) -> None:
    producer = sandbox.new_producer(**{"transactional.id": f"{sandbox.prefix}tail"})
    producer.init_transactions(30)
    for number, end in enumerate((producer.abort_transaction, producer.commit_transaction)):
        producer.begin_transaction()
        value = sandbox.installation.codec.encode("flights.FlightScheduled", flights.scheduled(number))
        headers = log.envelope("flights.FlightScheduled", FIRST, sequence=number)
        for _ in range(3):
            producer.produce(sandbox.topic("flights.events"), key=FIRST, value=value, headers=headers, partition=0)
        end(30)
    assert versions(sandbox) == versions(sandbox, "--from", "beginning") == [1, 1, 1]


def test_following_shows_what_comes_until_ctrl_c(sandbox: Sandbox) -> None:
    log.write_event(sandbox, "flights.FlightScheduled", FIRST, flights.scheduled(1), sequence=1)
    following = sandbox.start("tail", "flights.events", "--follow", "--json", "--type", "FlightScheduled")
    following.wait_for_log('"version":1')
    log.write_event(sandbox, "flights.FlightDeparted", FIRST, flights.departed(1), sequence=2)
    log.write_event(sandbox, "flights.FlightScheduled", OTHER, flights.scheduled(1), sequence=3)
    following.wait_for_log('"version":3')
    assert following.stop(signal.SIGINT) == 130
    lines = following.log.splitlines()
    assert [json.loads(line)["version"] for line in lines[:2]] == [1, 3]
    assert lines[-1] == "eventfold: interrupted"


def test_following_ends_with_who_reads_it(sandbox: Sandbox) -> None:
    args = [sys.executable, "-m", "eventfold", "tail", "flights.events", "-f"]
    process = subprocess.Popen(args, env=sandbox.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None

    def ended() -> bool:
        log.write_event(sandbox, "flights.FlightScheduled", FIRST, flights.scheduled(1), sequence=1)
        return process.poll() is not None

    log.write_event(sandbox, "flights.FlightScheduled", FIRST, flights.scheduled(1), sequence=1)
    assert FIRST in process.stdout.readline()
    process.stdout.close()
    eventually(ended, "it ends")
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nothing",), "the topic 'nothing' does not exist; there are: "),
        (("flights.events", "--type", "Nothing"), "no message is called 'Nothing'; there are: flights.ArriveFlight, "),
        (("flights.events", "--from", "yesterday"), "--from 'yesterday' is neither beginning, end, topic/partition@offset, "),
        (("flights.events", "--from", "2@1"), "has no such partition; it has 2"),
        (("flights.events", "--from", "other/0@1"), "has no such partition"),
        (("flights.events", "--from", "0@1", "--from", "0@2"), "another position of the partition 0 is given too"),
        (("flights.events", "--from", "0@1", "--from", "end"), "only positions can be given several times"),
    ],
)
def test_wrong_input(written: Sandbox, args: tuple[str, ...], says: str) -> None:
    assert says in written.fails(1 if args == ("nothing",) else 2, "tail", *args)
