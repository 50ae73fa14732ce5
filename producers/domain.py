"""What a domain declares for the daemons, under the entry point `eventfold.processors`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from eventfold.producers.decider import Decider, State
from eventfold.producers.process_manager import ProcessManager
from eventfold.schemas.errors import UsageError
from eventfold.schemas.message import Message
from eventfold.schemas.names import checked_name

May = Callable[[Message, State], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain with a write side of its own: its handler alone writes `<name>.events`, by this decider.

    process_managers: those that the domain brings along; they may react to other domains too.
    internal: the commands that process managers alone send: the handler takes them from `<name>.internal` alone, which by ACL
    nobody else writes, and HTTP does not offer them. scopes: of commands, which scope of a token allows them over HTTP;
    `<name>:write`, where nothing is said.
    may: (command, state of its aggregate) -> whether who asks, `command.actor`, may; asked before `decide` and never when the
    log is folded anew. Pure, as a decider. The commands of process managers have the actor of what they follow from. An actor
    is as trustworthy as whoever has the right to write the topic of commands: over HTTP it is who the token says.
    A domain of pure facts declares none of this; its events are published directly.
    """

    name: str
    decider: Decider
    process_managers: tuple[ProcessManager, ...] = ()
    internal: frozenset[str] = frozenset()
    scopes: Mapping[str, str] = field(default_factory=dict)
    may: May | None = None

    def __post_init__(self) -> None:
        checked_name(self.name, "domain")
        for type_ in (*self.internal, *self.scopes):
            if not type_.startswith(f"{self.name}."):
                raise UsageError(f"the domain {self.name!r} declares something of {type_!r}, which is no command of it")

    def scope_of(self, type_: str) -> str:
        """The scope that a token needs for a command of this type."""
        return self.scopes.get(type_, f"{self.name}:write")
