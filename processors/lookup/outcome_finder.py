"""What became of a command by its id and its aggregate's, for as long as a handler remembers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from eventfold.processors.handler.handover import ledger_name
from eventfold.processors.runtime import Runtime
from eventfold.schemas.ids import checked_id, checked_key, scoped_id
from eventfold.schemas.partitioner import partition_of
from eventfold.store.connection import RedisError
from eventfold.store.decided_ids import Asking, asking_of, outcome_of_events, outcome_of_refusal
from eventfold.store.generations import Generations
from eventfold.store.ledgers import proof
from eventfold.store.outcomes import Outcome, OutcomeUnknownError
from eventfold.store.slices import TornError

_POLL_S = (0.02, 0.1)
# Whoever waited for an outcome learns it some milliseconds before the ledger has it.
_BEHIND_S = 0.2


class Kept(NamedTuple):
    """The outcome of a command, and how it was asked for."""

    outcome: Outcome
    asking: Asking


class OutcomeFinder:
    """Asks the ledgers of the handlers, in Redis.

    So it answers for as long as ids are known (see eventfold.store.decided_ids), and no handler has to run.
    """

    def __init__(self, runtime: Runtime, sleep: Callable[[float], None] = time.sleep) -> None:
        """sleep: how to wait."""
        self._sleep = sleep
        self._runtime = runtime
        self._redis = runtime.redis
        self._names = runtime.names
        self._generations = Generations(runtime.redis, runtime.names.prefix)

    def outcome(self, id_: str, key: str, domain: str | None = None, timeout_s: float = 0, *, internal: bool = False) -> Kept:
        """The outcome of the command `id_` to the aggregate `key` of one domain or of any, waited for so long.

        internal: of a command that a process manager sent. OutcomeUnknownError when nothing is known of it, or Redis fails;
        UsageError for what is no id, no key or no domain.
        """
        command_id = checked_id(id_)
        field = scoped_id(command_id, checked_key(key), internal=internal)
        names = list(self._runtime.domains) if domain is None else [self._runtime.domain(domain).name]
        deadline, pause_s = time.monotonic() + max(timeout_s, _BEHIND_S), _POLL_S[0]
        try:
            while (found := self._find(command_id, key, field, names)) is None:
                if time.monotonic() + pause_s > deadline:
                    raise OutcomeUnknownError(command_id, _nothing(command_id, key, names, timeout_s))
                self._sleep(pause_s)
                pause_s = min(pause_s * 1.5, _POLL_S[1])
        except (RedisError, TornError) as error:
            raise OutcomeUnknownError(command_id, f"since Redis does not tell it ({error}): ask again later") from error
        return found

    def _find(self, command_id: str, key: str, field: bytes, domains: list[str]) -> Kept | None:
        for name in domains:
            ledger = self._generations.live(ledger_name(self._runtime.domain(name)))
            if ledger is None:
                continue
            events, refusals = self._names.events(name), self._names.refusals(name)
            partition = partition_of(key, ledger.partitions[events])
            # A command that was accepted may have been refused before by a handler that did not know it any more.
            slices = [ledger.slice(topic, partition) for topic in (events, refusals)]
            if (found := proof(self._redis, slices, field)) is not None:
                slice_, of = found
                if slice_.topic == events:
                    return Kept(outcome_of_events(command_id, events, partition, of), asking_of(of))
                return Kept(outcome_of_refusal(command_id, of), asking_of(of))
        return None


def _nothing(command_id: str, key: str, domains: list[str], timeout_s: float) -> str:
    waited = f"after {timeout_s:g} s" if timeout_s else "so far"
    return (
        f"{waited} ({', '.join(domains)}): it is not decided yet (does the handler run? eventfold status), or was decided "
        f"longer ago than ids are kept, or Kafka never had it, or it was not to {key!r}; if it is younger than eight days, "
        f"send it again with --command-id {command_id}, it acts only once"
    )
