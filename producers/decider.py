"""The functional core of the write side: what an aggregate is, as three pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from eventfold.schemas.message import Message
from eventfold.store.rows import read_back

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
    evolve: (state, event) -> the state after it; a new dict. The event is what the log gives back of it, also where `decide`
    returned it just now. What comes next meets what is read back of the state's snapshot, see `evolved`.
    version: of the state's form; raise it when evolve changes, and snapshots are made anew from the log.
    """

    version: int
    initial: Callable[[], State]
    decide: Callable[[State, Message], Decision]
    evolve: Callable[[State, Message], State]


def evolved(decider: Decider, state: State, event: Message) -> State:
    """The state after an event, as it is read back from its snapshot: what the next command and the next event meet.

    See eventfold.store.rows.read_back; TypeError names the field that JSON cannot hold, and whatever `evolve` raises.
    """
    _, after = read_back(decider.evolve(state, event))
    return cast(State, after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of aggregate of a domain that has several, under ids that they share.

    commands, events: the types that are of this kind alone. other: the refusal of one of its commands to an id that is of
    another kind already.
    """

    name: str
    decider: Decider
    commands: frozenset[str]
    events: frozenset[str]
    other: Refusal


def joined(*kinds: Kind, version: int) -> Decider:
    """One decider of several kinds of aggregates: the first event of an id says for good of which kind it is.

    An event or command that is of none of the kinds changes nothing, or is refused as `unknown-command`. The state is
    `{}` before the first event, then `{"kind": name, "state": state of that kind's decider}`.
    """
    of_command = {type_: kind for kind in kinds for type_ in kind.commands}
    of_event = {type_: kind for kind in kinds for type_ in kind.events}

    def decide(state: State, command: Message) -> Decision:
        kind = of_command.get(command.type)
        if kind is None:
            return Refusal(code="unknown-command", message=f"no aggregate of this domain takes a {command.type}")
        if state and state["kind"] != kind.name:
            return kind.other
        return kind.decider.decide(state["state"] if state else kind.decider.initial(), command)

    def evolve(state: State, event: Message) -> State:
        kind = of_event.get(event.type)
        if kind is None or (state and state["kind"] != kind.name):
            return state
        before = state["state"] if state else kind.decider.initial()
        return {"kind": kind.name, "state": kind.decider.evolve(before, event)}

    return Decider(version=version, initial=dict, decide=decide, evolve=evolve)
