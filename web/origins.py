"""Requests under a name that is not the server's, and those of a browser's page of another origin: both are refused.

A browser sends requests for whatever page it shows. A page from elsewhere can make it ask this server (a cross-site request),
or have its own domain name resolve to the server's address (DNS rebinding), which makes the two one origin to the browser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from eventfold.web.oauth.settings import is_loopback
from eventfold.web.oauth.tokens import Caller
from eventfold.web.problems import Problem, ProblemError

# RFC 9110, 7.2; RFC 3986, 3.2.2.
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::(\d{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_SITE = ("same-origin", "none")


class Admission(Protocol):
    """Says who has a header `Authorization`, or raises an eventfold.web.oauth.denied.DeniedError."""

    async def admit(self, authorization: str | None, *scopes: str) -> Caller: ...


class NamedServer:
    """The ASGI application, for requests that name the server in exactly one header `Host`: others are a 400.

    loopback_only: a `Host` that is not `localhost`, an address of 127.0.0.0/8 or `[::1]`, with any port, is a 403.
    """

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        await (self._app if problem is None else problem.response())(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        loopback = _is_loopback(hosts[0]) if len(hosts) == 1 else None
        if loopback is None:
            detail = "a request names the server in exactly one header Host: <name or address>[:<port>]"
            return Problem(status=400, kind="wrong-host", detail=detail, headers={"connection": "close"})
        if self._loopback_only and not loopback:
            detail = (
                "without OAuth this server is asked as localhost, 127.0.0.1 or [::1], and the header Host names another: "
                "a proxy before it must set Host, or OAuth be on"
            )
            return Problem(status=403, kind="foreign-host", detail=detail)
        return None


class SameOrigin:
    """Admits, as `access` does, programs that are no browser, and pages of the server's own origin.

    base_url: the address by which clients know the server, whose origin is its own beside the one that `Host` names; empty
    when that is not known. Cross-origin requests (CORS) are not offered.
    """

    def __init__(self, access: Admission, base_url: str = "") -> None:
        self._access = access
        self._base = _authority(base_url)

    async def admit(self, request: Request, *scopes: str) -> Caller:
        """Who asks and has all of `scopes`; ProblemError (403) for a page of another origin, DeniedError as `access` has it."""
        headers = request.headers
        sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        if (sites or origins) and not self._own(sites, origins, headers.get("host", "")):
            detail = (
                "a page of another origin sent it: the server answers its own pages and programs that are no browser. "
                "Behind a proxy that changes Host set EVENTFOLD_BASE_URL to the address that browsers know"
            )
            raise ProblemError(Problem(status=403, kind="cross-site", detail=detail))
        return await self._access.admit(headers.get("authorization"), *scopes)

    def _own(self, sites: Sequence[str], origins: Sequence[str], host: str) -> bool:
        if any(site not in _OWN_SITE for site in sites):
            return False
        for origin in origins:
            asked = _authority(origin)
            # The scheme is not compared: a proxy before the server may speak TLS for it.
            if asked is None or asked not in (self._base, _authority(f"{urlsplit(origin).scheme}://{host}")):
                return False
        return True


@lru_cache(maxsize=256)
def _is_loopback(host: bytes) -> bool | None:
    """Whether a `Host` is a name of this machine for itself; None for one that is malformed."""
    found = _HOST.fullmatch(host.decode("latin-1"))
    return None if found is None else is_loopback(found[1].strip("[]").lower())


def _authority(url: str) -> tuple[str, int] | None:
    """The host and the port of an http URL; None of anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return None if port is None or not parts.hostname or parts.scheme not in _DEFAULT_PORTS else (parts.hostname, port)
