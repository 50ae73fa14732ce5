"""Under which names a server is asked, and which pages a browser may ask it for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eventfold.web.endpoint import endpoint
from eventfold.web.oauth.bearer import Open
from eventfold.web.oauth.tokens import Caller
from eventfold.web.origins import NamedServer, SameOrigin

BASE = "https://eventfold.example"


def status(*headers: tuple[str, str], loopback_only: bool = True, base_url: str = "", path: str = "/data") -> int:
    """What a server says to a request with exactly these headers: to one for data, or for the page, which anyone may fetch."""

    async def data(_: Request, __: Caller) -> Response:
        return Response("data")

    async def page(_: Request) -> Response:
        return Response("page")

    access = SameOrigin(Open(), base_url)
    app = Starlette(
        routes=[Route("/data", endpoint(data, access, "flights:read"), methods=["GET", "POST"]), Route("/", page)],
        middleware=[Middleware(NamedServer, loopback_only=loopback_only)],
    )
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    found: int = sent[0]["status"]
    return found


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "127.8.9.10:8080", "[::1]", "[::1]:8080"]
)
def test_loopback_has_these_names(host: str) -> None:
    assert status(("Host", host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "x",
    ],
)
@pytest.mark.parametrize("path", ["/", "/data"])
def test_no_other_name_is_answered_without_oauth(host: str, path: str) -> None:
    """DNS rebinding: to the browser the foreign name and this server are one origin."""
    assert status(("Host", host), ("Origin", f"http://{host}"), ("Sec-Fetch-Site", "same-origin"), path=path) == 403
    assert status(("Host", host), ("Origin", f"http://{host}"), path=path, loopback_only=False) == 200


@pytest.mark.parametrize("loopback_only", [True, False])
@pytest.mark.parametrize(
    "hosts",
    [[], ["localhost", "localhost"], ["localhost", "evil.example"], [""], ["local host"], ["localhost:"], ["a@localhost"]],
)
def test_a_request_names_the_server_once(hosts: list[str], loopback_only: bool) -> None:
    assert status(*(("Host", host) for host in hosts), loopback_only=loopback_only) == 400


OTHERS = [
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    [("Origin", "null")],
    [("Origin", "https://evil.example")],
    [("Origin", "http://127.0.0.1:8081")],
    [("Origin", "http://localhost:8080")],
    [("Origin", "http://127.0.0.1")],
    [("Origin", "http://127.0.0.1:8080"), ("Origin", "https://evil.example")],
    [("Origin", "nonsense://[")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")],
]


@pytest.mark.parametrize("headers", OTHERS)
def test_a_page_of_another_origin_gets_and_changes_nothing(headers: list[tuple[str, str]]) -> None:
    host = ("Host", "127.0.0.1:8080")
    assert status(host, *headers) == 403
    assert status(host, *headers, loopback_only=False) == 403
    assert status(host, *headers, path="/") == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://127.0.0.1:8080")],
        [("Origin", "http://127.0.0.1:8080")],
    ],
)
def test_programs_and_its_own_pages_are_answered(headers: list[tuple[str, str]]) -> None:
    assert status(("Host", "127.0.0.1:8080"), *headers) == 200


def test_behind_a_proxy_its_base_url_is_its_own_too() -> None:
    """A proxy may speak TLS for it, and may change the name under which it is asked."""
    assert status(("Host", "eventfold.example"), ("Origin", BASE), loopback_only=False) == 200
    assert status(("Host", "eventfold.example:443"), ("Origin", BASE), loopback_only=False) == 200
    assert status(("Host", "eventfold.example:80"), ("Origin", BASE), loopback_only=False) == 403
    inner = ("Host", "10.0.0.7:8080")
    assert status(inner, ("Origin", BASE), loopback_only=False) == 403
    assert status(inner, ("Origin", BASE), loopback_only=False, base_url=f"{BASE}/flights") == 200
    assert status(inner, ("Origin", "https://evil.example"), loopback_only=False, base_url=BASE) == 403
