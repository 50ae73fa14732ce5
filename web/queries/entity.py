"""Answers as they are sent, with an entity tag that says which version of a row they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from xxhash import xxh3_64_hexdigest

from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.jsonable import json_bytes

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_FRESH = "private, no-cache"


def answered(request: Request, answer: Any, headers: Mapping[str, str]) -> Response:
    """An answer as JSON; 304 when the client has it already.

    Its tag is `"<version>-<digest>"` for a row that has a version, which a command can be sent with (`If-Match`), and else
    `"<digest>"`; the digest is of the bytes, so that two forms of one version have two tags.
    """
    try:
        body = json_bytes(answer)
    except TypeError as error:
        raise EventfoldError(f"the answer cannot be shown: {error}") from error
    digest = xxh3_64_hexdigest(body)
    version = answer.get("version") if isinstance(answer, dict) else None
    tag = f'"{digest}"' if not isinstance(version, int) or isinstance(version, bool) else f'"{version}-{digest}"'
    sent = {"etag": tag, "cache-control": _FRESH, **headers}
    if _has(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=sent)
    return Response(body, headers=sent, media_type="application/json")


def _has(header: str | None, tag: str) -> bool:
    return header is not None and (header.strip() == "*" or tag[1:-1] in _TAG.findall(header))
