"""Writes a batch's slices while the next batch is read, decoded and folded: Redis and Python work at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from eventfold.processors.open_slice import OpenSlice
from eventfold.processors.projector.parking import Parking
from eventfold.store.commits import Commit
from eventfold.store.slice_store import SliceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One slice's part of a batch, how many events it folds or parks, and what it parks (None: nothing more)."""

    slice: OpenSlice
    commit: Commit
    events: int
    parking: Parking | None = None


class Writer:
    """One write at a time: `begin` it, go on, `end` it before the next begins.

    A slice counts as written from `begin` on, so that the next batch goes on from there. If `end` says otherwise, or
    raises, what was folded since is worthless: load the slices anew.
    """

    def __init__(self, store: SliceStore) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._writes: Sequence[Write] = ()
        self._done: Future[list[bool]] | None = None

    def begin(self, writes: Sequence[Write]) -> None:
        """Start to write each slice in its own compare-and-set."""
        assert self._done is None
        for write in writes:
            write.slice.committed(write.commit)
        if writes:
            self._writes = writes
            self._done = self._pool.submit(self._store.commit, [write.commit for write in writes])

    def end(self) -> list[tuple[Write, bool]]:
        """Wait for the write under way, if there is one: each slice's part, and whether it was made.

        A redis error when nothing is known: the slices must be loaded anew.
        """
        if self._done is None:
            return []
        done, self._done = self._done, None
        return list(zip(self._writes, done.result(), strict=True))

    def wait(self) -> None:
        """Wait for the write under way and leave what came of it to `end`."""
        if self._done is not None:
            wait([self._done])

    def forget(self) -> None:
        """Wait for the write under way; what came of it does not matter any more."""
        self.wait()
        self._done = None

    def close(self) -> None:
        """Wait for the write under way and end the thread."""
        self._pool.shutdown()
