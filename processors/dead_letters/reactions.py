"""What a process manager could not react to: reacted to with the code and schemas of now, or let go."""

from __future__ import annotations

from collections.abc import Sequence

from processors.dead_letters.owner import DISCARD, RETRY, Entry, Item, Resolved
from processors.dead_letters.topic import OnlyKnown, Open
from processors.process_manager import ProcessManager
from processors.reparking import discard, retry, skip_key
from processors.runtime import Runtime


class ParkedReactions:
    """The owner of a process manager's letters, which the dead-letter topic alone knows of; see processors.reparking."""

    def __init__(self, runtime: Runtime, manager: ProcessManager, letters: Sequence[Open], name: str) -> None:
        self.name = name
        self._runtime = runtime
        self._manager = manager
        self._known = OnlyKnown(name, letters)

    def entries(self) -> list[Entry]:
        return self._known.entries()

    def items(self, entry: Entry) -> list[Item]:
        return self._known.items(entry)

    def resolve(self, entry: Entry, how: str) -> Resolved:
        """A daemon that runs sees it within a second or so; until then it goes on to park what comes of the key."""
        mend = retry if how == RETRY else discard if how == DISCARD else skip_key
        done = mend(self._runtime, self._manager, entry.key, entry.place)
        error = done.error or ("more of the key came all the time: try again" if done.left else "")
        return Resolved(key=entry.key, done=done.retried, dropped=done.discarded, left=done.left, error=error)
