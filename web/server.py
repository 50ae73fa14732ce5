"""Runs the application on uvicorn until SIGTERM or Ctrl-C; what is under way is finished, streams are ended."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette

from eventfold.processors.collector import calm_collector
from eventfold.schemas.errors import EventfoldError
from eventfold.web.bounds import Bounds
from eventfold.web.protocol import KEPT_ALIVE_S, BoundedProtocol

_GRACE_S = 5
_YOUNG = 5_000
_OTHER_FILES = 1_000
log = structlog.get_logger("serve")


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


def _allow_connections(most: int) -> None:
    """Let this process have as many files open as its user may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def serve(app: Starlette, host: str, port: int, bounds: Bounds) -> None:
    """Serve until told to stop; EventfoldError when the address cannot be had. `port` 0 takes a free one, which is logged."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        raise EventfoldError(f"{host}:{port} cannot be listened at: {error.strerror or error}") from error
    _allow_connections(bounds.connections)
    with listening:
        config = uvicorn.Config(
            app,
            http=type("Protocol", (BoundedProtocol,), {"bounds": bounds}),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=True,
            limit_concurrency=bounds.connections,
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
