"""`GET /changes/...`: a read model's changed rows as server-sent events, by id or by what an index lists together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from eventfold.projections.projection import Projection
from eventfold.projections.query import Query
from eventfold.store.change_stream import ChangeStreams
from eventfold.store.generations import Generations
from eventfold.store.index_members import beginning
from eventfold.web.endpoint import Access, endpoint
from eventfold.web.oauth.tokens import Caller
from eventfold.web.problems import ProblemError, unavailable
from eventfold.web.queries.asking import followed
from eventfold.web.queries.followers import EXPIRED, Filter, Standing
from eventfold.web.queries.following import Feed
from eventfold.web.queries.resources import ReadSide, route_of

PING_S = 15.0


class Changes:
    """The feeds of every projection that keeps its changes; `close` ends all streams."""

    def __init__(self, side: ReadSide, generations: Generations, streams: ChangeStreams, most: int) -> None:
        """most: how many clients may follow at once."""
        self._most = most
        self._clients = 0
        self._feeds = {
            projection.name: Feed(projection, query.rows, generations, streams)
            for _, projection, query in side.served()
            if projection.changes and query.rows is not None
        }

    def routes(self, side: ReadSide, access: Access) -> list[BaseRoute]:
        """A route a feed."""
        return [
            self._route(access, domain, projection, query, self._feeds[projection.name])
            for domain, projection, query in side.served()
            if projection.name in self._feeds
        ]

    def has(self, projection: str) -> bool:
        """Whether this projection can be followed."""
        return projection in self._feeds

    def close(self) -> None:
        """End every stream."""
        for feed in self._feeds.values():
            feed.close()

    def _route(self, access: Access, domain: str, projection: Projection, query: Query, feed: Feed) -> Route:
        async def answer(request: Request, caller: Caller) -> Response:
            filter_ = _filter(query, followed(request, query))
            if self._clients >= self._most:
                raise ProblemError(unavailable("too-many-clients", f"{self._most:,} clients follow changes here already"))
            last = request.headers.get("last-event-id")
            since = None if not last else Standing.parse(last)
            return EventSourceResponse(self._stream(feed, filter_, since, caller), ping=0)

        return Route(route_of("changes", projection, query), endpoint(answer, access, f"{domain}:read"), methods=["GET"])

    async def _stream(self, feed: Feed, filter_: Filter, since: Standing | None, caller: Caller) -> AsyncIterator[bytes]:
        """The client's events, for as long as its token is taken; the last event tells that the token has ended."""
        self._clients += 1
        left_s = caller.left_s()
        try:
            async with asyncio.timeout(left_s if math.isfinite(left_s) else None):
                follower = await feed.follow(filter_, since)
            try:
                # By the clock each time: what was sent may have been waited for.
                while (left_s := caller.left_s()) > 0:
                    if (sent := await follower.next(min(PING_S, left_s))) is None:
                        return
                    yield sent
            finally:
                feed.leave(follower)
            yield EXPIRED
        except TimeoutError:
            yield EXPIRED
        finally:
            self._clients -= 1


def _filter(query: Query, params: Mapping[str, Any]) -> Filter:
    rows = query.rows
    assert rows is not None
    return Filter(key=params[rows.key]) if rows.prefix is None else Filter(prefix=beginning(rows.prefix(**params)))
