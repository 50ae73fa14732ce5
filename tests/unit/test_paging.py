"""A page takes so many rows, and no more bytes than it may; the next one begins where it ended."""

from __future__ import annotations

from typing import Any

import pytest

from eventfold import Index, Projection, Row, Table
from eventfold.projections.paging import MOST_BYTES
from eventfold.projections.past import PastReader
from eventfold.schemas.event import Event


def listed(sizes: list[int]) -> tuple[Projection, PastReader]:
    """A list of rows of about these sizes, each larger than nothing."""
    projection = Projection(
        name="notes",
        version=1,
        topics=("notes.events",),
        tables=(Table(name="notes", indexes=(Index(name="all", member=lambda _, __: "all"),)),),
    )

    @projection.on("notes.Written", key=lambda event: event.key)
    def written(row: Row | None, event: Event) -> Row:
        return {"text": "x" * event.data["size"]}

    projection.lists("notes", "all", lambda: "all", params=[], help="All.", columns=["text"])
    events = [Event("notes.Written", f"{at:04}", {"size": size}, None) for at, size in enumerate(sizes)]  # type: ignore[arg-type]
    return projection, PastReader(projection, events)


def pages(sizes: list[int], limit: int) -> list[list[int]]:
    """How long the texts on each page are."""
    projection, reader = listed(sizes)
    assert projection.query is not None
    found: list[list[int]] = []
    token: Any = ""
    while token is not None:
        page = projection.query.run(reader, limit=limit, page=token)
        found.append([len(row["text"]) for row in page["entries"]])
        token = page["next"]
    return found


@pytest.mark.parametrize(
    ("sizes", "limit", "wanted"),
    [
        ([1, 2, 3], 2, [[1, 2], [3]]),
        ([400_000] * 5, 100, [[400_000] * 2, [400_000] * 2, [400_000]]),
        ([2 * MOST_BYTES, 1, 2 * MOST_BYTES], 100, [[2 * MOST_BYTES], [1], [2 * MOST_BYTES]]),
        ([1, 2 * MOST_BYTES], 1, [[1], [2 * MOST_BYTES]]),
    ],
    ids=["by number", "by bytes", "one row alone", "both"],
)
def test_a_page_is_cut_and_the_next_one_begins_there(sizes: list[int], limit: int, wanted: list[list[int]]) -> None:
    assert pages(sizes, limit) == wanted
