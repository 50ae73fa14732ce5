"""`eventfold history`, `eventfold event` and `eventfold query … --as-of…`: looking back on the command line."""

from __future__ import annotations

import itertools
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import flights, log
from tests.support.flights import SCHEDULE_OPTIONS
from tests.support.sandbox import OpenSandbox, Sandbox

_NUMBERS = itertools.count(700)
NOWHERE = "127.0.0.1:9"
DEPARTURE, ARRIVAL = "2099-02-08T12:05:00Z", "2099-02-08T18:20:00Z"
# As they lie in time: the flight is put on the schedule now, so what follows must happen later.
OPTIONS = [option.replace("2013-02-08T", "2099-02-08T") for option in SCHEDULE_OPTIONS]
COLUMNS = [
    "version",
    "type",
    "schema_version",
    "happened",
    "recorded",
    "position",
    "event_id",
    "causation_id",
    "correlation_id",
    "source",
]


class Flown:
    """A flight that was scheduled, departed and arrived, with what the commands said."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.number = next(_NUMBERS)
        self.id = flights.flight_id(self.number)
        self.outcomes = [
            sandbox.json("flights", "schedule", "--number", str(self.number), *OPTIONS),
            sandbox.json("flights", "depart", self.id, "--at", DEPARTURE),
            sandbox.json("flights", "arrive", self.id, "--at", ARRIVAL),
        ]
        self.positions = [outcome["positions"][0] for outcome in self.outcomes]
        self.records = [record for record in log.read(sandbox, "flights.events") if record.key == self.id]

    def status(self, *options: str) -> object:
        return self.sandbox.json("query", "flights", self.id, *options)["status"]


@pytest.fixture(scope="module", params=["", "flights"], ids=["scan", "index"])
def flown(request: pytest.FixtureRequest, open_sandbox: OpenSandbox) -> Iterator[Flown]:
    with open_sandbox(partitions=2, EVENTFOLD_INDEXES=request.param) as sandbox:
        sandbox.start_all()
        flown = Flown(sandbox)
        if request.param:
            sandbox.caught_up("flights-index")
        yield flown


def test_an_index_is_run_and_shown_like_any_read_model(flown: Flown) -> None:
    shown = {row["name"].partition("@")[0] for row in flown.sandbox.status()}
    assert ("flights-index" in shown) == bool(flown.sandbox.environ["EVENTFOLD_INDEXES"])


def test_history_as_json(flown: Flown) -> None:
    rows = flown.sandbox.json("history", "flights", flown.id)
    assert [list(row) for row in rows] == [[*COLUMNS, "data"]] * 3
    assert [row["version"] for row in rows] == [1, 2, 3]
    assert [row["type"] for row in rows] == [f"flights.Flight{name}" for name in ("Scheduled", "Departed", "Arrived")]
    assert [row["happened"] for row in rows][1:] == [DEPARTURE, ARRIVAL]
    assert [row["position"] for row in rows] == flown.positions
    assert [row["causation_id"] for row in rows] == [outcome["command_id"] for outcome in flown.outcomes]
    assert [row["correlation_id"] for row in rows] == [outcome["command_id"] for outcome in flown.outcomes]
    assert [row["event_id"] for row in rows] == [record.header("ce_id") for record in flown.records]
    assert {row["source"] for row in rows} == {"/eventfold/flights/handler"}
    assert rows[1]["data"] == {
        "carrier": "UA",
        "flight_number": flown.number,
        "flight_date": "2013-02-08",
        "origin": "JFK",
        "destination": "LAX",
        "tail_number": "N14228",
        "departed_at": DEPARTURE,
        "departure_delay_min": 5,
    }


def test_history_tells_when_the_log_took_each(flown: Flown) -> None:
    rows = flown.sandbox.json("history", "flights", flown.id)
    assert all(row["recorded"] < "2099" for row in rows)
    for row, record in zip(rows, flown.records, strict=True):
        at = flown.sandbox.json("query", "flights", flown.id, "--recorded-as-of", row["recorded"])
        assert at["version"] == sum(r.timestamp <= record.timestamp for r in flown.records)


def test_history_as_a_table(flown: Flown) -> None:
    lines = [line.split() for line in flown.sandbox.ok("history", "flights", flown.id).splitlines()]
    assert lines[0] == COLUMNS
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert [line[5] for line in lines[1:]] == flown.positions


def test_history_with_data(flown: Flown) -> None:
    blocks = flown.sandbox.ok("history", "flights", flown.id, "--data").split("\n\n")
    assert len(blocks) == 3
    fields = dict(line.split(None, 1) for line in blocks[1].splitlines())
    assert list(fields) == [*COLUMNS, "data"]
    assert json.loads(fields["data"])["departed_at"] == DEPARTURE


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_event_by_its_id(flown: Flown, number: int) -> None:
    row = flown.sandbox.json("history", "flights", flown.id)[number]
    assert flown.sandbox.json("event", row["event_id"].upper()) == {"key": flown.id, **row}
    assert flown.sandbox.json("event", row["event_id"], "--domain", "flights") == {"key": flown.id, **row}
    shown = dict(line.split(None, 1) for line in flown.sandbox.ok("event", row["event_id"]).splitlines())
    assert (shown["key"], shown["position"]) == (flown.id, row["position"])


def test_as_of_each_version_position_and_time(flown: Flown) -> None:
    states = ("scheduled", "departed", "arrived")
    assert [flown.status("--as-of-version", str(version)) for version in (1, 2, 3)] == list(states)
    assert [flown.status("--as-of-position", position) for position in flown.positions] == list(states)
    times = ("2099-02-08T12:04:59.999Z", "2099-02-08T13:05:00+01:00", ARRIVAL)
    assert [flown.status("--as-of", time) for time in times] == list(states)


def test_as_of_is_shown_as_the_read_model_is(flown: Flown) -> None:
    after = ("--after", flown.positions[-1])
    assert flown.sandbox.json("query", "flights", flown.id, "--as-of-version", "3") == flown.sandbox.json(
        "query", "flights", flown.id, *after
    )
    assert flown.sandbox.ok("query", "flights", flown.id, "--as-of-version", "3") == flown.sandbox.ok(
        "query", "flights", flown.id, *after
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--as-of", "2013-01-01T00:00:00Z"), "had no event as of 2013-01-01T00:00:00Z: its first of 3 is"),
        (("--recorded-as-of", "2013-01-01T00:00:00Z"), "had no event as recorded by 2013-01-01T00:00:00Z"),
        (("--as-of-version", "4"), "has no version 4 yet: it is at version 3"),
    ],
)
def test_where_there_was_nothing(flown: Flown, args: tuple[str, ...], says: str) -> None:
    message = flown.sandbox.fails(1, "query", "flights", flown.id, *args)
    assert says in message
    assert message.count("\n") == 1, message


def test_an_event_whose_predecessor_happened_later_says_what_to_ask(flown: Flown) -> None:
    """Put on the schedule now, departed years ago: then it had departed, but was never scheduled."""
    number = next(_NUMBERS)
    flown.sandbox.ok("flights", "schedule", "--number", str(number), *SCHEDULE_OPTIONS)
    flown.sandbox.ok("flights", "depart", flights.flight_id(number), "--at", "2013-02-08T12:05:00Z")
    message = flown.sandbox.fails(1, "query", "flights", flights.flight_id(number), "--as-of", "2013-02-08T13:00:00Z")
    assert "it was never scheduled" in message
    assert "--as-of-version or --recorded-as-of" in message
    assert message.count("\n") == 1, message


def test_what_was_written_a_moment_ago_is_there(flown: Flown) -> None:
    number = next(_NUMBERS)
    outcome = flown.sandbox.json("flights", "schedule", "--number", str(number), *SCHEDULE_OPTIONS)
    rows = flown.sandbox.json("history", "flights", flights.flight_id(number))
    assert [row["position"] for row in rows] == outcome["positions"]
    assert flown.sandbox.json("event", rows[0]["event_id"])["key"] == flights.flight_id(number)


def test_an_event_that_cannot_be_decoded_is_shown_without_data(flown: Flown) -> None:
    key = flights.flight_id(next(_NUMBERS))
    log.write(flown.sandbox, "flights.events", key, b"{}", log.envelope("flights.FlightLost", key, sequence=1))
    log.write(flown.sandbox, "flights.events", key, b"{}")
    rows = flown.sandbox.json("history", "flights", key)
    assert [(row["type"], row["data"], row["version"]) for row in rows] == [("flights.FlightLost", None, 1), (None, None, None)]
    assert all("too few for an Avro single-object message" in row["error"] for row in rows)
    assert "2 bytes are too few" in flown.sandbox.ok("history", "flights", key, "--data")
    assert f"key {key.encode()!r}: 2 bytes are too few" in flown.sandbox.fails(
        1, "query", "flights", key, "--as-of-version", "1"
    )


def test_history_on_a_narrow_terminal_is_not_cut(flown: Flown) -> None:
    main, terminal = pty.openpty()
    try:
        command = [sys.executable, "-m", "eventfold", "history", "flights", flown.id]
        environ = {**flown.sandbox.environ, "COLUMNS": "80"}
        subprocess.run(command, env=environ, stdout=terminal, check=True, timeout=60)
        os.close(terminal)
        blocks = os.read(main, 100_000).decode().replace("\r", "").split("\n\n")
    finally:
        os.close(main)
    assert [block.split()[1] for block in blocks] == ["1", "2", "3"]
    assert all(record.header("ce_id") in block for record, block in zip(flown.records, blocks, strict=True))


def test_progress_is_shown_on_a_terminal_and_never_on_stdout(flown: Flown) -> None:
    main, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "eventfold", "history", "flights", flown.id, "--json"],
            env={**flown.sandbox.environ, "EVENTFOLD_INDEXES": "", "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=terminal,
            check=True,
            timeout=60,
        )
        os.close(terminal)
        shown = os.read(main, 100_000).decode()
    finally:
        os.close(main)
    assert flown.sandbox.topic("flights.events") in shown
    assert len(json.loads(done.stdout)) == 3
    assert flown.sandbox.run("history", "flights", flown.id).stderr == ""


ID = "UA1:2013-02-08:JFK"
EVENT_ID = "4f0c7c0e-5b2d-4c3a-9a53-8f3a1d2b6e70"


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("query", "flights", ID, "--as-of", "yesterday"), "'yesterday' is not a time"),
        (("query", "flights", ID, "--as-of", "2013-01-01T00:00:00"), "has no time zone"),
        (("query", "flights", ID, "--recorded-as-of", "2013-02-30T00:00:00Z"), "is not a time"),
        (("query", "flights", ID, "--as-of-position", "17"), "is not a position"),
        (("query", "flights", ID, "--as-of-version", "0"), "--as-of-version"),
        (("query", "flights", ID, "--as-of-version", "two"), "--as-of-version"),
        (
            ("query", "flights", ID, "--as-of-version", "1", "--as-of", "2013-01-01T00:00:00Z"),
            "--as-of and --as-of-version name",
        ),
        (("query", "flights", ID, "--as-of-version", "1", "--after", "flights.events/0@1"), "leave them out"),
        (("query", "flights", ID, "--as-of-version", "1", "--generation", "2026"), "leave them out"),
        (("query", "flights", os.fsdecode(b"\xff"), "--as-of-version", "1"), "is not Unicode text"),
        (("query", "board", "JFK", "--date", "2013-02-08", "--as-of", "2013-01-01T00:00:00Z"), "No such option"),
        (("query", "punctuality", "--as-of-version", "1"), "No such option"),
        (("history", "weather", ID), "no domain is called 'weather'; there are: flights"),
        (("history", "flights"), "Missing argument"),
        (("history", "flights", ""), "is not an aggregate's id"),
        (("history", "flights", os.fsdecode(b"\xff")), "is not an aggregate's id"),
        (("event", "17"), "'17' is not an event's id; it must be a UUID"),
        (("event", EVENT_ID, "--domain", "weather"), "no domain is called 'weather'; there are: flights"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_ends_with_2(running: Sandbox, args: tuple[str, ...], what: str) -> None:
    assert what in running.fails(2, *args)


def test_an_index_of_a_domain_that_is_not_enabled(running: Sandbox) -> None:
    for args in (("history", "flights", ID), ("event", EVENT_ID), ("status",)):
        message = running.fails(2, *args, environ={"EVENTFOLD_INDEXES": "weather"})
        assert message == "eventfold: EVENTFOLD_INDEXES names 'weather', which is not enabled; there are: flights\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("history", "flights", "UA9999:2013-02-08:JFK"), "'UA9999:2013-02-08:JFK' has no event in"),
        (("event", EVENT_ID), f"no event has the id {EVENT_ID} in"),
        (("query", "flights", "UA9999:2013-02-08:JFK", "--as-of-version", "1"), "has no event in"),
    ],
)
def test_what_is_not_there_ends_with_1(running: Sandbox, args: tuple[str, ...], says: str) -> None:
    message = running.fails(1, *args)
    assert says in message
    assert message.count("\n") == 1, message


def test_without_kafka_one_sentence(running: Sandbox) -> None:
    message = running.fails(1, "history", "flights", ID, environ={"KAFKA_BOOTSTRAP_SERVERS": NOWHERE})
    assert NOWHERE in message
    assert message.count("\n") == 1, message


LOOKING = [("history", "flights", ID), ("event", EVENT_ID), ("query", "flights", ID, "--as-of-version", "1")]


@pytest.mark.parametrize("args", LOOKING, ids=lambda args: args[0])
def test_without_a_topic_or_the_index_s_redis_one_sentence(open_sandbox: OpenSandbox, args: tuple[str, ...]) -> None:
    with open_sandbox(partitions=0) as bare:
        assert "eventfold topics create" in bare.fails(1, *args)
        bare.create_topics()
        redis = {"REDIS_URL": f"redis://reader:hunter2@{NOWHERE}/0"}
        message = bare.fails(1, *args, environ={**redis, "EVENTFOLD_INDEXES": "flights"})
        assert "Redis" in message
        assert "hunter2" not in message
        assert "Redis" not in bare.fails(1, *args, environ=redis), "without an index, Redis is not needed"


def test_an_index_is_rebuilt_like_any_read_model(open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=2, EVENTFOLD_INDEXES="flights") as sandbox:
        for version in (1, 2):
            log.write_event(sandbox, "flights.FlightScheduled", ID, flights.scheduled(1), sequence=version)
        sandbox.projector("flights-index")
        sandbox.caught_up("flights-index")
        before = sandbox.generation("flights-index")
        sandbox.ok("replay", "flights-index")
        assert sandbox.generation("flights-index") != before
        event_ids = [row["event_id"] for row in sandbox.json("history", "flights", ID)]
        assert event_ids == [record.header("ce_id") for record in log.read(sandbox, "flights.events")]
        for slice_ in sandbox.reader("flights-index").generation.slices():
            if sandbox.redis.hexists(slice_.key("events"), event_ids[0]):
                sandbox.redis.hset(slice_.key("events"), event_ids[0], b'{"offset":1000000}')
        assert "no event has the id" in sandbox.fails(1, "event", event_ids[0]), "the new generation is not what is read"
