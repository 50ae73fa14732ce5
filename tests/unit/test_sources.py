"""What is done about partitions that were added to a topic that was folded before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from eventfold.processors.sources import PartitionsAddedError, Sources
from eventfold.projections.foreign import Foreign
from eventfold.projections.projection import Index, Projection, Table, sum_fields
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.names import Names
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


def test_fewer_mean_another_topic() -> None:
    with pytest.raises(PartitionsAddedError, match="deleted and made again"):
        sources(MERGED).lacks(folded({"p.x.theirs": 3}), {"p.x.theirs": 2})


def test_other_topics_need_another_version() -> None:
    before = folded({"p.x.before": 3})
    assert not sources(WHOLE, version=2).lacks(before, {"p.x.theirs": 5})
    with pytest.raises(EventfoldError, match="raise its version"):
        sources(WHOLE).lacks(before, {"p.x.theirs": 5})
