"""Structured logs: one line an event of note on stderr, `key=value` or JSON (`EVENTFOLD_LOG=json`)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from eventfold.kafka.settings import LIBRDKAFKA
from eventfold.schemas.terminal import line

# What Confluent's client of a schema registry asks by; it says every request that went well, some five hundred at a start.
_HTTP = "httpx2"
_SELDOM_S = 10.0
_REMEMBERED = 1000


def configure(environ: Mapping[str, str]) -> None:
    """Set up structlog and the standard library's logging (which librdkafka speaks through) for a daemon."""
    rendered: list[structlog.typing.Processor]
    if environ.get("EVENTFOLD_LOG") == "json":
        rendered = [structlog.processors.JSONRenderer()]
    else:
        rendered = [structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]), _for_people]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger(_HTTP).setLevel(logging.WARNING)
    logger = logging.getLogger(LIBRDKAFKA)
    logger.setLevel(logging.WARNING)
    logger.addFilter(Seldom())


def _for_people(logger: Any, method: str, text: Any) -> str:
    """A line as a terminal may have it."""
    return line(text)


class Seldom(logging.Filter):
    """Lets a line pass once in ten seconds: a client that tries to reconnect says so twenty times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it was not said lately; lines differ only by how often and how long something was tried."""
        text = record.getMessage().partition(" (after ")[0]
        last = self._said.get(text)
        if last is not None and record.created - last < _SELDOM_S:
            return False
        if len(self._said) > _REMEMBERED:
            self._said.clear()
        self._said[text] = record.created
        return True
