"""The index of a log: chunks that do not grow, what has no version, ids."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Message as Record

from eventfold.projections.index import BLOCK, CHUNK, index_of
from eventfold.projections.testing import assert_folds_alike, folded
from eventfold.schemas.errors import UsageError
from eventfold.schemas.event import Event

shop = index_of("shop", ["shop.Put", "shop.Sold"])


def event(key: str, offset: int, sequence: Any = None, id_: bytes | None = None, type_: str = "shop.Put") -> Event:
    headers: list[tuple[str, bytes]] = [("ce_time", b"2013-01-01T10:00:00Z")]
    headers += [("ce_id", id_)] if id_ is not None else []
    headers += [("ce_sequence", str(sequence).encode())] if sequence is not None else []
    return Event(type_, key, {}, Record(topic="shop.events", partition=0, offset=offset, headers=headers))


def test_it_is_a_projection_of_every_type_of_the_domain() -> None:
    assert (shop.name, shop.version, shop.topics) == ("shop-index", 1, ("shop.events",))
    assert set(shop.routes) == {"shop.Put", "shop.Sold"}
    assert shop.query is None


def test_an_aggregate_s_offsets_lie_in_chunks_of_a_hundred_versions() -> None:
    events = [event("a", 3 * n, n, b"id-%d" % n, "shop.Sold" if n % 2 else "shop.Put") for n in range(1, 251)]
    offsets = folded(shop, [*events, event("b", 999, 1)])["offsets"]
    assert offsets == {
        "a#0": {"offsets": [3 * n for n in range(1, 101)]},
        "a#1": {"offsets": [3 * n for n in range(101, 201)]},
        "a#2": {"offsets": [3 * n for n in range(201, 251)]},
        "a#": {"chunk": 2},
        "b#0": {"offsets": [999]},
    }
    assert max(len(row.get("offsets", ())) for row in offsets.values()) == CHUNK


@pytest.mark.parametrize("sequence", [None, "", "one", "0", "-1", "12"], ids=str)
def test_what_has_no_version_or_an_impossible_one_lies_by_blocks_of_offsets(sequence: str | None) -> None:
    offsets = [3, 10, BLOCK - 1, BLOCK, 5 * BLOCK + 7]
    events = [event("a", offset, sequence if offset < 11 else None) for offset in offsets]
    assert folded(shop, events)["offsets"] == {
        "a#@0": {"offsets": [3, 10, BLOCK - 1]},
        "a#@1": {"offsets": [BLOCK]},
        "a#@5": {"offsets": [5 * BLOCK + 7]},
        "a#": {"blocks": [0, 5]},
    }


def test_versions_and_none_side_by_side() -> None:
    found = folded(shop, [event("a", 1, 1), event("a", 2), event("a", 600, 101), event("a", 2_000)])["offsets"]
    assert found["a#"] == {"chunk": 1, "blocks": [0, 2]}


def test_ids_of_aggregates_that_look_like_chunks_do_not_collide() -> None:
    found = folded(shop, [event("a", 1, 1), event("a#0", 2, 1), event("a#", 3, 1), event("a#@0", 4), event("a", 5)])["offsets"]
    assert sorted(row["offsets"] for row in found.values() if "offsets" in row) == [[1], [2], [3], [4], [5]]


def test_events_by_their_id() -> None:
    events = [event("a", 1, 1, b"AB-1"), event("a", 2, 2), event("a", 3, 3, b""), event("a", 4, 4, b"\xff")]
    assert folded(shop, [*events, event("a", 5, 5, b"ab-1")])["events"] == {"ab-1": {"offset": 1}}


def test_it_folds_alike_wherever_batches_end() -> None:
    events = [event("ab"[n % 2], n, n // 2 + 1 if n % 7 else None, b"id-%d" % (n // 3)) for n in range(450)]
    assert_folds_alike(shop, events, rounds=3)


def test_a_domain_s_name_that_leaves_no_room_for_the_index_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot name a projection"):
        index_of("a" * 60, [])
