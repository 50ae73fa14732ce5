"""What the headers of a command's request say: its id, the version it expects, whether to wait for its outcome."""

from __future__ import annotations

import math
import re
from uuid import UUID, uuid5

from starlette.requests import Request

from eventfold.schemas.ids import new_id
from eventfold.web.oauth.tokens import Caller
from eventfold.web.problems import Problem, ProblemError

LONGEST_WAIT_S = 30.0
_KEYS = UUID("f1b0b2d4-6f0b-5d5e-9b1e-3f8d2f6c7a10")
# Without quotes too: a shell takes them away.
_TAG = re.compile(r'(?:W/)?("?)(\d{1,18})(?:-[0-9a-f]{16})?\1', re.ASCII)
_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)
_LONGEST_KEY = 255


def command_id(request: Request, actor: str) -> str:
    """The id that an `Idempotency-Key` gives the command: one that follows from it and from who asks, so that nobody uses up
    what somebody else is about to send; itself where it is a UUID and nobody is known. A new one without.
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return new_id()
    key = given.strip()
    if len(key) > 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key or len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise _wrong("Idempotency-Key", f"must be a UUID, or up to {_LONGEST_KEY} printable characters")
    try:
        return str(UUID(key)) if len(key) == 36 and not actor else _derived(key, actor)
    except ValueError:
        return _derived(key, actor)


def expected_version(request: Request) -> int | None:
    """The version of `If-Match` (the entity tag of the row, or `"7"`), 0 for `If-None-Match: *`, None without either."""
    match, none = request.headers.get("if-match"), request.headers.get("if-none-match")
    if none is not None and none.strip() != "*":
        raise _wrong("If-None-Match", "can only be *: the aggregate must not exist yet")
    found = None if match is None else _TAG.fullmatch(match.strip())
    if match is not None and found is None:
        raise _wrong("If-Match", 'must be one entity tag of a row that has a version, or the version as "7"')
    if found is None:
        return None if none is None else 0
    if none is not None:
        never = "If-Match and If-None-Match are never both true of an aggregate: send one of them"
        raise ProblemError(Problem(status=412, kind="wrong-header", detail=never, more={"header": "If-None-Match"}))
    return int(found[2])


def wait_s(request: Request, caller: Caller) -> float:
    """How many whole seconds to wait for the outcome: what `Prefer: wait=5` asks for, at most 30, and no longer than the
    caller's token is taken; 0 without. What else is preferred is ignored.
    """
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            found = _WAIT.fullmatch(preference.partition(";")[0].strip())
            if found is not None:
                return max(0, math.floor(min(float(found[1]), LONGEST_WAIT_S, caller.left_s())))
    return 0.0


def _derived(key: str, actor: str) -> str:
    return str(uuid5(_KEYS, f"{actor}\0{key}"))


def _wrong(header: str, what: str) -> ProblemError:
    return ProblemError(Problem(status=400, kind="wrong-header", detail=f"{header} {what}", more={"header": header}))
