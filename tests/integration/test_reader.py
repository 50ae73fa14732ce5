"""Reading read models: by key, merged, by an index, and up to a position."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from eventfold.projections.projection import Index, Projection, Table, sum_fields
from eventfold.projections.queries import Readers
from eventfold.projections.query import Query
from eventfold.projections.reader import Reader
from eventfold.schemas.errors import NotFoundError, TimedOutError, UnavailableError, UsageError
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from eventfold.store.builds import parse_pointer, pointer
from eventfold.store.commits import Changes, Commit
from eventfold.store.generations import Generations
from eventfold.store.index_members import beginning, member
from eventfold.store.parked import Mark, written
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress
from tests.support.sandbox import OpenSandbox, Sandbox

TOPIC = "things.events"
PARTITIONS = 3
DAY = ("JFK", "1")
things = Projection(
    name="things",
    version=1,
    topics=(TOPIC,),
    tables=(
        Table(name="rows", indexes=(Index(name="by_time", member=lambda key, row: tuple(row["at"].split("|"))),)),
        Table(name="totals", merge=sum_fields),
    ),
)


@pytest.fixture
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


@pytest.fixture
def reader(corner: Sandbox) -> Reader:
    """30 rows and one total a slice, each slice at offset 10."""
    generation = Generations(corner.redis, "").ensure("things", 1, {TOPIC: PARTITIONS}, [])
    changes = [Changes() for _ in range(PARTITIONS)]
    for number in range(30):
        key, at = f"key-{number}", f"JFK|{number % 2}|{29 - number:02}"
        partition = partition_of(key, PARTITIONS)
        changes[partition].put("rows", key, b'{"at":"%s","key":"%s"}' % (at.encode(), key.encode()))
        changes[partition].move("by_time", None, member(tuple(at.split("|")), key))
    for partition, change in enumerate(changes):
        change.put("totals", "UA", b'{"flights":%d,"delays":{"5":%d}}' % (partition + 1, partition))
    commits = [
        Commit(slice=generation.slice(TOPIC, p), before=Progress(), after=Progress(offset=10, topic_id="T"), changes=change)
        for p, change in enumerate(changes)
    ]
    assert SliceStore(corner.redis).commit(commits) == [True] * PARTITIONS
    return Reader(SliceStore(corner.redis), things, generation, Generations(corner.redis, ""))


def test_a_row_by_its_key(reader: Reader) -> None:
    assert reader.get("rows", "key-17") == {"at": "JFK|1|12", "key": "key-17"}
    assert reader.get("rows", "key-99") is None


def test_partial_rows_are_merged(reader: Reader) -> None:
    total = {"flights": 6, "delays": {"5": 3}}
    assert reader.get("totals", "UA") == total
    assert reader.all("totals") == {"UA": total}
    assert reader.get("totals", "XX") is None


def test_all_rows_in_the_order_of_their_keys(reader: Reader) -> None:
    assert list(reader.all("rows")) == sorted(f"key-{number}" for number in range(30))


def test_an_index_is_read_in_order_over_all_partitions(reader: Reader) -> None:
    found = [row["at"] for row in reader.find("rows", "by_time", DAY)]
    assert found == sorted(found)
    assert len(found) == 15
    assert len({partition_of(row["key"], PARTITIONS) for row in reader.find("rows", "by_time", DAY)}) == PARTITIONS
    assert reader.find("rows", "by_time", "LGA") == []


@pytest.mark.parametrize("limit", [1, 4, 15, 100])
def test_an_index_is_read_in_parts(reader: Reader, limit: int) -> None:
    whole = reader.find("rows", "by_time", DAY)
    assert reader.find("rows", "by_time", DAY, limit=limit) == whole[:limit]
    start = beginning(tuple(whole[min(limit, 14)]["at"].split("|")))
    assert reader.find("rows", "by_time", DAY, start=start) == whole[min(limit, 14) :]
    assert reader.find("rows", "by_time", DAY, start=start, limit=2) == whole[min(limit, 14) :][:2]
    assert reader.find("rows", "by_time", DAY, start=beginning(("JFK", "0")), limit=2) == whole[:2]


def test_a_member_without_its_row_is_passed_over(reader: Reader, corner: Sandbox) -> None:
    """As when the row goes between the two reads: it is not the end of the page, and none behind it is lost."""
    whole = reader.find("rows", "by_time", DAY)
    slices, store = reader.generation.slices(), SliceStore(corner.redis)
    rowless = [Changes() for _ in slices]
    for number in range(20):
        rowless[number % 2].move("by_time", None, member((*DAY, ""), f"gone-{number}"))
    commits = [
        Commit(slice=slice_, before=before, after=before, changes=changes)
        for slice_, before, changes in zip(slices, store.progress(slices), rowless, strict=True)
    ]
    assert store.commit(commits[:2]) == [True, True]
    for limit in (1, 4, 15, None):
        assert reader.find("rows", "by_time", DAY, limit=limit) == whole[:limit]


def test_an_index_of_an_older_form_is_refused_with_what_to_do(reader: Reader, corner: Sandbox) -> None:
    """What an eventfold built that joined a text, a tab and the key: read as of now, it would have no rows at all."""
    former = replace(reader.generation, members=1)
    assert parse_pointer("things", pointer(former)) == former
    stored = b'{"generation":"g","version":1,"partitions":{}}'
    assert pointer(parse_pointer("things", stored)) == stored
    old = Reader(SliceStore(corner.redis), things, former, Generations(corner.redis, ""))
    assert old.get("rows", "key-17") == reader.get("rows", "key-17")
    with pytest.raises(UnavailableError, match=r"of 'things' has indexes in a form .* `eventfold replay things` builds one"):
        old.find("rows", "by_time", DAY)


def test_what_was_not_declared_is_refused(reader: Reader) -> None:
    with pytest.raises(UsageError, match="no table 'nothing'"):
        reader.get("nothing", "key-1")
    with pytest.raises(UsageError, match="no index 'nothing'"):
        reader.find("rows", "nothing", "")


def test_waiting_for_what_is_folded_returns_at_once(reader: Reader) -> None:
    reader.wait([Position(TOPIC, 0, 9), Position(TOPIC, 2, 0)], 0)


def test_waiting_for_what_is_not_folded_times_out_and_says_how_far_it_is(reader: Reader) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOutError, match=r"things.events/1@10 within 0.2 s: it is at offset 10") as raised:
        reader.wait([Position(TOPIC, 1, 10)], 0.2)
    assert raised.value.exit_code == 3
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("position", [Position("other.events", 0, 1), Position(TOPIC, PARTITIONS, 1)])
def test_waiting_for_what_it_does_not_fold_is_refused(reader: Reader, position: Position) -> None:
    with pytest.raises(UsageError, match="does not fold"):
        reader.wait([position], 5)


def test_a_projection_that_was_never_built_says_how_to_build_it(corner: Sandbox) -> None:
    readers = Readers(corner.redis, Names(), [things])
    with pytest.raises(NotFoundError, match="eventfold run projector things"):
        readers.open("things")
    with pytest.raises(UsageError, match="there are: things"):
        readers.open("nothing")


def test_a_query_that_finds_nothing_tells_of_parked_keys(corner: Sandbox, reader: Reader) -> None:
    asked = replace(things, query=Query(run=lambda reader: None))
    readers = Readers(corner.redis, Names(), [asked])
    with pytest.raises(NotFoundError, match=r"^things has no ''$"):
        readers.query("things", {})
    store, slice_, changes = SliceStore(corner.redis), reader.generation.slice(TOPIC, 1), Changes()
    mark = Mark(origin=3, recorded=0, error="no", count=1)
    changes.parked = written({}, {b"key-1": mark}, {3: b"key-1"}, [])
    (before,) = store.progress([slice_])
    assert store.commit([Commit(slice=slice_, before=before, after=before, changes=changes)]) == [True]
    with pytest.raises(NotFoundError, match=r"1 key is parked.*eventfold dead-letters list --owner things"):
        readers.query("things", {})
