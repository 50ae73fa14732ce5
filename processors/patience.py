"""Faults that pass: a Redis or a Kafka that is away for a while, another writer that was faster. And those that do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from eventfold.kafka import errors as of_kafka
from eventfold.kafka.errors import KafkaException
from eventfold.schemas.errors import EventfoldError, Outlook, Transient, UnavailableError, spoken
from eventfold.store import errors as of_redis
from eventfold.store.connection import Redis, RedisError

T = TypeVar("T")
PATIENCE_S = 120
_PAUSE_S = (0.5, 2.0)

FAULTS = (RedisError, KafkaException, UnavailableError, Transient)
"""What may pass; `outlook` says whether it does."""

log = structlog.get_logger("eventfold")


def outlook(fault: Exception) -> Outlook:
    """Whether waiting mends it: the clients' rooms know their errors, and of ours only those pass that say so."""
    if isinstance(fault, RedisError):
        return of_redis.outlook(fault)
    if isinstance(fault, KafkaException):
        return of_kafka.outlook(fault)
    return Outlook.PASSES if isinstance(fault, UnavailableError | Transient) else Outlook.LASTS


def told(fault: BaseException, redis: Redis) -> str:
    """The sentence for a person: what is wrong, and what to do about it where that is known."""
    if isinstance(fault, RedisError):
        return of_redis.told(fault, redis)
    if isinstance(fault, KafkaException):
        return f"Kafka says: {of_kafka.told(fault)}"
    return str(fault) if isinstance(fault, EventfoldError) else spoken(fault)


def raise_lasting(fault: Exception) -> None:
    """Raise what no waiting mends."""
    if outlook(fault) is Outlook.LASTS:
        raise fault


def patiently(call: Callable[[], T], stop: threading.Event, waits: Callable[[Exception], None] | None = None) -> T:
    """Repeat `call` while it fails with a fault that may pass, until it is told to stop; then, and when it lasts, raise it.

    After two minutes the last is raised, but one that is known to pass is waited for without end where `waits` is told of
    each, which says so.
    """
    deadline, pause_s = time.monotonic() + PATIENCE_S, _PAUSE_S[0]
    while True:
        try:
            return call()
        except FAULTS as fault:
            raise_lasting(fault)
            endless = waits is not None and outlook(fault) is Outlook.PASSES
            if stop.is_set() or (not endless and time.monotonic() > deadline):
                raise
            log.warning("trying again", fault=spoken(fault))
            if waits is not None:
                waits(fault)
            stop.wait(pause_s)
            pause_s = min(pause_s * 1.5, _PAUSE_S[1])


def until_stopped(run: Callable[[], None], stop: threading.Event) -> None:
    """A fault that passes does not spoil a stop that was asked for meanwhile: nothing is lost, only not done yet."""
    try:
        run()
    except FAULTS as fault:
        if not stop.is_set() or outlook(fault) is Outlook.LASTS:
            raise
        log.warning("stopped in the midst of a fault", fault=spoken(fault))
