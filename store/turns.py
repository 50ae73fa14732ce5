"""Writes by hand to a slice that its projector writes too: a look, then a write under compare-and-set, until one is made."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Self

from eventfold.store.commits import Changes, Commit
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId

_TRIES = 100
_PAUSE_S = 0.05
# Once it was refused so often, the slice is held from the look to the write, and whoever writes it waits for so long at most.
_PATIENT = 5
_LEAST_MS, _MOST_MS = 2_000, 30_000


class Turns:
    """Looks and writes, in turn, while `left`; each write that is refused uses one up.

    Where the slice is written all the time, the later looks hold it, so that the write which follows is made. A hold lasts
    for twice the time that lay between a look and its write so far, 2 s at the least and 30 s at the most; it ends with the
    write, with `leave`, and with the block that this is opened for.
    """

    def __init__(self, store: SliceStore) -> None:
        self._store = store
        self._refused = 0
        self._held: Commit | None = None
        self._looked = 0.0
        self._took_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    @property
    def left(self) -> bool:
        return self._refused < _TRIES

    def look(self, slice_: SliceId) -> Progress | None:
        """Where the slice stands; None, and a turn less, while a switch of generations or another look holds it.

        TornError when it is not whole: nobody may write to it but its daemon, which folds it anew.
        """
        self._looked = time.monotonic()
        if self._refused >= _PATIENT:
            before = self._store.holds.seize(slice_, round(min(max(2_000 * self._took_s, _LEAST_MS), _MOST_MS)))
            if before is not None:
                self._held = Commit(slice=slice_, before=before, after=before, changes=Changes(), holder=True)
        else:
            progress = self._store.progress([slice_])[0]
            self._store.check(slice_, progress.parts)
            before = None if progress.held else progress
        if before is None:
            self.pause()
        return before

    def write(self, commit: Commit) -> bool:
        """Whether it was written; if not, another one was faster, and the next look tells where the slice stands now."""
        self._took_s = max(self._took_s, time.monotonic() - self._looked)
        is_written = self._store.commit([replace(commit, holder=self._held is not None)])[0]
        self._held = None
        if not is_written:
            self.pause()
        return is_written

    def leave(self) -> None:
        """End a look that no write follows, so that who waits for the slice goes on."""
        if self._held is not None:
            self._store.commit([self._held])
            self._held = None

    def pause(self) -> None:
        """Use a turn up."""
        self.leave()
        self._refused += 1
        time.sleep(_PAUSE_S)
