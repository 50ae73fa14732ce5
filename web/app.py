"""Joins what is served: queries, commands, or both, with the page and the description of it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anyio import from_thread
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
from eventfold.schemas.errors import Transient
from eventfold.schemas.record import Place
from eventfold.store.change_stream import ChangeStreams
from eventfold.store.connection import RedisSettings
from eventfold.store.generations import Generations
from eventfold.store.heartbeats import Heartbeat
from eventfold.store.loop_redis import LoopRedis, Pipelines
from eventfold.store.outcomes import Outcomes
from eventfold.web.bounds import Bounds
from eventfold.web.built import Conditions
from eventfold.web.commands.resources import CommandSide, command_routes
from eventfold.web.connected import Waits
from eventfold.web.describing import description_route
from eventfold.web.endpoint import Access
from eventfold.web.heartbeats import Counted, beat_on
from eventfold.web.lookups import Histories, outcome_routes
from eventfold.web.oauth.settings import OAuthSettings
from eventfold.web.operations import Operations
from eventfold.web.origins import NamedServer
from eventfold.web.overview import metadata_route, operations_route
from eventfold.web.pages import page_routes
from eventfold.web.problems import ProblemError, of_status
from eventfold.web.queries.changes import Changes
from eventfold.web.queries.resources import ReadSide, query_routes
from eventfold.web.waiting import awaited, sleep
from eventfold.web.workers import Workers

QUERIES, COMMANDS = "queries", "commands"
MOST_READ = 16_000_000
"""Bytes of one aggregate's events that one question may read."""
_ASKING = 1_000
_ENDS_S = 5
_SOURCE = "/eventfold/http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a server is made of.

    sides: QUERIES, COMMANDS or both. owners: the domain of each projection. history: for threads, where the past is read.
    pages: the folder of each domain that brings pages along. oauth: whose tokens are taken; None where everybody is let in.
    bounds: how much is taken on at once.
    """

    runtime: Runtime
    redis: RedisSettings
    history: History
    owners: Mapping[str, str]
    pages: Mapping[str, Path]
    access: Access
    sides: frozenset[str]
    bounds: Bounds
    oauth: OAuthSettings | None = None


def application(served: Served) -> Starlette:
    """The ASGI application; its connections are made when it starts, and closed when it ends."""
    runtime, counted = served.runtime, Counted()
    pipelines = Pipelines(served.redis.connect_on_loop())
    redis = LoopRedis.over(pipelines, awaited)
    codec = runtime.loaded_codec()
    routes: list[BaseRoute] = []
    closing: list[Any] = []
    bounds = served.bounds
    reads = Workers("reading the log", bounds.reads, queue=bounds.queue, queue_s=bounds.queue_s, within_s=bounds.read_s)
    waits = Waits(bounds.waits)
    history = served.history.bounded(from_thread.check_cancelled, MOST_READ)
    side = _read_side(served, redis, counted, history, reads, waits)
    changes = Changes(side, Generations(redis, runtime.names.prefix), ChangeStreams(redis), bounds.streams)
    command_side: CommandSide | None = None
    if QUERIES in served.sides:
        routes += query_routes(side, served.access)
        routes += changes.routes(side, served.access)
        routes += Histories(history, reads).routes(list(runtime.domain_names), served.access)
        routes.append(operations_route(Operations(runtime, served.owners), served.access))
        routes += page_routes(served.pages)
    if COMMANDS in served.sides:
        publisher = LoopPublisher(runtime.kafka, awaited)
        closing.append(publisher)
        outcomes = Outcomes(redis, sleep)
        sender = CommandSender(publisher, codec, runtime.names, outcomes, _SOURCE)
        command_side = CommandSide(
            codec=codec,
            sender=sender,
            outcomes=outcomes,
            waits=waits,
            body_s=bounds.client_s,
            domains=runtime.domains,
            counted=counted.command,
        )
        routes += command_routes(command_side, served.access)
        finder = OutcomeFinder(replace(runtime, redis=redis), sleep)
        routes += outcome_routes(finder, waits, list(runtime.domains), served.access)
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
        beating = asyncio.create_task(beat_on(heartbeat, counted, reads))
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


def _read_side(served: Served, redis: LoopRedis, counted: Counted, history: History, reads: Workers, waits: Waits) -> ReadSide:
    runtime = served.runtime
    projections = dict(runtime.projections)
    log_ends = LogEnds(runtime.kafka)
    # A thread of its own: what is not there is answered while others read the log.
    asks = Workers("asking Kafka where the log ends", 1, queue=_ASKING, queue_s=_ENDS_S, within_s=_ENDS_S)

    def ends(places: Collection[Place]) -> Mapping[Place, int]:
        try:
            return awaited(asks.run(log_ends, places))
        except ProblemError as busy:
            raise Transient(str(busy)) from busy

    return ReadSide(
        readers=Readers(redis, runtime.names, list(projections.values()), lambda: history, sleep, ends),
        reads=reads,
        waits=waits,
        owners=served.owners,
        why=Conditions(redis, runtime.names.prefix, projections).why,
        counted=counted.query,
    )


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    what = {404: f"there is nothing at {request.url.path[:200]}", 405: f"{request.method[:20]} is not for this resource"}
    return replace(of_status(status, what.get(status, "")), headers=headers).response()
