"""Given, when, then for process managers: a public part of eventfold, with which a domain's own reactions are tested.

given(transfers).when(requested).then(Emit("accounts.DebitAccount", "A-1", {...}))
given(transfers).when_refused(Refused(command="accounts.DebitAccount", key="A-1", process="T-1", code="overdraft", message=""))
    .then(Emit("accounts.FailTransfer", "T-1", {...}))
given(transfers).at_deadline("overdue", requested).then(Emit("accounts.ExpireTransfer", "T-1", {}))

With a codec, each command must fit its schema too. Events hold only the fields that a reaction declares to read (see
ProcessManager.on), as they do in its daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eventfold.processors.reactor.in_memory import UnsoundError, checked
from eventfold.processors.reactor.timers import timers_of
from eventfold.producers.process_manager import Emit, ProcessManager, Refused
from eventfold.projections.in_memory import folded
from eventfold.schemas.codec import Codec
from eventfold.schemas.event import Event
from eventfold.schemas.testing import same


@dataclass(frozen=True, slots=True)
class Reacted:
    """What a process manager emitted, to be compared with what is expected."""

    to: str
    emitted: Sequence[Emit]

    def then(self, *emits: Emit) -> None:
        """Expect exactly these commands in this order; AssertionError shows the difference."""
        same([_plain(emit) for emit in emits], [_plain(emit) for emit in self.emitted], f"other commands follow {self.to}")

    def then_nothing(self) -> None:
        """Expect no command."""
        self.then()


@dataclass(frozen=True, slots=True)
class Given:
    """A process manager, which holds no state: whatever happens, happens to all that it knows."""

    manager: ProcessManager
    codec: Codec | None = None

    def when(self, event: Event) -> Reacted:
        """React to an event; nothing follows one that it does not react to.

        AssertionError when the reaction changed the event, says otherwise the second time, or emits what is no command.
        """
        react = self.manager.reactions.get(event.type)
        if react is None:
            return Reacted(event.type, ())
        return self._reacted(event.type, react, event.reading(self.manager.reads[event.type]))

    def when_refused(self, refused: Refused) -> Reacted:
        """React to the refusal of one of its own commands; nothing follows one that it does not react to."""
        react = self.manager.refusals.get(refused.command)
        what = f"the refusal of {refused.command}"
        return Reacted(what, ()) if react is None else self._reacted(what, react, refused)

    def at_deadline(self, name: str, event: Event) -> Reacted:
        """Let the time pass until the deadline that this event started is due.

        AssertionError when there is no such deadline, this event does not start it, or it says of none when that is due.
        """
        deadline = self.manager.deadlines.get(name)
        if deadline is None:
            raise AssertionError(f"{self.manager.name} declares no deadline {name!r}, but {sorted(self.manager.deadlines)}")
        if event.type not in deadline.starts:
            raise AssertionError(f"{event.type} does not start the deadline {name!r}, but {', '.join(deadline.starts)}")
        timers = timers_of(self.manager)
        assert timers is not None
        row = folded(timers, [event])[name].get(event.key)
        if row is None:
            raise AssertionError(
                f"{event.type} starts no deadline {name!r}: its {deadline.due!r} is {event.data[deadline.due]!r}"
            )
        # Without a codec it is not known how what a row holds is restored: then it is what it was.
        data = {field: event.data[field] for field in row["data"]}
        if self.codec is not None:
            data = self.codec.restored(event.type, row["data"])
        return self._reacted(f"the deadline {name!r}", deadline.fires, Event(event.type, event.key, data))

    def _reacted(self, to: str, react: Callable[[Any], Sequence[Emit]], happened: Any) -> Reacted:
        try:
            return Reacted(to, checked(to, react, happened, self.codec))
        except UnsoundError as error:
            raise AssertionError(str(error)) from error


def given(manager: ProcessManager, codec: Codec | None = None) -> Given:
    """Begin with a process manager; `codec` (of the catalog that holds its commands) checks what it emits."""
    return Given(manager, codec)


def _plain(emit: Emit) -> tuple[str, str, dict[str, Any]]:
    return emit.type, emit.key, dict(emit.data)
