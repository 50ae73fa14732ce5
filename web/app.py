"""Joins what is served: queries, commands, or both, with the page and the description of it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from eventfold.kafka.log_ends import LogEnds
from eventfold.kafka.loop_publisher import LoopPublisher
from eventfold.processors.lookup.history import History
from eventfold.processors.lookup.outcome_finder import OutcomeFinder
from eventfold.processors.runtime import Runtime
from eventfold.producers.commands import CommandSender
from eventfold.projections.queries import Readers
from eventfold.store.change_stream import ChangeStreams
from eventfold.store.connection import RedisSettings
from eventfold.store.generations import Generations
from eventfold.store.heartbeats import Heartbeat
from eventfold.store.loop_redis import LoopRedis, Pipelines
from eventfold.store.outcomes import Outcomes
from eventfold.web.built import Conditions
from eventfold.web.commands.resources import CommandSide, command_routes
from eventfold.web.describing import description_route
from eventfold.web.endpoint import Access
from eventfold.web.heartbeats import Counted, beat_on
from eventfold.web.lookups import Histories, outcome_routes
from eventfold.web.oauth.settings import OAuthSettings
from eventfold.web.operations import Operations
from eventfold.web.origins import NamedServer
from eventfold.web.overview import metadata_route, operations_route
from eventfold.web.pages import page_routes
from eventfold.web.problems import of_status
from eventfold.web.queries.changes import Changes
from eventfold.web.queries.resources import ReadSide, query_routes
from eventfold.web.waiting import awaited, in_thread, sleep

QUERIES, COMMANDS = "queries", "commands"
_SOURCE = "/eventfold/http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a server is made of.

    sides: QUERIES, COMMANDS or both. owners: the domain of each projection. readers: for threads, where the past is read.
    pages: the folder of each domain that brings pages along. oauth: whose tokens are taken; None where everybody is let in.
    """

    runtime: Runtime
    redis: RedisSettings
    readers: Readers
    history: History
    owners: Mapping[str, str]
    pages: Mapping[str, Path]
    access: Access
    sides: frozenset[str]
    oauth: OAuthSettings | None = None


def application(served: Served) -> Starlette:
    """The ASGI application; its connections are made when it starts, and closed when it ends."""
    runtime, counted = served.runtime, Counted()
    pipelines = Pipelines(served.redis.connect_on_loop())
    redis = LoopRedis.over(pipelines, awaited)
    codec = runtime.loaded_codec()
    routes: list[BaseRoute] = []
    closing: list[Any] = []
    side = _read_side(served, redis, counted)
    changes = Changes(side, Generations(redis, runtime.names.prefix), ChangeStreams(redis))
    command_side: CommandSide | None = None
    if QUERIES in served.sides:
        routes += query_routes(side, served.access)
        routes += changes.routes(side, served.access)
        routes += Histories(served.history).routes(list(runtime.domain_names), served.access)
        routes.append(operations_route(Operations(runtime, served.owners), served.access))
        routes += page_routes(served.pages)
    if COMMANDS in served.sides:
        publisher = LoopPublisher(runtime.kafka, awaited)
        closing.append(publisher)
        outcomes = Outcomes(redis, sleep)
        sender = CommandSender(publisher, codec, runtime.names, outcomes, _SOURCE)
        command_side = CommandSide(
            codec=codec, sender=sender, outcomes=outcomes, domains=runtime.domains, counted=counted.command
        )
        routes += command_routes(command_side, served.access)
        finder = OutcomeFinder(replace(runtime, redis=redis), sleep)
        routes += outcome_routes(finder, list(runtime.domains), served.access)
    routes.append(
        description_route(
            side if QUERIES in served.sides else None,
            command_side,
            changes,
            list(runtime.domain_names),
            guarded=served.oauth is not None,
        )
    )

    if served.oauth is not None and served.oauth.base_url:
        declared = [scope for domain in runtime.domains.values() for scope in domain.scopes.values()]
        routes.append(metadata_route(served.oauth, runtime.domain_names, declared))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        heartbeat = Heartbeat(runtime.redis, runtime.names.prefix, f"server@{runtime.instance}", "server")
        beating = asyncio.create_task(beat_on(heartbeat, counted))
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.to_thread(heartbeat.end)
            for one in closing:
                await asyncio.to_thread(one.close)
            await pipelines.close()

    named = Middleware(NamedServer, loopback_only=served.oauth is None)
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[named], exception_handlers={HTTPException: _unrouted})
    # A resource has one address.
    app.router.redirect_slashes = False
    app.state.changes = changes
    return app


def _read_side(served: Served, redis: LoopRedis, counted: Counted) -> ReadSide:
    runtime = served.runtime
    projections = dict(runtime.projections)
    log_ends = LogEnds(runtime.kafka)
    return ReadSide(
        readers=Readers(
            redis, runtime.names, list(projections.values()), sleep=sleep, ends=lambda places: in_thread(log_ends, places)
        ),
        past=served.readers,
        owners=served.owners,
        why=Conditions(redis, runtime.names.prefix, projections).why,
        counted=counted.query,
    )


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    what = {404: f"there is nothing at {request.url.path[:200]}", 405: f"{request.method[:20]} is not for this resource"}
    return replace(of_status(status, what.get(status, "")), headers=headers).response()
