"""The files that a log is exported to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventfold.schemas import container
from eventfold.schemas.errors import EventfoldError
from eventfold.tools.history_check.samples import History
from eventfold.tools.log.saved import saved

ABOUT = {"topic": "t", "partition": "0"}
RECORDS = [
    container.Record(7, 0, "create", None, [], None),
    container.Record(9, 253_402_300_799_999, "append", b"", [("a", None), ("a", b"\xff")], b""),
    container.Record(2**40, -1, "create", b"k", [("", b"")], b"v"),
]


def read(path: Path) -> tuple[dict[str, str], list[container.Record]]:
    with container.opened(path) as (about, records):
        return about, list(records)


def test_what_was_written_is_read_back_and_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    path, seen = tmp_path / "t-0.avro", []
    for _ in range(2):
        container.save(path, RECORDS, lambda: ABOUT)
        assert read(path) == (ABOUT, RECORDS)
        seen.append(path.read_bytes())
    assert seen[0] == seen[1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_no_records(tmp_path: Path) -> None:
    path = tmp_path / "t-0.avro"
    container.save(path, [], lambda: {**ABOUT, "records": "0"})
    assert read(path) == ({**ABOUT, "records": "0"}, [])


def test_the_metadata_may_tell_of_the_records(tmp_path: Path) -> None:
    seen: list[container.Record] = []

    def passing() -> Iterator[container.Record]:
        for record in RECORDS:
            seen.append(record)
            yield record

    path = tmp_path / "t-0.avro"
    container.save(path, passing(), lambda: {**ABOUT, "records": str(len(seen))})
    assert read(path) == ({**ABOUT, "records": "3"}, RECORDS)


def test_what_fails_midway_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "t-0.avro"
    container.save(path, RECORDS, lambda: ABOUT)

    def failing() -> Iterator[container.Record]:
        yield RECORDS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        container.save(path, failing(), lambda: ABOUT)
    assert read(path) == (ABOUT, RECORDS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_lacks_whole_blocks(tmp_path: Path) -> None:
    """Which is a whole Avro file still."""
    path = tmp_path / "t-0.avro"
    many = [container.Record(offset, 0, "create", b"k", [], bytes(1_000)) for offset in range(500)]
    container.save(path, many, lambda: {**ABOUT, "records": "500"})
    whole = path.read_bytes()
    marker = whole[-16:]
    blocks = whole.split(marker)
    assert len(blocks) > 4
    path.write_bytes(marker.join(blocks[:-2]) + marker)
    with pytest.raises(EventfoldError, match=r"t-0\.avro is cut or damaged: it has \d+ records, and says that there are 500"):
        read(path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventfoldError, match=r"t-0\.avro cannot be written: No such file or directory"):
        container.save(tmp_path / "nowhere" / "t-0.avro", RECORDS, lambda: ABOUT)


def test_the_schemas_in_the_metadata(tmp_path: Path) -> None:
    path, schemas = tmp_path / "t-0.avro", {"0000000007": {"type": "record", "name": "Ä", "fields": []}}
    container.save(path, [], lambda: {**ABOUT, "schemas": container.noted(schemas)})
    assert container.schemas_of(path, read(path)[0]) == schemas
    assert container.schemas_of(path, ABOUT) == {}


@pytest.mark.parametrize("wrong", ["", "{nonsense", "[]", "null", '{"zz": {}}', '{"0": {}}'])
def test_schemas_in_the_metadata_that_cannot_be_read_name_the_file(tmp_path: Path, wrong: str) -> None:
    path, about = tmp_path / "t-0.avro", {**ABOUT, "topic_id": "i", "partitions": "1", "schemas": wrong}
    container.save(path, [], lambda: about)
    for reads in (lambda: container.schemas_of(path, about), lambda: saved(tmp_path), lambda: History.read(tmp_path)):
        with pytest.raises(EventfoldError, match=r"t-0\.avro: its metadata has schemas that cannot be read"):
            reads()
