"""`GET /openapi.json`: the description of what is served (OpenAPI 3.1), made of the declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eventfold.projections.query import Param, Query
from eventfold.schemas.fingerprint import SIZE
from eventfold.schemas.ids import KEY_LIMIT
from eventfold.schemas.json_schema import json_schema
from eventfold.web.commands.resources import CommandSide
from eventfold.web.commands.resources import path_of as command_path
from eventfold.web.overview import SCOPE
from eventfold.web.problems import MEDIA
from eventfold.web.queries.asking import MOST_POSITIONS, POINTS
from eventfold.web.queries.changes import Changes
from eventfold.web.queries.resources import ReadSide
from eventfold.web.queries.resources import path_of as query_path

Json = dict[str, Any]
_TEXT: Json = {"type": "string"}
# No control characters; of others, what Unicode has no character for is refused too.
_ID: Json = {"type": "string", "minLength": 1, "maxLength": KEY_LIMIT, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"}
_HEX: Json = {"type": "string", "pattern": f"^[0-9a-fA-F]{{{2 * SIZE}}}$"}
_TIME: Json = {"type": "string", "format": "date-time"}
_POSITION: Json = {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,249}/[0-9]{1,9}@[0-9]{1,18}$"}
_WHOLE: Json = {"type": "integer", "minimum": 1}
_POINTS: Mapping[str, Json] = {"as_of": _TIME, "recorded_as_of": _TIME, "as_of_position": _POSITION, "as_of_version": _WHOLE}
_KEY: Json = {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"}
_MATCH: Json = {"type": "string", "pattern": r'^(W/)?"[0-9]{1,18}(-[0-9a-f]{16})?"$'}
_PROBLEM: Json = {"$ref": "#/components/schemas/Problem"}
_ROW: Json = {"type": "object"}


def description_route(
    side: ReadSide | None, commands: CommandSide | None, changes: Changes, domains: Sequence[str], *, guarded: bool
) -> Route:
    """Its route, open to everybody. guarded: whether a token is needed."""
    body = orjson.dumps(description(side, commands, changes, domains, guarded=guarded))

    async def answer(_: Request) -> Response:
        return Response(body, headers={"cache-control": "no-cache"}, media_type="application/json")

    return Route("/openapi.json", answer, methods=["GET"])


def description(
    side: ReadSide | None, commands: CommandSide | None, changes: Changes, domains: Sequence[str], *, guarded: bool
) -> Json:
    """The document."""
    paths: Json = {}
    schemas: Json = {"Problem": _problem(), "Outcome": _outcome(), "Sent": _sent()}
    if side is not None:
        for domain, projection, query in side.served():
            paths[query_path("queries", projection, query)] = {"get": _query(domain, projection.name, query)}
            if changes.has(projection.name):
                paths[query_path("changes", projection, query)] = {"get": _changes(domain, projection.name, query)}
        paths["/operations"] = {"get": _operations()}
        for domain in domains:
            paths[f"/history/{domain}/{{id}}"] = {"get": _history(domain)}
    if commands is not None:
        for type_ in commands.types():
            schema = commands.codec.catalog.newest(type_)
            schemas[type_] = json_schema(schema, f"#/components/schemas/{type_}")
            paths[command_path(type_)] = {"post": _command(type_, commands.scope_of(type_), str(schema.schema.get("doc", "")))}
        for domain in commands.domains:
            paths[f"/outcomes/{domain}/{{id}}"] = {"get": _asked_outcome(domain)}
    if not guarded:
        _open(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "eventfold", "version": version("eventfold"), "description": "Commands in, read models out."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}} if guarded else {},
        },
    }


def _open(paths: Mapping[str, Json]) -> None:
    """Say that no token is needed."""
    for operations in paths.values():
        for operation in operations.values():
            del operation["security"]


def _query(domain: str, name: str, query: Query) -> Json:
    answer = _page() if query.paged else {"anyOf": [_ROW, {"type": "array", "items": _ROW}]}
    positions: Json = {"type": "array", "items": _POSITION, "maxItems": MOST_POSITIONS}
    more = [
        _parameter("after", "query", positions, "wait until these positions (topic/partition@offset) are folded"),
        _parameter(
            "timeout", "query", {"type": "number", "minimum": 0, "maximum": 30}, "seconds to wait for them, by default 10"
        ),
        _parameter("generation", "query", _TEXT, "read this generation, not the live one"),
        _parameter("If-None-Match", "header", _TEXT, "the entity tag of what the client has"),
    ]
    if query.aggregate is not None:
        more += [
            _parameter(point, "query", _POINTS[point], "a point of the past, of which one can be given") for point in POINTS
        ]
    return {
        "summary": query.help.partition("\n")[0],
        "operationId": f"query_{name}",
        "tags": [domain],
        "parameters": [*map(_declared, query.params), *more],
        "security": _scoped(f"{domain}:read"),
        "responses": {
            "200": {"description": "the answer", "headers": {"ETag": {"schema": _TEXT}}, **_json(answer)},
            "304": {"description": "it is what the client has"},
            **_problems("400", "404", "410", *(["422"] if query.aggregate is not None else []), "500", "503"),
        },
    }


def _changes(domain: str, name: str, query: Query) -> Json:
    params = [_declared(param) for param in query.params if not (query.paged and param.name in ("limit", "page"))]
    return {
        "summary": "What changes of it, as server-sent events: open, changed, gone, reset.",
        "operationId": f"changes_{name}",
        "tags": [domain],
        "parameters": [*params, _parameter("Last-Event-ID", "header", _TEXT, "go on behind this event")],
        "security": _scoped(f"{domain}:read"),
        "responses": {
            "200": {"description": "events, without an end", "content": {"text/event-stream": {"schema": _TEXT}}},
            **_problems("400", "404", "503"),
        },
    }


def _history(domain: str) -> Json:
    return {
        "summary": f"The events of an aggregate of {domain}, in the log's order.",
        "operationId": f"history_{domain}",
        "tags": [domain],
        "parameters": [_parameter("id", "path", _ID, "the aggregate's id"), _parameter("If-None-Match", "header", _TEXT, "")],
        "security": _scoped(f"{domain}:read"),
        "responses": {
            "200": {"description": "events", **_json({"type": "array", "items": _ROW})},
            "304": {"description": "it is what the client has"},
            **_problems("400", "404", "422", "500", "503"),
        },
    }


def _operations() -> Json:
    return {
        "summary": "How everything does: the logs' lengths, where each projection stands, and who is alive.",
        "operationId": "operations",
        "tags": ["operations"],
        "security": _scoped(SCOPE),
        "responses": {"200": {"description": "as of now", **_json(_ROW)}, **_problems("500", "503")},
    }


def _command(type_: str, scope: str, doc: str) -> Json:
    domain, _, name = type_.rpartition(".")
    return {
        "summary": doc or name,
        "operationId": f"{domain}_{name}",
        "tags": [domain],
        "parameters": [
            _parameter("id", "path", _ID, "the aggregate's id"),
            _parameter("time", "query", _TIME, "when it happened, by default now"),
            _parameter("expires", "query", _TIME, "refuse it undecided after this time"),
            _parameter("Idempotency-Key", "header", _KEY, "the command's id, a UUID, or what it is derived from"),
            _parameter("If-Match", "header", _MATCH, "the entity tag of the row, or the version, that it is for"),
            _parameter("If-None-Match", "header", {"const": "*"}, "*: only when the aggregate does not exist yet"),
            _parameter("Prefer", "header", _TEXT, "wait=5: answer with the outcome, if it is known so soon"),
        ],
        "requestBody": {"required": True, **_json({"$ref": f"#/components/schemas/{type_}"})},
        "security": _scoped(scope),
        "responses": {
            "200": {"description": "it was accepted", **_json({"$ref": "#/components/schemas/Outcome"})},
            "202": {
                "description": "Kafka has it",
                "headers": {"Location": {"schema": _TEXT, "description": "where its outcome is"}},
                **_json({"$ref": "#/components/schemas/Sent"}),
            },
            **_problems("400", "404", "408", "409", "412", "413", "415", "422", "500", "503"),
        },
    }


def _asked_outcome(domain: str) -> Json:
    return {
        "summary": "What became of a command.",
        "operationId": f"outcome_{domain}",
        "tags": [domain],
        "parameters": [
            _parameter("id", "path", {"type": "string", "format": "uuid"}, "the command's id"),
            _parameter("key", "query", _ID, "the id of the aggregate that it was sent to", required=True),
            _parameter("of", "query", _HEX, "what it asked for, as the Location of its answer has it"),
            _parameter("Prefer", "header", _TEXT, "wait=5: wait so many seconds until it is known"),
        ],
        "security": _scoped(),
        "responses": {
            "200": {"description": "it was accepted", **_json({"$ref": "#/components/schemas/Outcome"})},
            **_problems("400", "404", "409", "422", "500", "503"),
        },
    }


def _declared(param: Param) -> Json:
    schema: Json = (_ID if param.positional else _TEXT) | dict(param.form)
    if param.choices:
        schema = {"type": "string", "enum": list(param.choices)}
    if param.default:
        schema = {**schema, "default": int(param.default) if schema["type"] == "integer" else param.default}
    where = "path" if param.positional else "query"
    return _parameter(param.name, where, schema, param.help, required=param.positional or param.default is None)


def _parameter(name: str, where: str, schema: Json, help: str, *, required: bool | None = None) -> Json:
    required = where == "path" if required is None else required
    return {"name": name, "in": where, "required": required, "description": help, "schema": schema}


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> Json:
    problem = {"description": "a problem (RFC 9457)", "content": {MEDIA: {"schema": _PROBLEM}}}
    return dict.fromkeys((*statuses, "401", "403"), problem)


def _scoped(*scopes: str) -> list[Mapping[str, list[str]]]:
    return [{"bearer": [*scopes]}]


def _problem() -> Json:
    text = {"type": "string"}
    properties = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text}
    return {"type": "object", "required": list(properties), "properties": properties}


def _outcome() -> Json:
    return {
        "type": "object",
        "required": ["command_id", "outcome", "positions"],
        "properties": {
            "command_id": {"type": "string", "format": "uuid"},
            "outcome": {"const": "accepted"},
            "positions": {"type": "array", "items": _TEXT},
            "version": {"type": "integer"},
        },
    }


def _sent() -> Json:
    return {
        "type": "object",
        "required": ["command_id", "outcome", "position", "outcome_at"],
        "properties": {
            "command_id": {"type": "string", "format": "uuid"},
            "outcome": {"const": "sent"},
            "position": _TEXT,
            "outcome_at": _TEXT,
        },
    }


def _page() -> Json:
    properties = {"entries": {"type": "array", "items": _ROW}, "next": {"type": ["string", "null"]}}
    return {"type": "object", "required": list(properties), "properties": properties}
