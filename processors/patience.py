"""Faults that pass: a Redis or a Kafka that is away for a while, another writer that was faster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from eventfold.kafka.errors import KafkaException
from eventfold.schemas.errors import Transient, UnavailableError
from eventfold.store.connection import RedisError

T = TypeVar("T")
PATIENCE_S = 120
_PAUSE_S = 0.5


TRANSIENT = (RedisError, KafkaException, UnavailableError, Transient)

log = structlog.get_logger("eventfold")


def patiently(call: Callable[[], T], stop: threading.Event) -> T:
    """Repeat `call` while it fails with a fault that passes; after two minutes, or when told to stop, raise the last."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except TRANSIENT as fault:
            if time.monotonic() > deadline or stop.is_set():
                raise
            log.warning("trying again", fault=repr(fault))
            stop.wait(_PAUSE_S)


def until_stopped(run: Callable[[], None], stop: threading.Event) -> None:
    """A fault that passes does not spoil a stop that was asked for meanwhile: nothing is lost, only not done yet."""
    try:
        run()
    except TRANSIENT as fault:
        if not stop.is_set():
            raise
        log.warning("stopped in the midst of a fault", fault=repr(fault))
