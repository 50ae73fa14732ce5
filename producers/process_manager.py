"""How a process manager is declared: which events and refusals it reacts to, with which commands, and until when.

transfers = ProcessManager(name="transfers", domains=("accounts",))

@transfers.on("accounts.TransferRequested")
def debit(event):
    return [Emit("accounts.DebitAccount", event.data["from_account"], {"transfer_id": event.key, ...})]

@transfers.refused("accounts.DebitAccount")
def not_debited(refused):
    return [Emit("accounts.FailTransfer", refused.process, {"code": refused.code, "message": refused.message})]

@transfers.deadline("overdue", starts="accounts.TransferRequested", ends=("accounts.TransferCompleted",), due="deadline")
def overdue(event):
    return [Emit("accounts.ExpireTransfer", event.key, {})]

It holds no state: what has to be remembered is an aggregate (the transfer), and its state a read model like others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eventfold.schemas.errors import UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.failure import Policy, Stop
from eventfold.schemas.names import checked_name

COMMANDS_LIVE_MS = 7 * 24 * 3600 * 1000


class Emit(NamedTuple):
    """A command that follows: its Avro full name, the aggregate's id, its data."""

    type: str
    key: str
    data: Mapping[str, Any]


class Refused(NamedTuple):
    """A command of this process manager that was refused.

    command: its type. key: the aggregate that refused it. process: the id of the process it belongs to, which is the key
    of the event that began it. code, message: why.
    """

    command: str
    key: str
    process: str
    code: str
    message: str


React = Callable[[Event], Sequence[Emit]]
ReactToRefusal = Callable[[Refused], Sequence[Emit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A timer that an event starts, for that event's key, and another one of the same key ends.

    starts, ends: types of events. due: the field of the starting event's data that says when (a timestamp-millis).
    fires: (the starting event) -> what to emit once it is due and nothing ended it.
    reads: the fields of that event's data that are kept for it, `due` among them; None for all.
    """

    name: str
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    due: str
    fires: React
    reads: frozenset[str] | None = None


@dataclass(slots=True, kw_only=True)
class ProcessManager:
    """A pure reaction of events and refusals to commands. Declared once at import, by its decorators.

    domains: whose events and refusals it reads. on_failure: what to do about an event that cannot be decoded or on which a
    reaction raises. version: raise it when its deadlines change, as a projection's; it is that of `<name>-timers`.
    A reaction does no I/O, reads no clock and uses no randomness: the ids of its commands are derived from what it reacts
    to, so that to react twice is harmless. Its commands expire seven days after that was recorded, a day before their ids
    are forgotten, so that an old log read anew changes nothing.
    """

    name: str
    domains: tuple[str, ...]
    on_failure: Policy = field(default_factory=Stop)
    version: int = 1
    reactions: dict[str, React] = field(default_factory=dict)
    reads: dict[str, frozenset[str] | None] = field(default_factory=dict)
    refusals: dict[str, ReactToRefusal] = field(default_factory=dict)
    deadlines: dict[str, Deadline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_name(self.name, "process manager")
        if not self.domains:
            raise UsageError(f"the process manager {self.name!r} must name the domains whose events it reads")

    def on(self, *types: str, reads: Collection[str] | None = None) -> Callable[[React], React]:
        """React to events of these types with the decorated function; one function a type.

        reads: the fields of the event's data that it reads, as in Projection.on; without it, all.
        """

        def declare(react: React) -> React:
            for type_ in types:
                _new(self.reactions, type_, self.name)
                self.reactions[type_] = react
                self.reads[type_] = None if reads is None else frozenset(reads)
            return react

        return declare

    def refused(self, *commands: str) -> Callable[[ReactToRefusal], ReactToRefusal]:
        """React to the refusal of commands of these types, of those alone that this process manager emitted."""

        def declare(react: ReactToRefusal) -> ReactToRefusal:
            for command in commands:
                _new(self.refusals, command, self.name)
                self.refusals[command] = react
            return react

        return declare

    def deadline(
        self,
        name: str,
        *,
        starts: str | tuple[str, ...],
        ends: str | tuple[str, ...],
        due: str,
        reads: Collection[str] | None = None,
    ) -> Callable[[React], React]:
        """Emit what the decorated function says of the starting event, once that is due and nothing ended it before.

        ends: every event after which it means nothing any more; until one comes, it is emitted again and again, under the
        same id. reads: the fields of the starting event that the function reads, as in `on`.
        """

        def declare(fires: React) -> React:
            _new(self.deadlines, name, self.name)
            self.deadlines[checked_name(name, "deadline")] = Deadline(
                name=name,
                starts=_tuple(starts),
                ends=_tuple(ends),
                due=due,
                fires=fires,
                reads=None if reads is None else frozenset(reads) | {due},
            )
            return fires

        return declare


def _tuple(types: str | tuple[str, ...]) -> tuple[str, ...]:
    return (types,) if isinstance(types, str) else tuple(types)


def _new(declared: Collection[str], name: str, owner: str) -> None:
    if name in declared:
        raise UsageError(f"the process manager {owner!r} declares {name!r} twice")
