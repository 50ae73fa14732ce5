"""Looking up what an index of a log holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import Message as Record

from eventfold.projections.fold import Fold
from eventfold.projections.index import BLOCK, CHUNK, Indexed, LogIndex, index_of
from eventfold.schemas.event import Event
from eventfold.schemas.names import Names
from eventfold.store.commits import Commit
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress
from tests.support.sandbox import OpenSandbox, Sandbox

TOPIC = "things.events"
things = index_of("things", ["things.Seen"])
NOTHING = Indexed(until=0, offsets=())


@pytest.fixture
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


@pytest.fixture
def index(corner: Sandbox) -> LogIndex:
    return LogIndex(corner.redis, Names(), things)


def fold(sandbox: Sandbox, until: int, events: Sequence[tuple[str, int, int | None]]) -> None:
    """Fold (key, offset, version) into partition 1, which is folded up to `until`; an event's id is its offset."""
    folded = [
        Event("things.Seen", key, {}, Record(topic=TOPIC, partition=1, offset=offset, headers=headers(offset, version)))
        for key, offset, version in events
    ]
    generation = Generations(sandbox.redis, "").ensure(things.name, things.version, {TOPIC: 2}, things.parts)
    changes = Fold(things, 10).apply(folded, lambda _, keys: [None] * len(keys))
    after = Progress(offset=until, topic_id="T")
    commit = Commit(slice=generation.slice(TOPIC, 1), before=Progress(), after=after, changes=changes)
    assert SliceStore(sandbox.redis).commit([commit]) == [True]


def headers(offset: int, version: int | None) -> list[tuple[str, str | bytes | None]]:
    found: list[tuple[str, str | bytes | None]] = [("ce_id", b"%d" % offset)]
    return found if version is None else [*found, ("ce_sequence", b"%d" % version)]


@pytest.mark.parametrize(
    "events",
    [
        [(7, 1)],
        [(n, n) for n in range(1, 3 * CHUNK)],
        [(5, 1), (900, 5 * CHUNK)],
        [(900, 5 * CHUNK)],
        [(3, None), (BLOCK * 9, None)],
        [(1, 1), (2, None), (3, 2), (BLOCK * 4, 3 * CHUNK), (BLOCK * 5, 3)],
    ],
    ids=["one", "chunks", "a gap", "no first chunk", "no version", "mixed"],
)
def test_every_offset_of_an_aggregate_in_order(corner: Sandbox, index: LogIndex, events: list[tuple[int, int | None]]) -> None:
    others = [("b", 10 * BLOCK + 1, 1), ("a#0", 10 * BLOCK + 2, 1), ("a#", 10 * BLOCK + 3, None)]
    fold(corner, 11 * BLOCK, [*(("a", *event) for event in events), *others])
    offsets = [offset for offset, _ in events]
    assert index.aggregate(TOPIC, 1, "T", "a") == Indexed(until=11 * BLOCK, offsets=offsets)
    assert index.aggregate(TOPIC, 1, "T", "c") == Indexed(until=11 * BLOCK, offsets=[])


def test_an_event_by_its_id(corner: Sandbox, index: LogIndex) -> None:
    fold(corner, 30, [("a", 7, 1), ("b", 8, 1)])
    assert index.event(TOPIC, 1, "T", "8") == Indexed(until=30, offsets=[8])
    assert index.event(TOPIC, 1, "T", "9") == Indexed(until=30, offsets=[])


def test_what_was_written_while_looking_is_left_to_a_scan(corner: Sandbox, index: LogIndex) -> None:
    """Rows are read after the offset, so they may be newer than it."""
    fold(corner, 8, [("a", 7, 1), ("a", 8, 2)])
    assert index.aggregate(TOPIC, 1, "T", "a") == Indexed(until=8, offsets=[7])


def test_an_index_that_knows_nothing_of_a_partition(corner: Sandbox, index: LogIndex) -> None:
    assert index.aggregate(TOPIC, 1, "T", "a") == NOTHING
    fold(corner, 8, [("a", 7, 1)])
    for topic, partition, topic_id in ((TOPIC, 0, "T"), (TOPIC, 2, "T"), (TOPIC, 1, "another"), ("other.events", 1, "T")):
        assert index.aggregate(topic, partition, topic_id, "a") == NOTHING
        assert index.event(topic, partition, topic_id, "7") == NOTHING


def test_a_slice_that_goes_away_while_looking_proves_nothing(corner: Sandbox, index: LogIndex) -> None:
    fold(corner, 8, [("a", 7, 1)])
    rows, slice_ = index._store.rows, Generations(corner.redis, "").live(things.name).slice(TOPIC, 1)  # type: ignore[union-attr]

    def gone(*args: object) -> list[bytes | None]:
        index._store.drop(slice_, things.parts)
        return rows(*args)  # type: ignore[arg-type]

    index._store.rows = gone  # type: ignore[method-assign]
    assert index.aggregate(TOPIC, 1, "T", "a") == NOTHING
