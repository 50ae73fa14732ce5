"""The functional core of the write side: what an aggregate is, as three pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.message import Message

State = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A decider's no: `code` for programs (`not-departed`), `message` for people. A value, not an exception."""

    code: str
    message: str


Decision = Sequence[Message] | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """An aggregate as pure functions: no I/O, no clock, no randomness, no logging.

    initial: the state before the first event.
    decide: (state, command) -> the events that follow, possibly none, or a Refusal. Must not change the state.
    evolve: (state, event) -> the state after it; a new dict, made of what JSON can hold, since it is kept as a snapshot.
    version: of the state's form; raise it when evolve changes, and snapshots are made anew from the log.
    """

    version: int
    initial: Callable[[], State]
    decide: Callable[[State, Message], Decision]
    evolve: Callable[[State, Message], State]
