"""Commands and queries from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from eventfold.installation import Installation
from eventfold.processors.lookup.changing import Decide, change
from eventfold.processors.lookup.loading import Loaded, Loader
from eventfold.processors.lookup.outcome_finder import OutcomeFinder
from eventfold.producers.commands import Command
from eventfold.schemas.position import Position
from eventfold.store.outcomes import Outcome


class Client:
    """Submits commands and reads models from Python: `with` settings from the environment, or from a mapping."""

    def __init__(self, environ: Mapping[str, str] | None = None, source: str = "/eventfold/client") -> None:
        self._installation = Installation(os.environ if environ is None else environ)
        self._sender = self._installation.write_side.sender(source)

    def submit(self, type_: str, key: str, data: Mapping[str, Any], *, timeout_s: float = 10, **more: Any) -> Outcome:
        """Send a command and wait for its outcome; `more` are the other fields of eventfold.producers.commands.Command.

        UsageError when the command is wrong, NotSentError when it was refused before Kafka had it. When what becomes of it
        is unknown: OutcomeUnknownError, a TimedOutError with its `command_id`, or PublishError. Send it again with its id.
        """
        return self._sender.submit(Command(type=type_, key=key, data=data, **more), timeout_s)

    def load(
        self,
        domain: str,
        key: str,
        *,
        after: Outcome | Position | None = None,
        at: Position | int | None = None,
        timeout_s: float = 10,
    ) -> Loaded:
        """An aggregate by its id: version, state, and as of which position; version 0 for one that has no event.

        Without `at`, as the handler remembers it, once `after` is in it. That may be behind the log by what is being
        written: submit what follows from it with `expected_version`, or use `change`. at: as it was at a position or a
        version, folded from the log. The state may hold personal data.
        UsageError for a position of another partition; NotFoundError for a point that the log has not reached;
        TimedOutError when `after` did not come within `timeout_s`.
        """
        loader = self._loader(domain)
        return loader.load(key, after=after, timeout_s=timeout_s) if at is None else loader.load_at(key, at)

    def change(
        self,
        domain: str,
        key: str,
        decide: Decide,
        *,
        after: Outcome | Position | None = None,
        attempts: int = 5,
        timeout_s: float = 10,
    ) -> Outcome | None:
        """Load an aggregate, let `decide` make a command of it, and submit that with the version that was loaded.

        decide: (Loaded) -> (type, data), or None when there is nothing to do; called anew after each conflict.
        after: what must be in the aggregate that is loaded first; without it one's own last command may not be.
        None when it says None; ConflictError, with the last `outcome`, after so many attempts. Else as `submit`.
        """
        return change(self._loader(domain), self._sender, key, decide, after=after, attempts=attempts, timeout_s=timeout_s)

    def outcome(self, id: str, *, key: str, domain: str | None = None, timeout_s: float = 0) -> Outcome:
        """What became of the command `id` to the aggregate `key`, up to eight days ago and more.

        OutcomeUnknownError when nothing is known of it.

        timeout_s: how long to wait for the decision.
        """
        return OutcomeFinder(self._installation.runtime).outcome(id, key, domain, timeout_s).outcome

    def query(self, projection: str, *, after: Outcome | None = None, timeout_s: float = 10, **params: Any) -> Any:
        """Run a projection's query, once the events of `after` are folded; NotFoundError when it has no answer."""
        positions: tuple[Position, ...] = () if after is None else after.positions
        return self._installation.readers.query(projection, params, positions, timeout_s)

    def _loader(self, domain: str) -> Loader:
        known = self._installation
        return Loader(known.runtime.domain(domain), known.redis, known.names, known.history)
