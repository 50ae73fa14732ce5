"""A log that begins with the first versions: everything reads it as it reads one that was written today."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.message import Message
from eventfold.schemas.partitioner import partition_of
from eventfold.store.slice_store import SliceStore
from flights.dataset import flights
from flights.decider import decider
from flights.importer import commands
from tests.support import log, truth
from tests.support.flights import scheduled
from tests.support.local_stack import REPOSITORY
from tests.support.sandbox import OpenSandbox, Sandbox

FLIGHTS = 1_500
PARTITIONS = 2
PROJECTIONS = ("flights", "board", "punctuality", "aircraft")
SCHEMAS = REPOSITORY / "examples" / "flights" / "flights" / "schemas"


def as_first(event: Message) -> dict[str, Any]:
    """The data of an event as the first version has it."""
    data = dict(event.data)
    if event.type == "flights.FlightArrived":
        seconds = data.pop("air_time_s")
        data["air_time_min"] = None if seconds is None else seconds // 60
    data.pop("diverted_to", None)
    return data


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    """A codec of whoever has no other versions than the first."""
    folder = tmp_path_factory.mktemp("first")
    for path in SCHEMAS.glob("*/*.v1.avsc"):
        (folder / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, folder / path.parent.name)
    return Codec(Catalog({"flights": folder}))


@pytest.fixture(scope="module")
def history() -> list[tuple[str, int, Message]]:
    """What became of the first flights of January: id, version, event."""
    states: dict[str, Any] = {}
    versions: dict[str, int] = {}
    found = []
    for command in commands(itertools.islice(flights([1]), FLIGHTS)):
        state = states.get(command.key, decider.initial())
        decided = decider.decide(state, Message(command.type, dict(command.data)))
        assert isinstance(decided, list)
        for event in decided:
            state = decider.evolve(state, event)
            versions[command.key] = versions.get(command.key, 0) + 1
            found.append((command.key, versions[command.key], event))
        states[command.key] = state
    assert {event.type for _, _, event in found} >= {"flights.FlightDiverted", "flights.FlightArrived"}
    return found


@dataclass(frozen=True, slots=True)
class Logs:
    """The same events in the first versions, in the newest, and changing from one to the other midway."""

    old: Sandbox
    new: Sandbox
    mixed: Sandbox


@pytest.fixture(scope="module")
def logs(open_sandbox: OpenSandbox, first: Codec, history: list[tuple[str, int, Message]]) -> Iterator[Logs]:
    with (
        open_sandbox(partitions=PARTITIONS) as old,
        open_sandbox(partitions=PARTITIONS) as new,
        open_sandbox(partitions=PARTITIONS) as mixed,
    ):
        for sandbox, until in ((old, len(history)), (new, 0), (mixed, len(history) // 2)):
            producer, newest = sandbox.producer, sandbox.installation.codec
            for number, (key, version, event) in enumerate(history):
                value = first.encode(event.type, as_first(event)) if number < until else newest.encode(*event)
                headers = log.envelope(event.type, key, sequence=version)
                producer.produce(sandbox.topic("flights.events"), key=key, value=value, headers=headers)
                producer.poll(0)
            assert producer.flush(60) == 0
            daemon = sandbox.projector(*PROJECTIONS)
            sandbox.caught_up(*PROJECTIONS)
            assert daemon.stop() == 0
        yield Logs(old, new, mixed)


def stored(sandbox: Sandbox, projection: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Rows by table, partition and key; the digests that stand in the slices."""
    rows = {
        (table, partition, key): row
        for table, found in sandbox.tables(projection).items()
        for (_, partition, key), row in found.items()
    }
    slices = sandbox.reader(projection).generation.slices()
    progress = SliceStore(sandbox.redis).progress(slices)
    return rows, {slice_.partition: of.digests for slice_, of in zip(slices, progress, strict=True)}


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("which", ["old", "mixed"])
def test_read_models_are_equal_to_the_byte_and_in_their_digests(logs: Logs, which: str, projection: str) -> None:
    rows, digests = stored(getattr(logs, which), projection)
    wanted, as_digests = stored(logs.new, projection)
    assert rows and rows == wanted
    assert digests == as_digests and all(digests.values())
    tables = logs.new.tables(projection)
    assert {place[1]: of for place, of in truth.digests(tables).items()} == {
        partition: {table: f"{digest:032x}" for table, digest in of.items() if digest} for partition, of in digests.items()
    }


def test_verify_says_that_they_are_what_the_log_says(logs: Logs) -> None:
    for projection in ("flights", "aircraft"):
        logs.old.ok("verify", projection)


def test_whoever_looks_sees_the_newest_form_and_which_version_was_written(logs: Logs) -> None:
    def arrived(sandbox: Sandbox) -> dict[str, Any]:
        event = next(r for r in log.read(sandbox, "flights.events") if r.header("ce_type") == "flights.FlightArrived")
        (row,) = [row for row in sandbox.json("history", "flights", str(event.key)) if row["version"] == 3]
        found = sandbox.json("event", event.header("ce_id"))
        assert {**row, "key": event.key} == found
        return row

    old, new = arrived(logs.old), arrived(logs.new)
    assert (old["schema_version"], new["schema_version"]) == (1, 2)
    assert old["data"]["air_time_s"] > 0 and old["data"] == new["data"]


def test_aggregates_are_loaded_and_decided_on(logs: Logs, history: list[tuple[str, int, Message]]) -> None:
    arrived, diverted = (
        next(key for key, _, event in history if event.type == f"flights.Flight{name}") for name in ("Arrived", "Diverted")
    )
    by_log = [logs.old.client.load("flights", key, at=3) for key in (arrived, diverted)]
    assert [(loaded.version, loaded.state["status"]) for loaded in by_log] == [(3, "arrived"), (3, "diverted")]
    handler = logs.old.handler()
    try:
        for key, code in ((arrived, "already-arrived"), (diverted, "already-diverted")):
            refused = logs.old.client.submit("flights.CancelFlight", key, {"cancelled_at": 0})
            assert (refused.code, refused.version) == (code, 3)
            assert logs.old.client.load("flights", key).state == logs.old.client.load("flights", key, at=3).state
    finally:
        handler.stop()


def test_a_command_of_the_first_version_is_decided(logs: Logs, first: Codec) -> None:
    """Kafka keeps commands for days: some are older than the code that decides them."""
    sandbox, key = logs.new, "UA9999:2014-01-01:EWR"
    plan = dict(scheduled(9999), flight_date=16_071, origin="EWR", scheduled_departure=0, scheduled_arrival=3_600_000)
    steps: list[tuple[str, dict[str, Any]]] = [
        ("flights.ScheduleFlight", plan),
        ("flights.DepartFlight", {"departed_at": 0, "departure_delay_min": 0, "tail_number": None}),
        ("flights.DivertFlight", {"diverted_at": 1_800_000}),
    ]
    for type_, data in steps:
        log.write(sandbox, "flights.commands", key, first.encode(type_, data), log.envelope(type_, key))
    handler = sandbox.handler()
    sandbox.caught_up("flights.handler")
    assert handler.stop() == 0
    events = [r for r in log.read(sandbox, "flights.events") if r.key == key]
    assert {event.partition for event in events} == {partition_of(key, PARTITIONS)}
    last = sandbox.installation.codec.decode(events[-1].value)
    assert (last.type, last.data["diverted_to"], len(events)) == ("flights.FlightDiverted", None, 3)
