"""`python -m bench.bare`: the framework alone, run as `eventfold serve` is: one handler that answers with bytes it has."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eventfold.tools.logs import configure
from eventfold.web.server import serve

_ROW = b'{"carrier":"UA","flight_number":1545,"id":"UA1545:2013-01-01:EWR","status":"arrived"}' + b" " * 320


async def answer(_: Request) -> Response:
    """As many bytes as a flight has."""
    return Response(_ROW, media_type="application/json")


class _Ending:
    def close(self) -> None:
        """There are no streams to end."""


if __name__ == "__main__":
    configure(os.environ)
    app = Starlette(routes=[Route("/queries/flights/{id:path}", answer)])
    app.state.changes = _Ending()
    serve(app, "127.0.0.1", 0)
