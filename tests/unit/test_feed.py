"""What a commit says of the rows it changes, for who follows the read model."""

from __future__ import annotations

from dataclasses import replace

from eventfold.projections.feed import fed
from eventfold.projections.fold import Fold
from eventfold.projections.projection import Index, Projection, Table
from eventfold.schemas.message import Message
from eventfold.store.change_stream import MOST_BYTES, MOST_ROWS, Changed, changed
from eventfold.store.commits import Changes, Commit
from eventfold.store.rows import Row
from eventfold.store.slices import Progress, SliceId
from tests.support.accounts import as_events

SLICE = SliceId(owner="boards", generation="g", topic="t", partition=0)


def projection(changes: int = 5) -> Projection:
    """A row an aggregate, found under what it was last called."""
    index = Index(name="by_name", member=lambda _, row: row["name"])
    made = Projection(name="boards", version=1, topics=("t",), tables=(Table(name="rows", indexes=(index,)),), changes=changes)

    @made.on("accounts.Named")
    def named(row: Row | None, event: object) -> Row | None:
        data = event.data  # type: ignore[attr-defined]
        return None if data["name"] is None else {"name": data["name"]}

    return made


def committed(of: Projection, changes: Changes, before: Progress | None = None) -> Commit:
    before = before or Progress(offset=3, revision=4, changed="3-4")
    return fed(of, Commit(slice=SLICE, before=before, after=replace(before, offset=9), changes=changes))


def folded(of: Projection, *names: str | None, stored: dict[str, bytes] | None = None) -> Changes:
    events = as_events("a", *(Message("accounts.Named", {"name": name}) for name in names))
    rows = stored or {}
    return Fold(of, 10).apply(events, lambda _, keys: [rows.get(key) for key in keys])


def test_an_entry_has_the_rows_and_what_they_left() -> None:
    of = projection()
    commit = committed(of, folded(of, "new", stored={"a": b'{"name":"old"}'}))
    assert (commit.after.changed, commit.kept) == ("9-5", 5)
    assert commit.entry is not None
    assert changed(commit.entry) == [Changed(table="rows", key="a", row={"name": "new"}, left={"by_name": ["old\0"]})]


def test_a_row_that_is_deleted() -> None:
    of = projection()
    commit = committed(of, folded(of, None, stored={"a": b'{"name":"old"}'}))
    assert changed(commit.entry or b"") == [Changed(table="rows", key="a", row=None, left={"by_name": ["old\0"]})]


def test_a_commit_without_rows_says_nothing() -> None:
    commit = committed(projection(), Changes())
    assert (commit.entry, commit.after.changed) == (None, "3-4")


def test_a_projection_that_asks_for_none_forgets_what_it_had() -> None:
    of = projection(changes=0)
    commit = committed(of, folded(of, "new"))
    assert (commit.entry, commit.after.changed) == (None, "")


def test_too_many_rows_are_none() -> None:
    changes = Changes()
    for number in range(MOST_ROWS + 1):
        changes.put("rows", str(number), b"{}")
    commit = committed(projection(), changes)
    assert commit.entry == b""
    assert changed(b"") is None


def test_too_many_bytes_are_none() -> None:
    changes = Changes()
    changes.put("rows", "1", b'"%b"' % (b"x" * MOST_BYTES))
    assert committed(projection(), changes).entry == b""
