"""Who follows a read model: what concerns them, where they stand, and what waits to be sent to them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from eventfold.projections.projection import Table
from eventfold.projections.query import Answered
from eventfold.schemas.jsonable import json_bytes
from eventfold.store.change_stream import Changed
from eventfold.store.index_members import beginning

MOST_WAITING, MOST_BYTES = 256, 256_000
OPEN, CHANGED, GONE, RESET = "open", "changed", "gone", "reset"
EXPIRED = b'event: reset\ndata: {"reason":"token-expired"}\n\n'
"""The last event of a stream whose token has ended. It bears no id: who comes back goes on behind the event before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Up to where someone knows what changed: a generation, and the last entry in the stream of each of its slices."""

    generation: str = ""
    entries: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.generation}:{','.join(self.entries)}"

    @classmethod
    def parse(cls, text: str) -> Standing:
        """The inverse of `str`; of anything else, a standing that is nobody's."""
        generation, _, entries = text.partition(":")
        return cls(generation=generation, entries=tuple(entries.split(",")))

    def past(self, slice_: int, entry: str) -> Standing:
        """Once an entry of a slice is known."""
        return replace(self, entries=(*self.entries[:slice_], entry, *self.entries[slice_ + 1 :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows concern someone: the one under `key`, or those that an index has under parts that begin so."""

    key: str | None = None
    prefix: str = ""

    def event(self, rows: Answered, table: Table, changed: Changed) -> bytes | None:
        """What is said of a changed row; None when it does not concern them."""
        if changed.table != rows.table:
            return None
        if self.key is not None:
            if changed.key != self.key:
                return None
            there = left = True
        else:
            member_of = next(index.member for index in table.indexes if index.name == rows.index)
            parts = None if changed.row is None else member_of(changed.key, changed.row)
            there = parts is not None and beginning(parts).startswith(self.prefix)
            left = any(of.startswith(self.prefix) for of in changed.left.get(rows.index, ()))
        shown = rows.show(changed.row) if there and changed.row is not None else None
        if shown is not None:
            return _event(CHANGED, {"key": changed.key, "row": shown})
        return _event(GONE, {"key": changed.key}) if left else None


class Follower:
    """One client's events that wait to be sent: at most 256, and 256 kB; in place of more it gets one `reset`."""

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self._waiting: deque[bytes] = deque()
        self._there = asyncio.Event()
        self._standing = Standing()
        self._ended = False

    def open(self, standing: Standing) -> None:
        """The first event: from where on it follows."""
        self._put(_event(OPEN, {}), standing)

    def tell(self, events: Sequence[bytes], standing: Standing) -> None:
        """Add events that bring it to a standing, of which the last one bears the id."""
        if len(self._waiting) + len(events) > MOST_WAITING or self._size_with(events) > MOST_BYTES:
            self.reset(standing)
            return
        self._waiting.extend(event + b"\n" for event in events[:-1])
        if events:
            self._put(events[-1], standing)
        self._standing = standing

    def catch_up(self, events: Sequence[bytes] | None, standing: Standing) -> None:
        """Put what was missed (None: too much, to be read anew) behind the first event, before what waits already."""
        first, *rest = self._waiting
        if events is None or self._size_with(events) > MOST_BYTES:
            self.reset(self._standing)
            return
        missed = [event + b"\n" for event in events]
        if missed:
            missed[-1] = events[-1] + f"id: {standing}\n\n".encode()
        self._waiting = deque([first, *missed, *rest])

    def reset(self, standing: Standing) -> None:
        """What it knows may be out of date: to be read anew."""
        self._waiting.clear()
        self._put(_event(RESET, {}), standing)

    def end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        self._there.set()

    async def next(self, timeout_s: float) -> bytes | None:
        """All that waits, or after so long a comment with the id of where it stands; None at the end."""
        if not self._waiting and not self._ended:
            self._there.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._there.wait()
            except TimeoutError:
                return f": ping\nid: {self._standing}\n\n".encode()
        sent = b"".join(self._waiting)
        self._waiting.clear()
        return sent or None

    def _size_with(self, events: Sequence[bytes]) -> int:
        return sum(map(len, self._waiting)) + sum(map(len, events))

    def _put(self, event: bytes, standing: Standing) -> None:
        self._standing = standing
        self._waiting.append(event + f"id: {standing}\n\n".encode())
        self._there.set()


def _event(kind: str, data: dict[str, object]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + json_bytes(data) + b"\n"
