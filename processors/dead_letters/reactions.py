"""What a process manager could not react to: reacted to with the code and schemas of now, or let go."""

from __future__ import annotations

from collections.abc import Sequence

from eventfold.processors.dead_letters.letters import Letter
from eventfold.processors.dead_letters.owner import DISCARD, RETRY, Entry, Resolved
from eventfold.processors.reactor.reparking import discard, retry, skip_key
from eventfold.processors.runtime import Runtime
from eventfold.producers.process_manager import ProcessManager


def resolve(runtime: Runtime, manager: ProcessManager, entry: Entry, letters: Sequence[Letter], how: str) -> Resolved:
    """See eventfold.processors.reactor.reparking, which looks for the letters itself: more may have come.

    A daemon that runs sees it within a second or so; until then it goes on to park what comes of the key.
    """
    mend = retry if how == RETRY else discard if how == DISCARD else skip_key
    done = mend(runtime, manager, entry.key, entry.place)
    error = done.error or ("more of the key came all the time: try again" if done.left else "")
    return Resolved(key=entry.key, done=done.retried, dropped=done.discarded, left=done.left, error=error)
