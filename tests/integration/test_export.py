"""A log is saved as files, and restored from them: to equal rows, the same outcomes, and versions that go on."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from avro.datafile import DataFileReader
from avro.io import DatumReader
from confluent_kafka.admin import NewTopic

from eventfold.kafka.topics import Topics
from eventfold.schemas import container
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

PROJECTIONS = ("flights", "board", "punctuality", "aircraft")
TOPICS = ("flights.commands", "flights.events", "flights.refusals")
NUMBERS = range(1, 21)
REFUSED = str(uuid.uuid4())
ACCEPTED = str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A log of twenty flights and what was made of it; its files, in a folder a topic."""

    sandbox: Sandbox
    folder: Path
    records: dict[str, list[log.Record]]

    def files(self, topic: str) -> list[Path]:
        return sorted((self.folder / topic).glob("*.avro"))


def run(sandbox: Sandbox) -> None:
    """Handler and projectors, until nothing is left to do."""
    daemons = [sandbox.handler(), sandbox.projector(*PROJECTIONS)]
    sandbox.caught_up("flights.handler", *PROJECTIONS)
    assert [daemon.stop() for daemon in daemons] == [0, 0]


def digests(sandbox: Sandbox) -> dict[str, Any]:
    return {row["projection"]: row["digest"] for row in sandbox.json("digest", *PROJECTIONS)}


