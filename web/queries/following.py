"""Follows a read model as it changes: one reader of its slices' streams a process, however many clients there are.

An entry of a stream names the one before it. Who does not know that one has missed something, and is told to read anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from eventfold.projections.projection import Projection
from eventfold.projections.query import Answered
from eventfold.schemas.errors import spoken
from eventfold.store.builds import Generation
from eventfold.store.change_stream import Changed, ChangeStreams, changed, is_id
from eventfold.store.generations import Generations
from eventfold.web.queries.followers import Filter, Follower, Standing
from eventfold.web.waiting import on_loop

EVERY_S = 0.1
_AT_ONCE = 100
_MOST_MISSED = 2_000
log = structlog.get_logger("serve")


class Feed:
    """The followers of one projection. It looks at Redis ten times a second as long as there are any.

    Everything happens on one event loop; between two awaits nobody else changes anything.
    """

    def __init__(self, projection: Projection, rows: Answered, generations: Generations, streams: ChangeStreams) -> None:
        self._projection = projection
        self._rows = rows
        self._table = projection.table(rows.table)
        self._generations = generations
        self._streams = streams
        self._followers: set[Follower] = set()
        self._generation: Generation | None = None
        self._standing = Standing()
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()

    async def follow(self, filter_: Filter, since: Standing | None) -> Follower:
        """Begin to follow: from now on, or from where a client stood, if what happened since is still known.

        A read model that is not built yet, or a Redis that is away, is waited for.
        """
        if self._looking is None:
            self._looked.clear()
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
        follower = Follower(filter_)
        self._followers.add(follower)
        try:
            await self._looked.wait()
            now = self._standing
            follower.open(now)
            if since is not None and since != now:
                # What happens meanwhile waits behind what happened before.
                missed = await on_loop(self._between, since, now)
                follower.catch_up(None if missed is None else self._events(follower, missed), now)
        except BaseException:
            self.leave(follower)
            raise
        return follower

    def leave(self, follower: Follower) -> None:
        """End to follow; the last one ends the looking."""
        self._followers.discard(follower)
        if not self._followers and self._looking is not None:
            self._looking.cancel()
            self._looking = self._generation = None

    def close(self) -> None:
        """End every follower's stream."""
        for follower in self._followers:
            follower.end()

    async def _look_on(self) -> None:
        while True:
            try:
                await on_loop(self._look)
                self._looked.set()
            except Exception as fault:
                # Whoever follows hears nothing meanwhile, and goes on from where it was.
                log.warning("the changes of a read model cannot be read", projection=self._projection.name, fault=spoken(fault))
                await asyncio.sleep(1)
            await asyncio.sleep(EVERY_S)

    def _look(self) -> None:
        live = self._generations.live(self._projection.name)
        # One that was given more partitions has more slices.
        if live is None or live != self._generation:
            self._begin(live)
            return
        more = True
        while more:
            streams = self._streams.after(live.slices(), self._standing.entries, _AT_ONCE)
            more = any(len(stream) == _AT_ONCE for stream in streams)
            for number, stream in enumerate(streams):
                for id_, previous, rows in stream:
                    missed = previous != self._standing.entries[number]
                    self._standing = self._standing.past(number, id_)
                    self._tell(None if missed else changed(rows))

    def _begin(self, live: Generation | None) -> None:
        """Another generation, whose rows may be others: to be read anew."""
        entries = () if live is None else tuple(self._streams.last(live.slices()))
        standing = Standing(generation="" if live is None else live.id, entries=entries)
        begins, self._generation = self._generation is None and not self._looked.is_set(), live
        if standing != self._standing:
            self._standing = standing
            if not begins:
                self._tell(None)

    def _tell(self, rows: Sequence[Changed] | None) -> None:
        for follower in self._followers:
            if rows is None:
                follower.reset(self._standing)
            else:
                follower.tell(self._events(follower, rows), self._standing)

    def _events(self, follower: Follower, rows: Sequence[Changed]) -> list[bytes]:
        events = (follower.filter.event(self._rows, self._table, row) for row in rows)
        return [event for event in events if event is not None]

    def _between(self, since: Standing, until: Standing) -> list[Changed] | None:
        """What changed between two standings; None when that is not known, or is too much."""
        live = self._generation
        if live is None or since.generation != until.generation or len(since.entries) != len(until.entries):
            return None
        missed: list[Changed] = []
        for slice_, begin, end in zip(live.slices(), since.entries, until.entries, strict=True):
            at = begin
            while at != end:
                stream = self._streams.after([slice_], [at], _AT_ONCE)[0] if is_id(at) else []
                for id_, previous, rows in stream:
                    found = changed(rows)
                    if previous != at or found is None:
                        return None
                    missed += found
                    at = id_
                    if at == end:
                        break
                if not stream or len(missed) > _MOST_MISSED:
                    return None
        return missed
