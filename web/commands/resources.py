"""`POST /commands/<domain>/<Name>/<aggregate id>`: every command of the enabled domains, its data as the body."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from eventfold.kafka.publisher import NotSentError, PublishError
from eventfold.producers.commands import Command, CommandSender, checked_time
from eventfold.producers.domain import Domain
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import Fault, WrongDataError
from eventfold.schemas.ids import is_traceparent
from eventfold.schemas.message import Actor
from eventfold.schemas.position import Position
from eventfold.schemas.times import millis
from eventfold.store.outcomes import CONFLICT, FORBIDDEN, REUSED, Outcome, Outcomes, OutcomeUnknownError, Reference
from eventfold.web.bodies import json_object
from eventfold.web.commands.conditions import command_id, expected_version, wait_s
from eventfold.web.connected import Waits
from eventfold.web.endpoint import Access, endpoint
from eventfold.web.oauth.tokens import Caller
from eventfold.web.paths import aggregate_id
from eventfold.web.problems import Problem, ProblemError, of_status, unavailable, wrong_parameter
from eventfold.web.waiting import on_loop

_REFUSED = {CONFLICT: (409, "conflict"), REUSED: (422, "id-reused"), FORBIDDEN: (403, "forbidden")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSide:
    """What commands over HTTP are made of.

    sender, outcomes: on the event loop (web.waiting). waits: of who waits for an outcome. body_s: how long a body may take to
    come. domains: those that decide, by name. counted: told of each command, by domain.
    """

    codec: Codec
    sender: CommandSender
    outcomes: Outcomes
    waits: Waits
    body_s: float
    domains: Mapping[str, Domain]
    counted: Callable[[str], None]

    def types(self) -> list[str]:
        """The commands that can be sent."""
        return [
            type_
            for name, domain in sorted(self.domains.items())
            for type_ in self.codec.catalog.types(name, "commands")
            if type_ not in domain.internal
        ]

    def scope_of(self, type_: str) -> str:
        """The scope that a token needs for it."""
        return self.domains[type_.partition(".")[0]].scope_of(type_)


def command_routes(side: CommandSide, access: Access) -> list[BaseRoute]:
    """A route a command."""
    return [_route(side, access, type_) for type_ in side.types()]


def path_of(type_: str) -> str:
    """Its address, as people and OpenAPI write it."""
    domain, _, name = type_.rpartition(".")
    return f"/commands/{domain}/{name}/{{id}}"


def outcome_path(domain: str, of: Reference) -> str:
    """Where the outcome of a command is asked for."""
    return f"/outcomes/{quote(domain)}/{of.command_id}?key={quote(of.key, safe='')}&of={of.fingerprint.hex()}"


def outcome_response(outcome: Outcome, headers: Mapping[str, str]) -> Response:
    """An accepted command's outcome; a refused one's as a problem: 409 for a conflict, 403 where who asks may not, else 422."""
    if outcome.accepted:
        return Response(orjson.dumps(outcome.to_json()), headers=dict(headers), media_type="application/json")
    status, kind = _REFUSED.get(outcome.code, (422, "refused"))
    more: dict[str, Any] = {"command_id": outcome.command_id, "outcome": "refused", "code": outcome.code}
    if outcome.version is not None:
        more["version"] = outcome.version
    return Problem(status=status, kind=kind, detail=outcome.message, more=more, headers=headers).response()


def _route(side: CommandSide, access: Access, type_: str) -> Route:
    domain, path = type_.partition(".")[0], path_of(type_)

    async def answer(request: Request, caller: Caller) -> Response:
        command = await _command(side, type_, request, caller)
        side.counted(domain)
        wait = wait_s(request, caller)
        if not wait or side.waits.full:
            # To wait is a preference: where no more requests may wait, the answer is that the command was sent.
            return await on_loop(_sent, side, command, 0.0)
        return await side.waits.run(request, on_loop, _sent, side, command, wait)

    return Route(path.replace("{id}", "{id:path}"), endpoint(answer, access, side.scope_of(type_)), methods=["POST"])


async def _command(side: CommandSide, type_: str, request: Request, caller: Caller) -> Command:
    """The command that a request makes; a ProblemError says all that is wrong with its data."""
    key = aggregate_id(request, 3)
    times = _times(request)
    id_ = command_id(request, caller.actor)
    try:
        data = side.codec.from_json(type_, await json_object(request, side.body_s))
    except WrongDataError as error:
        raise ProblemError(_wrong_data(type_, error.faults)) from None
    # Last, as HTTP wants it (RFC 9110, 13.2.1): what is wrong in itself is said first.
    expected = expected_version(request)
    trace = request.headers.get("traceparent", "")
    return Command(
        type=type_,
        key=key,
        data=data,
        id=id_,
        time=times.get("time", time.time_ns() // 1_000_000),
        expires=times.get("expires"),
        expected_version=expected,
        actor=Actor(caller.actor, caller.kind) if caller.actor else None,
        traceparent=trace if is_traceparent(trace) else None,
    )


def _sent(side: CommandSide, command: Command, wait: float) -> Response:
    try:
        position, reference = side.sender.post(command)
    except PublishError:
        detail = (
            f"Kafka did not say whether it has the command: send it again with Idempotency-Key: {command.id}, it acts only once"
        )
        raise ProblemError(unavailable("outcome-unknown", detail, command_id=command.id)) from None
    except NotSentError as error:
        raise ProblemError(of_status(413, str(error))) from None
    headers = {"location": outcome_path(command.type.partition(".")[0], reference), "cache-control": "no-store"}
    if wait:
        headers["preference-applied"] = f"wait={wait:g}"
        try:
            outcome = side.outcomes.wait(position.topic, position.partition, reference, wait)
        except OutcomeUnknownError:
            return _accepted(command, position, headers)
        return outcome_response(outcome, headers)
    return _accepted(command, position, headers)


def _accepted(command: Command, position: Position, headers: Mapping[str, str]) -> Response:
    body = {"command_id": command.id, "outcome": "sent", "position": str(position), "outcome_at": headers["location"]}
    return Response(orjson.dumps(body), 202, dict(headers), "application/json")


def _times(request: Request) -> dict[str, int]:
    """The parameters `time`, when it happened, and `expires`, until when it may be decided."""
    found: dict[str, int] = {}
    for name, text in request.query_params.multi_items():
        if name not in ("time", "expires") or name in found:
            what = "is given more than once" if name in found else "is not known; there are: expires, time"
            raise wrong_parameter(name, what)
        try:
            found[name] = checked_time(millis(text))
        except UsageError as error:
            raise wrong_parameter(name, f"cannot be taken: {error}") from None
    return found


def _wrong_data(type_: str, wrong: Sequence[Fault]) -> Problem:
    said = [{"field": fault.field, "reason": fault.reason} for fault in wrong]
    first = f"{said[0]['field']}: {said[0]['reason']}" if said[0]["field"] else said[0]["reason"]
    more: dict[str, Any] = {"errors": said}
    detail = f"the body is not the data of {type_}: {first}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    return Problem(status=400, kind="wrong-data", detail=detail, more=more)