@pytest.fixture(scope="module")
def original(open_sandbox: OpenSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    folder = tmp_path_factory.mktemp("exported")
    with open_sandbox(partitions=2) as sandbox:
        handler = sandbox.handler()
        for number in NUMBERS:
            assert commands.schedule(sandbox, number).accepted
            if number % 2:
                assert commands.depart(sandbox, number, number).accepted
        assert commands.arrive(sandbox, 1, id=ACCEPTED).accepted
        assert commands.arrive(sandbox, 2, id=REFUSED).code == "not-departed"
        assert handler.stop() == 0
        # What no schema fits and what has no key are of the log all the same.
        log.write(sandbox, "flights.commands", None, b"\xc3\x01no such schema", [("a", "1"), ("a", "2")], partition=1)
        log.write(sandbox, "flights.commands", "k", None, partition=0)
        run(sandbox)
        for topic in TOPICS:
            sandbox.ok("export", topic, str(folder / topic))
        yield Original(sandbox=sandbox, folder=folder, records={topic: log.read(sandbox, topic) for topic in TOPICS})


def test_any_avro_library_reads_the_files_and_the_schemas_in_them_read_the_messages(original: Original) -> None:
    known = {record.offset: record for record in original.records["flights.events"] if record.partition == 0}
    path, _ = original.files("flights.events")
    with DataFileReader(path.open("rb"), DatumReader()) as reader:  # type: ignore[no-untyped-call]
        schemas = json.loads(reader.meta["eventfold.schemas"])
        rows = list(reader)
    assert [row["offset"] for row in rows] == [*known]
    for row in rows:
        record = known[row["offset"]]
        assert (row["key"].decode(), row["value"]) == (record.key, record.value)
        assert {header["name"]: header["value"].decode() for header in row["headers"]} == record.headers
        assert row["timestamp"].timestamp() * 1000 == record.timestamp
        assert row["timestamp_type"] == "append"
        body = BytesIO(row["value"][10:])
        data: Any = fastavro.schemaless_reader(body, schemas[row["value"][:10].hex()], None)
        assert data["carrier"] == "UA"
        assert not body.read()


def test_the_files_say_what_they_are(original: Original) -> None:
    for topic in TOPICS:
        info = Topics(original.sandbox.installation.kafka).describe([original.sandbox.topic(topic)])
        for partition, path in enumerate(original.files(topic)):
            with container.opened(path) as (about, records):
                found = list(records)
            of = [record for record in original.records[topic] if record.partition == partition]
            assert about["topic"] == original.sandbox.topic(topic)
            assert about["topic_id"] == info[about["topic"]].id
            assert (about["partition"], about["partitions"]) == (str(partition), "2")
            assert about["records"] == str(len(found)) == str(len(of))
            assert about["first_offset"] == "0"
            assert int(about["next_offset"]) >= len(of)
            assert about["exported_at"] > "2026"


def restore(original: Original, sandbox: Sandbox, *options: str) -> None:
    for topic in TOPICS:
        sandbox.ok("import-log", str(original.folder / topic), topic, *options)


def same(records: list[log.Record]) -> list[tuple[Any, ...]]:
    return [(record.key, record.value, dict(record.headers)) for record in records]


def tables(sandbox: Sandbox) -> dict[str, dict[tuple[str, int, str], bytes]]:
    """Every stored row, by projection and table, then by partition and key."""
    return {
        f"{name} {table}": {("", partition, key): row for (_, partition, key), row in rows.items()}
        for name in PROJECTIONS
        for table, rows in sandbox.tables(name).items()
    }


def delete(sandbox: Sandbox) -> None:
    """Delete the topics of a log."""
    names = [sandbox.topic(topic) for topic in TOPICS]
    for future in sandbox.admin.delete_topics(names).values():
        future.result(30)
    eventually(lambda: not Topics(sandbox.installation.kafka).existing(names), "the topics are gone")


def goes_on(sandbox: Sandbox) -> None:
    """What was decided stays decided, and versions go on."""
    before = len(log.read(sandbox, "flights.events"))
    with_handler = sandbox.handler()
    sandbox.caught_up("flights.handler")
    assert commands.arrive(sandbox, 2, id=REFUSED).code == "not-departed"
    again = commands.arrive(sandbox, 1, id=ACCEPTED)
    assert again.accepted
    assert again.version == 3
    assert len(log.read(sandbox, "flights.events")) == before
    assert commands.depart(sandbox, 2).version == 2
    assert with_handler.stop() == 0


def test_a_restored_log_is_the_same_and_folds_to_equal_rows(original: Original, open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=0) as sandbox:
        restore(original, sandbox)
        sandbox.create_topics()
        for topic in TOPICS:
            found = log.read(sandbox, topic)
            assert same(found) == same(original.records[topic])
            # The broker says again when records are appended.
            assert Topics(sandbox.installation.kafka).config(sandbox.topic(topic))["message.timestamp.type"] == "LogAppendTime"
            if topic == "flights.events":
                assert [record.timestamp for record in found] == [record.timestamp for record in original.records[topic]]
        run(sandbox)
        assert tables(sandbox) == tables(original.sandbox)
        # A digest counts the topic's name too.
        before = digests(sandbox)
        delete(sandbox)
        restore(original, sandbox)
        sandbox.redis.flushdb()
        run(sandbox)
        assert digests(sandbox) == before
        goes_on(sandbox)
        newest, old = (
            max(r.timestamp for r in of) for of in (log.read(sandbox, "flights.events"), original.records["flights.events"])
        )
        assert newest > old


def test_a_log_moves_to_another_number_of_partitions(original: Original, open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=0) as sandbox:
        restore(original, sandbox, "--partitions", "3")
        sandbox.create_topics(3)
        run(sandbox)
        assert sandbox.rows("flights") == original.sandbox.rows("flights")
        for number in NUMBERS[:2]:
            id_ = flights.flight_id(number)
            rows, before = (of.json("history", "flights", id_) for of in (sandbox, original.sandbox))
            places = [row.pop("position") for row in rows], [row.pop("position") for row in before]
            assert rows == before
            assert all("/" in place for of in places for place in of)
        for query in (("board", "JFK", "--date", "2013-02-08"), ("punctuality",)):
            assert sandbox.json("query", *query) == original.sandbox.json("query", *query)
        goes_on(sandbox)


def test_what_has_no_key_goes_by_its_old_partition(original: Original, open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=0) as sandbox:
        sandbox.ok("import-log", str(original.folder / "flights.commands"), "flights.commands", "--partitions", "3")
        (record,) = [record for record in log.read(sandbox, "flights.commands") if record.key is None]
        assert (record.partition, record.value) == (1, b"\xc3\x01no such schema")


# -- wrong input -----------------------------------------------------------------------------------------------------------


def test_files_that_are_there_are_not_written_over(original: Original, tmp_path: Path) -> None:
    sandbox = original.sandbox
    sandbox.ok("export", "flights.events", str(tmp_path), "--partition", "1")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"mine")
    assert f"{path} is there already" in sandbox.fails(2, "export", "flights.events", str(tmp_path))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]
    sandbox.ok("export", "flights.events", str(tmp_path), "--force")
    assert len(list(tmp_path.iterdir())) == 2


