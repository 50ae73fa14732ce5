"""Given, when, then for deciders: a public part of eventfold, with which a domain's own rules are tested.

given(decider, scheduled, departed).when(arrive).then(arrived)
given(decider, scheduled).when(arrive).then(Refusal(code="not-departed", message="it has not departed"))
given(decider, scheduled).when(arrive).then_refused("not-departed")
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pprint import pformat

from eventfold.producers.decider import Decider, Decision, Refusal, State, evolved
from eventfold.schemas.message import Message
from eventfold.schemas.testing import logged, same


@dataclass(frozen=True, slots=True)
class When:
    """A decision that was made, to be compared with the one expected."""

    decider: Decider
    state: State
    command: Message
    decision: Decision

    def then(self, *expected: Message | Refusal) -> Given:
        """Expect exactly these events, or one Refusal; returns the aggregate after it, ready for the next `when`.

        AssertionError shows the difference, or says that the command was refused, or was not.
        """
        events = [of for of in expected if not isinstance(of, Refusal)]
        if len(events) < len(expected):
            if len(expected) > 1:
                raise AssertionError("a command has either events or one refusal")
            if not isinstance(self.decision, Refusal):
                raise AssertionError(f"{self.command.type} was not refused, it gave:\n{pformat([*self.decision])}")
            same(expected[0], self.decision, f"{self.command.type} was refused otherwise than expected")
            return Given(self.decider, self.state)
        if isinstance(self.decision, Refusal):
            raise AssertionError(f"{self.command.type} was refused: {self.decision.message} ({self.decision.code})")
        same(events, [*self.decision], f"{self.command.type} gave other events than expected")
        return Given(self.decider, _evolved(self.decider, self.state, *(event.by(self.command.actor) for event in events)))

    def then_refused(self, code: str) -> None:
        """Expect a refusal with this code; AssertionError says what came instead."""
        if not isinstance(self.decision, Refusal):
            raise AssertionError(f"{self.command.type} was not refused, it gave:\n{pformat([*self.decision])}")
        if self.decision.code != code:
            raise AssertionError(f"{self.command.type} was refused as {self.decision.code!r}, not as {code!r}")


@dataclass(frozen=True, slots=True)
class Given:
    """An aggregate in the state that its events so far have led to."""

    decider: Decider
    state: State

    def when(self, command: Message) -> When:
        """Decide a command. AssertionError when `decide` changed the state or decides otherwise the second time."""
        before = deepcopy(self.state)
        decision = self.decider.decide(self.state, command)
        same(before, self.state, f"decide changed the state it was given ({command.type})")
        same(decision, self.decider.decide(self.state, command), f"asked twice, decide answers twice ({command.type})")
        return When(self.decider, self.state, command, decision)


def given(decider: Decider, *events: Message) -> Given:
    """Begin with what has happened to the aggregate so far.

    As in a handler, `evolve` meets an event of an installed domain as the log gives it back, and `decide` and the next `evolve`
    meet what is read back of a snapshot. AssertionError when `evolve` changed the state it was given; WrongDataError names the
    field of an event that does not fit to its schema, TypeError that of a state that JSON cannot hold.
    """
    return Given(decider, _evolved(decider, decider.initial(), *events))


def _evolved(decider: Decider, state: State, *events: Message) -> State:
    for event in map(logged, events):
        before = deepcopy(state)
        after = evolved(decider, state, event)
        same(before, state, f"evolve changed the state it was given ({event.type})")
        state = after
    return state
