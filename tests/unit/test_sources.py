"""What is done about partitions that were added to a topic that was folded before."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, islice
from typing import Any, NamedTuple

import pytest

from eventfold.processors.sources import PartitionsAddedError, Sources, refuse_misplaced
from eventfold.projections.foreign import Foreign
from eventfold.projections.projection import Index, Projection, Table, sum_fields
from eventfold.schemas.errors import EventfoldError, Transient
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.store.builds import Generation

NAMES = Names(prefix="p.")
MERGED = Table(name="totals", merge=sum_fields)
WHOLE = Table(name="rows")
LISTED = Table(name="listed", merge=sum_fields, indexes=(Index(name="by", member=lambda key, row: key),))


def sources(*tables: Table, topic: str = "x.theirs", version: int = 1, **more: Any) -> Sources:
    foreign = (Foreign(topic="x.theirs"),) if topic == "x.theirs" else ()
    return Sources(Projection(name="x", version=version, topics=(topic,), tables=tables, foreign=foreign, **more), NAMES)


def folded(partitions: Mapping[str, int], version: int = 1) -> Generation:
    return Generation(projection="x", id="g", version=version, partitions=partitions)


def test_as_many_as_there_were_are_none_that_lack() -> None:
    assert not sources(WHOLE).lacks(folded({"p.x.theirs": 3}), {"p.x.theirs": 3})


def test_a_foreign_topics_new_partitions_are_taken_where_every_row_is_merged() -> None:
    assert sources(MERGED).lacks(folded({"p.x.theirs": 3}), {"p.x.theirs": 5})


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("table", [WHOLE, LISTED])
def test_they_are_refused_where_one_row_cannot_be_made_of_several_slices(table: Table, version: int) -> None:
    with pytest.raises(PartitionsAddedError, match=rf"\(3 then, 5 now\).* a row of '{table.name}' .*declare a `merge`"):
        sources(MERGED, table, version=version).lacks(folded({"p.x.theirs": 3}), {"p.x.theirs": 5})


@pytest.mark.parametrize("version", [1, 2])
def test_those_of_an_own_topic_are_refused_whatever_the_tables_and_the_version(version: int) -> None:
    own = sources(MERGED, topic="x.events", version=version)
    with pytest.raises(PartitionsAddedError, match=r"'p\.x\.events' \(3 then, 5 now\).*import-log"):
        own.lacks(folded({"p.x.events": 3}), {"p.x.events": 5})


def test_fewer_mean_another_topic_or_of_a_foreign_one_a_broker_that_is_behind() -> None:
    with pytest.raises(PartitionsAddedError, match="deleted and made again"):
        sources(MERGED, topic="x.events").lacks(folded({"p.x.events": 3}), {"p.x.events": 2})
    with pytest.raises(Transient, match="has 2 partitions, but had 3"):
        sources(MERGED).lacks(folded({"p.x.theirs": 3}), {"p.x.theirs": 2})


def test_other_topics_need_another_version() -> None:
    before = folded({"p.x.before": 3})
    assert not sources(WHOLE, version=2).lacks(before, {"p.x.theirs": 5})
    with pytest.raises(EventfoldError, match="raise its version"):
        sources(WHOLE).lacks(before, {"p.x.theirs": 5})


class At(NamedTuple):
    """As much of a record as says where it lies."""

    raw: bytes | None
    number: int = 0

    def topic(self) -> str:
        return "x.events"

    def partition(self) -> int:
        return self.number

    def key(self) -> bytes | None:
        return self.raw


def keyed(partition: int, partitions: int, many: int) -> list[Any]:
    """Records that were put into partition 0, whose keys belong to a partition of so many."""
    keys = (b"K-%d" % number for number in count())
    return [At(key) for key in islice((key for key in keys if partition_of(key, partitions) == partition), many)]


@pytest.mark.parametrize("partitions", [4, 5, 6, 100])
def test_a_log_to_which_partitions_were_added_shows_it(partitions: int) -> None:
    before = keyed(0, 2, 200)
    refuse_misplaced(before, 2)
    with pytest.raises(PartitionsAddedError, match=rf"x\.events/0: .* of {partitions} partitions"):
        refuse_misplaced(before, partitions)


def test_strangers_and_what_has_no_key_do_not_show_it() -> None:
    refuse_misplaced([*keyed(0, 3, 40), *keyed(1, 3, 12), *[At(None)] * 100], 3)
    refuse_misplaced(keyed(1, 3, 7), 3)
    with pytest.raises(PartitionsAddedError, match="14 of the first 54 keys"):
        refuse_misplaced([*keyed(0, 3, 40), *keyed(1, 3, 14)], 3)