def test_exports_of_what_is_not_there(original: Original, tmp_path: Path) -> None:
    sandbox = original.sandbox
    assert "'nothing' does not exist; there are: " in sandbox.fails(1, "export", "nothing", str(tmp_path / "a"))
    assert "has no partition 2; it has 2" in sandbox.fails(
        2, "export", "flights.events", str(tmp_path / "a"), "--partition", "2"
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert "cannot be made" in sandbox.fails(1, "export", "flights.events", str(tmp_path / "file" / "in"))


def test_a_log_that_was_cut_short_is_saved_from_where_it_begins(sandbox: Sandbox, tmp_path: Path) -> None:
    (number,) = flights.numbers_on(0, 2, 1)
    for _ in range(3):
        log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))
    log.cut_start(sandbox, "flights.events", 0, 2)
    done = sandbox.run("export", "flights.events", str(tmp_path), "--partition", "0")
    assert done.returncode == 0
    assert "begins at offset 2: what was before it is gone" in done.stderr
    with container.opened(tmp_path / f"{sandbox.topic('flights.events')}-0.avro") as (about, records):
        assert (about["first_offset"], [record.offset for record in records]) == ("2", [2])


def refused(original: Original, sandbox: Sandbox, folder: Path, code: int, *options: str) -> str:
    """The sentence; nothing was written."""
    says = sandbox.fails(code, "import-log", str(folder), "flights.events", *options)
    assert [topic for topic in sandbox.admin.list_topics(timeout=10).topics if topic.startswith(sandbox.prefix)] == []
    return says


@pytest.fixture(scope="module")
def empty(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


def test_folders_that_are_no_export(original: Original, empty: Sandbox, tmp_path: Path) -> None:
    assert "is no folder" in refused(original, empty, tmp_path / "nowhere", 2)
    assert "has no file that `eventfold export` wrote" in refused(original, empty, tmp_path, 1)
    whole = original.files("flights.events")
    shutil.copy(whole[0], tmp_path)
    assert "had 2 partitions, and there is no file of 1" in refused(original, empty, tmp_path, 1)
    shutil.copy(whole[0], tmp_path / "again.avro")
    assert "hold the same partition" in refused(original, empty, tmp_path, 1, "--partial")
    shutil.copy(original.files("flights.refusals")[1], tmp_path / "again.avro")
    assert "cannot all become 'flights.events'" in refused(original, empty, tmp_path, 2, "--partial")
    original.sandbox.ok("export", "flights.commands", str(tmp_path / "other"))
    (tmp_path / "again.avro").write_text("{}")
    assert "again.avro is no Avro object container file" in refused(original, empty, tmp_path, 1)


def test_a_damaged_file_is_noticed_before_anything_is_written(original: Original, empty: Sandbox, tmp_path: Path) -> None:
    for path in original.files("flights.events"):
        shutil.copy(path, tmp_path)
    damaged = tmp_path / original.files("flights.events")[1].name
    damaged.write_bytes(damaged.read_bytes()[:-30])
    assert f"{damaged.name} is cut or damaged" in refused(original, empty, tmp_path, 1)


def test_part_of_a_log(original: Original, open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    shutil.copy(original.files("flights.events")[1], tmp_path)
    with open_sandbox(partitions=0) as sandbox:
        says = sandbox.fails(2, "import-log", str(tmp_path), "flights.events", "--partial", "--partitions", "3")
        assert "only part of" in says
        sandbox.ok("import-log", str(tmp_path), "other", "--partial")
        of = [record for record in original.records["flights.events"] if record.partition == 1]
        assert same(log.read(sandbox, "other")) == same(of)


def test_a_topic_that_has_records_is_left_alone(original: Original) -> None:
    sandbox = original.sandbox
    says = sandbox.fails(2, "import-log", str(original.folder / "flights.events"))
    assert f"{sandbox.topic('flights.events')} has, or had, records" in says
    assert log.read(sandbox, "flights.events") == original.records["flights.events"]
    says = sandbox.fails(2, "import-log", str(original.folder / "flights.events"), "flights.dead-letters", "--partitions", "7")
    assert "is there with 2 partitions, and cannot be made with 7" in says


def test_what_fails_midway_says_that_the_topic_is_incomplete(original: Original, open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=0) as sandbox:
        topic = sandbox.topic("small")
        made = NewTopic(topic, num_partitions=2, replication_factor=1, config={"max.message.bytes": "100"})
        sandbox.admin.create_topics([made])[topic].result(30)
        says = sandbox.fails(1, "import-log", str(original.folder / "flights.events"), "small")
        assert f"{topic} is incomplete: delete it with Kafka's own tools, and restore it again" in says
