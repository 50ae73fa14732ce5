"""What goes onto a shelf: some, or nothing."""

from __future__ import annotations

from typing import Any

from eventfold import Decider, Domain, Message, Refusal


def decide(state: dict[str, Any], command: Message) -> list[Message] | Refusal:
    if command.data["count"] < 1:
        return Refusal(code="nothing", message="there is nothing to stock")
    return [Message("shop.ItemStocked", command.data)]


def evolve(state: dict[str, Any], event: Message) -> dict[str, Any]:
    return state


domain = Domain(name="shop", decider=Decider(version=1, initial=dict, decide=decide, evolve=evolve))
