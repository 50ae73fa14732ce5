"""`eventfold serve`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import click

from eventfold.producers.handed import SERVE, handed
from eventfold.tools.logs import configure

Serve = Callable[[frozenset[str], str, int], None]
"""Serves these sides at an address until told to stop."""


@click.command()
@click.argument("side", type=click.Choice(["queries", "commands"]), required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@handed(SERVE)
def serve(start: Serve, side: str | None, host: str, port: int) -> None:
    """Serve queries and commands over HTTP, or one SIDE of the two, and the page; until SIGTERM or Ctrl-C."""
    configure(os.environ)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    start(frozenset([side] if side else ["queries", "commands"]), host, port)
