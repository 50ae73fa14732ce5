"""Long answers in pages: each says where the next one begins, in a token that holds only for the build it was read from.

found = reader.entries("entries", "by_version", prefix, limit=limit + 1, start=page_start(reader, token, prefix))
rows, rest = [row for _, row in found[:limit]], found[limit:]
return page_of(reader, rows, member(parts_of(*rest[0]), rest[0][0]) if rest else None)
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol, TypedDict

from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.store.index_members import Parts, beginning
from eventfold.store.rows import Row, to_json

NO_PAGE = ""
"""The token of the first page."""
MOST_BYTES = 1_000_000
"""Of the rows of one page."""


class PageGoneError(EventfoldError):
    """The page is of a build that is not the one being read."""


class Page(TypedDict):
    """A part of an answer; `next` is the token of the part that follows, None at the end."""

    entries: Sequence[dict[str, Any]]
    next: str | None


class Built(Protocol):
    """A reader: what it reads is of one build."""

    @property
    def build(self) -> str: ...


def page_of(reader: Built, entries: Sequence[dict[str, Any]], next_start: str | None) -> Page:
    """A page. next_start: the member (eventfold.store.index_members) of the first entry not on it, None when there is none."""
    return {"entries": entries, "next": None if next_start is None else _token(reader.build, next_start)}


def fitting(rows: Sequence[Row]) -> int:
    """How many of these rows, from the first one on, a page takes: one at least, and of more at most MOST_BYTES as stored."""
    sizes = accumulate(len(to_json(row)) for row in rows)
    return sum(1 for number, size in enumerate(sizes) if not number or size <= MOST_BYTES)


def page_start(reader: Built, token: str, prefix: Parts) -> str:
    """Where a page begins, for Reader.find: where `prefix` does for the first one, whose token is empty.

    PageGoneError when another build is read by now; UsageError for a token that is none, or is of another question.
    """
    if not token:
        return beginning(prefix)
    try:
        build, _, start = urlsafe_b64decode(token.encode()).decode().partition(" ")
    except ValueError:
        build, start = "", ""
    there = bool(build) and _token(build, start) == token
    if there and build != reader.build:
        raise PageGoneError(
            f"the page is of the generation {build}, and {reader.build} is read now: begin again without a page, or read "
            f"the other one, as long as it is kept (--generation {build})"
        )
    if not there or not start.startswith(beginning(prefix)):
        raise UsageError(f"{token[:100]!r} is not the token of a page of this answer")
    return start


def _token(build: str, start: str) -> str:
    return urlsafe_b64encode(f"{build} {start}".encode()).decode()
