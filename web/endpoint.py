"""What every endpoint has in common: who may ask, and that whatever goes wrong is a problem."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from eventfold.web.oauth.tokens import Caller
from eventfold.web.problems import of_error

log = structlog.get_logger("serve")
Answer = Callable[[Request, Caller], Awaitable[Response]]


class Access(Protocol):
    """Says who a request is from, or raises an eventfold.web.oauth.denied.DeniedError or a ProblemError."""

    async def admit(self, request: Request, *scopes: str) -> Caller: ...


def endpoint(answer: Answer, access: Access, *scopes: str) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for those who have all of these scopes."""

    async def run(request: Request) -> Response:
        try:
            caller = await access.admit(request, *scopes)
            return await answer(request, caller)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            problem = of_error(error)
            if problem.status == 500:
                log.error("a request failed", method=request.method, path=request.url.path, exc_info=error)
            return problem.response()

    return run
