"""A slice under work: what of a batch is unread, how far it has come, and that the log is the one folded so far."""

from __future__ import annotations

import pytest
from confluent_kafka import Message as Record

from eventfold.processors.open_slice import OpenSlice
from eventfold.schemas.errors import LogError
from eventfold.store.commits import Changes, Commit
from eventfold.store.slices import Progress, SliceId

SLICE = SliceId(owner="board", generation="g1", topic="flights.events", partition=3)
STOOD = Progress(offset=12, revision=4, topic_id="t", last_offset=9, last_id="nine", stamp="0f")


def records(*offsets: int, **ids: str) -> list[Record]:
    """Records whose id is their offset, unless `at<offset>` names another."""
    found = []
    for offset in offsets:
        headers = [("ce_id", ids.get(f"at{offset}", str(offset)).encode())]
        found.append(Record(topic="flights.events", partition=3, offset=offset, headers=headers))
    return found


def offsets(found: object) -> list[int]:
    return [record.offset() for record in found]  # type: ignore[attr-defined]


def test_the_parts_of_a_slice_share_one_hash_slot() -> None:
    assert SLICE.key("departures") == "{board:g1:flights.events:3}:departures"


def test_a_new_slice_starts_at_zero_and_reads_everything() -> None:
    slice_ = OpenSlice(SLICE, Progress(topic_id="t"))
    assert slice_.start == 0
    assert offsets(slice_.unread(records(0, 1, 2))) == [0, 1, 2]


def test_reading_starts_at_the_last_event_folded_and_leaves_it_out() -> None:
    slice_ = OpenSlice(SLICE, STOOD)
    assert slice_.start == 9
    assert offsets(slice_.unread(records(9, 12, 13, at9="nine"))) == [12, 13]
    assert offsets(slice_.unread(records(12, 13))) == [12, 13]


@pytest.mark.parametrize(
    "first",
    [records(9, at9="another"), records(10, 12), records(10, 12, at10="nine")],
    ids=["another event", "it is gone", "not where it was"],
)
def test_a_log_that_is_another_is_an_error(first: list[Record]) -> None:
    with pytest.raises(LogError, match=r"flights\.events/3: the log is not the one that was folded: event nine at offset 9"):
        OpenSlice(SLICE, STOOD).unread(first)


def test_the_proof_is_asked_for_until_it_came() -> None:
    slice_ = OpenSlice(SLICE, STOOD)
    assert offsets(slice_.unread([])) == []
    with pytest.raises(LogError, match="is gone"):
        slice_.unread(records(12))


def test_where_old_events_are_gone_by_age_reading_starts_where_the_log_does() -> None:
    slice_ = OpenSlice(SLICE, STOOD, log_start=20)
    assert slice_.start == 20
    assert offsets(slice_.unread(records(20, 21))) == [20, 21]


def test_progress_is_behind_the_last_record_and_past_the_markers() -> None:
    slice_ = OpenSlice(SLICE, STOOD)
    after = slice_.after(records(12, 15), None)
    assert (after.offset, after.last_offset, after.last_id, after.topic_id) == (16, 15, "15", "t")
    assert slice_.after(records(12, 15), 18).offset == 18
    assert slice_.after(records(12, 15), 13).offset == 16
    assert slice_.after([], None) == STOOD
    with pytest.raises(LogError, match="is gone"):
        slice_.after([], 14)
    slice_.unread(records(9, at9="nine"))
    only_markers = slice_.after([], 14)
    assert (only_markers.offset, only_markers.last_offset, only_markers.last_id) == (14, 9, "nine")


def test_what_this_process_wrote_itself_is_counted() -> None:
    after = OpenSlice(SLICE, STOOD).delivered(17, "seventeen")
    assert (after.offset, after.last_offset, after.last_id) == (18, 17, "seventeen")


def test_every_write_counts_one_revision() -> None:
    slice_ = OpenSlice(SLICE, STOOD)
    slice_.committed(commit(slice_, slice_.after(records(12), None)))
    assert (slice_.progress.revision, slice_.progress.offset) == (5, 13)
    slice_.committed(commit(slice_, slice_.after([], 14)))
    assert (slice_.progress.revision, slice_.progress.offset) == (6, 14)


def test_while_a_write_is_under_way_the_one_before_it_may_still_be_what_is_stored() -> None:
    slice_ = OpenSlice(SLICE, STOOD)
    first, second = commit(slice_, slice_.after(records(12), None)), commit(slice_, slice_.after(records(13), None))
    assert len({STOOD.stamp, first.stamp, second.stamp}) == 3
    slice_.committed(first)
    assert slice_.stamps == (STOOD.stamp, first.stamp)
    slice_.committed(second)
    assert slice_.stamps == (first.stamp, second.stamp)


def commit(slice_: OpenSlice, after: Progress) -> Commit:
    return Commit(slice=slice_.id, before=slice_.progress, after=after, changes=Changes())
