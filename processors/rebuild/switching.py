"""Switches the live generation in one atomic step, with nothing missed, doubled, or read backwards.

In this order: (1) hold the slices of the live generation, so that nobody writes them: each then stands at an offset F;
(2) the other generation comes to F; (3) the pointer moves; (4) the hold ends. Projectors notice at their next write, which
is refused, and go on from the new generation's own offsets. Queries are never held: they read the old generation until
(3). Who dies in the midst of it holds events up for at most five seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from eventfold.schemas.errors import EventfoldError, Transient, spoken
from eventfold.schemas.record import Place
from eventfold.store.builds import Build
from eventfold.store.connection import RedisError
from eventfold.store.generations import Generations, TooLateError
from eventfold.store.holds import HOLD_MS
from eventfold.store.slice_store import SliceStore

_LEFT_MS = 2_000
_TRIES = 3

log = structlog.get_logger("replay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """held_ms: how long nothing could be written. kept: what was live before, if anything was."""

    held_ms: float
    kept: Build | None


class NotYet(Transient):
    """The other generation did not come to where the live one is held, in the time that is left."""


def switch(
    generations: Generations,
    store: SliceStore,
    live: Build | None,
    to: Build,
    reach: Callable[[dict[Place, int], float], None],
    *,
    keep_ms: int,
) -> Switched:
    """Make `to` live.

    reach: (offsets, seconds left) brings `to` there; it raises NotYet when it cannot in that time, or another error to
    call the switch off. EventfoldError when the live generation is another one by now, or it cannot be done in time.
    """

    def once() -> Switched:
        slices = [] if live is None else live.generation.slices()
        started = time.monotonic()
        try:
            held = store.holds.take(slices, HOLD_MS)
            offsets = {(slice_.topic, slice_.partition): of.offset for slice_, of in zip(slices, held, strict=True)}
            # Once the hold has ended by itself the live generation may move on.
            until = min((of.held_until - _LEFT_MS // 2 for of in held), default=None)
            reach(offsets, (HOLD_MS - _LEFT_MS) / 1000)
            if not generations.switch(live, to, now=int(time.time() * 1000), keep_ms=keep_ms, until=until):
                raise EventfoldError(
                    f"another generation of {to.generation.projection!r} went live meanwhile: nothing was switched"
                )
            return Switched(held_ms=(time.monotonic() - started) * 1000, kept=live)
        except TooLateError as error:
            raise NotYet(f"while the live one was held, {error}") from error
        finally:
            if live is not None:
                _release(generations, store, live)

    for left in reversed(range(_TRIES)):
        try:
            return once()
        except NotYet:
            if not left:
                raise
    raise AssertionError


def _release(generations: Generations, store: SliceStore, live: Build) -> None:
    slices = live.generation.slices()
    try:
        store.holds.release(slices)
        if all(build.id != live.id for build in generations.all(live.generation.projection)):
            # Redis forgot it before it was held, and what holding it made anew nobody else would delete.
            for slice_ in slices:
                store.drop(slice_, live.parts)
    except RedisError as fault:
        log.warning("the hold is left to end by itself", fault=spoken(fault))
