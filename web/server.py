"""Runs the application on uvicorn until SIGTERM or Ctrl-C; what is under way is finished, streams are ended."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eventfold.processors.collector import calm_collector
from eventfold.schemas.errors import EventfoldError

HEADERS_S = 10.0
KEPT_ALIVE_S = 30
_GRACE_S = 5
_LARGEST_HEAD = 65_536
_MOST_CONNECTIONS = 10_000
_YOUNG = 5_000
log = structlog.get_logger("serve")


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose next request's head does not come within 10 s of its first byte, or of its opening; one of a
    head of more than 64 KiB after a 400.
    """

    _late: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        """A head must come."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEADERS_S, self._cut)

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        super().on_message_begin()
        self._head = 0
        if self._late is None:
            self._late = self.loop.call_later(HEADERS_S, self._cut)

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """It came."""
        self._in_time()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self._in_time()
        super().connection_lost(exc)

    def _count(self, part: bytes) -> None:
        self._head += len(part)
        if self._head > _LARGEST_HEAD:
            # To the parser, that what came is no HTTP.
            raise ValueError("the head is too long")

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _cut(self) -> None:
        self._late = None
        self.transport.close()


class Server(uvicorn.Server):
    """A server that ends the streams of changes before it waits for its connections."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: Any) -> None:
        """As uvicorn: the second time, at once."""
        self._app.state.changes.close()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the serving, and is not raised once more after it: that was its purpose."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def _allow_connections() -> None:
    """Let this process have as many files open as its user may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + 1_000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def serve(app: Starlette, host: str, port: int) -> None:
    """Serve until told to stop; EventfoldError when the address cannot be had. `port` 0 takes a free one, which is logged."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        raise EventfoldError(f"{host}:{port} cannot be listened at: {error.strerror or error}") from error
    _allow_connections()
    with listening:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=True,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=KEPT_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        shown = f"[{host}]" if ":" in host else host
        log.info("serves", address=f"http://{shown}:{listening.getsockname()[1]}")
        # Looking through what is there for garbage would hold up every request for 60 ms now and then. But an event stream that
        # ends leaves some 80 objects in cycles: to free 100,000 of them at once would hold up every request for 200 ms.
        calm_collector(young=_YOUNG)
        Server(app, config).run(sockets=[listening])
        log.info("served")
