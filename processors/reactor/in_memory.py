"""Reacts in memory, without a daemon, and checks what a daemon relies on: pure reactions, and commands that can be sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from eventfold.producers.process_manager import Emit, ProcessManager
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.event import Event
from eventfold.schemas.ids import checked_key


class UnsoundError(EventfoldError):
    """A reaction changed what it was given, answers otherwise the second time, or emits what is no command."""


def reacted(manager: ProcessManager, event: Event, codec: Codec | None) -> Sequence[Emit]:
    """The commands that follow from an event, none where the process manager does not react to it.

    codec: by whose schemas each command must be one; None: by none. UnsoundError, and whatever the reaction raises.
    """
    react = manager.reactions.get(event.type)
    return () if react is None else checked(event.type, react, event.reading(manager.reads[event.type]), codec)


def checked(to: str, react: Callable[[Any], Sequence[Emit]], happened: Any, codec: Codec | None) -> Sequence[Emit]:
    """As `reacted`, of any reaction to what happened; to: what that is called."""
    before = deepcopy(happened)
    emitted = react(happened)
    if before != happened:
        raise UnsoundError(f"the reaction changed {to}: {before!r} became {happened!r}")
    if not isinstance(emitted, Sequence):
        raise UnsoundError(f"the reaction to {to} returned {emitted!r}, not a list of commands")
    if [*emitted] != (again := [*react(happened)]):
        raise UnsoundError(f"asked twice, the reaction answers twice ({to}): {[*emitted]!r}, then {again!r}")
    for emit in emitted:
        _check(to, emit, codec)
    return emitted


def _check(to: str, emit: object, codec: Codec | None) -> None:
    if not isinstance(emit, Emit):
        raise UnsoundError(f"the reaction to {to} returned {emit!r}, which is no Emit")
    try:
        checked_key(emit.key)
        if codec is not None:
            if codec.catalog.newest(emit.type).kind != "commands":
                raise UnsoundError(f"what follows {to} cannot be sent: {emit.type} is no command")
            codec.encode(emit.type, emit.data)
    except UnsoundError:
        raise
    except (EventfoldError, TypeError) as error:
        raise UnsoundError(f"what follows {to} cannot be sent: {error}") from error
