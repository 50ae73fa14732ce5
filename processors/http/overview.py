"""`GET /operations`: how everything does, for who has the scope `operations:read`."""

from __future__ import annotations

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from processors.operations import Operations
from web.endpoint import Access, endpoint
from web.oauth.tokens import Caller

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
