"""Structured logs: one line an event of note on stderr, `key=value` or JSON (`LOGFOLD_LOG=json`)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

import structlog

from producers.settings import LIBRDKAFKA


def configure(environ: Mapping[str, str]) -> None:
    """Set up structlog and the standard library's logging (which librdkafka speaks through) for a daemon."""
    renderer: structlog.typing.Processor
    if environ.get("LOGFOLD_LOG") == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger(LIBRDKAFKA).setLevel(logging.WARNING)
