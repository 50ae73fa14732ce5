"""Who begins to follow a read model hears of it at once, whoever ends to follow it meanwhile."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any, cast

from eventfold.store.builds import Generation
from eventfold.store.change_stream import ChangeStreams
from eventfold.store.generations import Generations
from eventfold.web.queries.followers import Filter
from eventfold.web.queries.following import Feed
from eventfold.web.waiting import awaited
from flights.projections.board import board

LIVE = Generation(projection="board", id="g", version=1, partitions={"flights.events": 2})


async def turns(count: int) -> None:
    """Let the event loop take so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


class _Slow:
    """What Redis says of a read model that does not change, each time so many turns of the event loop later."""

    def __init__(self, takes: int) -> None:
        self._takes = takes

    def live(self, _: str) -> Generation:
        awaited(turns(self._takes))
        return LIVE

    def after(self, slices: list[Any], *_: Any) -> list[list[Any]]:
        awaited(turns(self._takes))
        return [[] for _ in slices]

    def last(self, slices: list[Any]) -> list[str]:
        awaited(turns(self._takes))
        return ["" for _ in slices]


def test_who_begins_as_another_ends_waits_for_nobody() -> None:
    assert board.query is not None and board.query.rows is not None
    rows, stuck = board.query.rows, []

    async def one_after_the_other(takes: int, ends: int, begins: int) -> None:
        redis = cast(Any, _Slow(takes))
        feed = Feed(board, rows, cast(Generations, redis), cast(ChangeStreams, redis))
        heard: dict[str, bytes | None] = {}

        async def follow(name: str, start: int) -> None:
            await turns(start)
            follower = await feed.follow(Filter(key="a"), None)
            try:
                heard[name] = await follower.next(10)
                await asyncio.Event().wait()
            finally:
                feed.leave(follower)

        first, second = asyncio.ensure_future(follow("first", 0)), asyncio.ensure_future(follow("second", begins))
        await turns(ends)
        first.cancel()
        await turns(40)
        if not (heard.get("second") or b"").startswith(b"event: open"):
            stuck.append((takes, ends, begins))
        second.cancel()
        await turns(5)

    async def every_distance() -> None:
        for drawn in product(range(1, 4), range(14), range(14)):
            await one_after_the_other(*drawn)

    asyncio.run(every_distance())
    assert not stuck
