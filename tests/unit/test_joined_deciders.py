"""Several kinds of aggregates under one decider."""

from __future__ import annotations

import pytest

from eventfold.producers.decider import Decider, Decision, Kind, Refusal, State, joined
from eventfold.producers.testing import given
from eventfold.schemas.message import Message


def counter(kind: str) -> Kind:
    """A kind that counts: `zoo.Feed<Kind>` gives `zoo.<Kind>Fed` with how often it was fed before."""

    def decide(state: State, command: Message) -> Decision:
        return [Message(f"zoo.{kind}Fed", {"before": state["fed"]})]

    def evolve(state: State, event: Message) -> State:
        return {"fed": state["fed"] + 1}

    return Kind(
        name=kind,
        decider=Decider(version=1, initial=lambda: {"fed": 0}, decide=decide, evolve=evolve),
        commands=frozenset({f"zoo.Feed{kind}"}),
        events=frozenset({f"zoo.{kind}Fed"}),
        other=Refusal(code=f"not-a-{kind}", message=f"it is no {kind}"),
    )


zoo = joined(counter("lion"), counter("bear"), version=3)


def test_the_first_event_says_which_kind_it_is() -> None:
    once = given(zoo).when(Message("zoo.Feedlion", {})).then(Message("zoo.lionFed", {"before": 0}))
    twice = once.when(Message("zoo.Feedlion", {})).then(Message("zoo.lionFed", {"before": 1}))
    twice.when(Message("zoo.Feedbear", {})).then_refused("not-a-bear")
    assert twice.state == {"kind": "lion", "state": {"fed": 2}}
    assert zoo.version == 3


@pytest.mark.parametrize("events", [(), (Message("zoo.bearFed", {"before": 0}),)])
def test_what_no_kind_takes(events: tuple[Message, ...]) -> None:
    before = given(zoo, *events)
    before.when(Message("zoo.Pet", {})).then_refused("unknown-command")
    assert given(zoo, *events, Message("zoo.Slept", {})).state == before.state


def test_an_event_of_another_kind_changes_nothing() -> None:
    bear, lion = Message("zoo.bearFed", {"before": 0}), Message("zoo.lionFed", {"before": 0})
    assert given(zoo, bear, lion).state == given(zoo, bear).state
