"""Load, decide here, submit with the version that was loaded; and once more when another was faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventfold.kafka.publisher import PublishError
from eventfold.processors.lookup.loading import Loaded, Loader
from eventfold.producers.commands import Command, CommandSender
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.position import Position
from eventfold.store.outcomes import CONFLICT, Outcome, OutcomeUnknownError

Decide = Callable[[Loaded], tuple[str, Mapping[str, Any]] | None]


class ConflictError(EventfoldError):
    """Every attempt met a version that another had made meanwhile; nothing was changed. outcome: the last refusal."""

    def __init__(self, key: str, attempts: int, outcome: Outcome) -> None:
        super().__init__(f"{key!r} was changed by others each time it was tried, {attempts} times: {outcome.message}")
        self.outcome = outcome


def change(
    loader: Loader,
    sender: CommandSender,
    key: str,
    decide: Decide,
    *,
    after: Outcome | Position | None = None,
    attempts: int = 5,
    timeout_s: float = 10,
) -> Outcome | None:
    """The outcome of the command that `decide` makes of the loaded aggregate; None when it makes none.

    decide: (aggregate) -> the command's type and data, or None when there is nothing to do. It may run several times, so it
    should have no effect of its own. after: what must be in the aggregate that is loaded first, such as one's own last
    outcome.
    On a conflict the aggregate is loaded anew, with the version that was met, and decided again, under another id: an id
    that was refused stays refused. A command whose outcome is unknown is sent again under its own id, so it acts once.
    ConflictError after so many attempts; OutcomeUnknownError or PublishError when the last one's outcome stays unknown.
    timeout_s: of each load and of each wait.
    """
    if attempts < 1:
        raise UsageError(f"{attempts} attempts are too few: at least one is needed")
    loaded, command = loader.load(key, after=after, timeout_s=timeout_s), None
    for left in reversed(range(attempts)):
        if command is None:
            wanted = decide(loaded)
            if wanted is None:
                return None
            command = Command(type=wanted[0], key=key, data=wanted[1], expected_version=loaded.version)
        try:
            outcome = sender.submit(command, timeout_s)
        except (OutcomeUnknownError, PublishError):
            if not left:
                raise
            continue
        if outcome.accepted or outcome.code != CONFLICT:
            return outcome
        if not left:
            raise ConflictError(key, attempts, outcome)
        loaded, command = loader.load(key, least=outcome.version or 0, timeout_s=timeout_s), None
    raise AssertionError("the last attempt returns or raises")
