"""`GET /operations`: how everything does, for who has the scope `operations:read`; and where a token for it is to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eventfold.web.endpoint import Access, endpoint
from eventfold.web.oauth.metadata import WELL_KNOWN, metadata
from eventfold.web.oauth.settings import OAuthSettings
from eventfold.web.oauth.tokens import Caller
from eventfold.web.operations import Operations

SCOPE = "operations:read"


def operations_route(operations: Operations, access: Access) -> Route:
    """Its route. Whoever asks at the same time gets one answer, which one thread looks for."""
    looking: set[asyncio.Task[bytes]] = set()

    async def answer(_: Request, __: Caller) -> Response:
        if not looking:
            task = asyncio.create_task(asyncio.to_thread(lambda: orjson.dumps(operations.told())))
            looking.add(task)
            task.add_done_callback(looking.discard)
        body = await asyncio.shield(next(iter(looking)))
        return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")

    return Route("/operations", endpoint(answer, access, SCOPE), methods=["GET"])


def metadata_route(settings: OAuthSettings, domains: Iterable[str], more: Iterable[str]) -> Route:
    """What a client that has no token yet reads (RFC 9728), open to everybody; for settings with a base URL.

    more: scopes that single commands need.
    """
    scopes = {f"{domain}:{side}" for domain in domains for side in ("read", "write")}
    body = orjson.dumps(metadata(settings, settings.base_url, scopes.union(more, [SCOPE])))

    async def answer(_: Request) -> Response:
        return Response(body, headers={"cache-control": "max-age=300"}, media_type="application/json")

    # The path of a base URL that has one stands behind the well-known part.
    return Route(WELL_KNOWN + "{path:path}", answer, methods=["GET"])
