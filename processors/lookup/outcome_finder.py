"""What became of a command by its id alone, for as long as a handler remembers it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.processors.handler.handover import ledger_name
from eventfold.processors.runtime import Runtime
from eventfold.schemas.ids import checked_id
from eventfold.store.builds import Generation
from eventfold.store.connection import RedisError
from eventfold.store.decided_ids import outcome_of_events, outcome_of_refusal
from eventfold.store.generations import Generations
from eventfold.store.ledgers import proof
from eventfold.store.outcomes import Outcome, Outcomes, OutcomeUnknownError
from eventfold.store.slices import TornError

_POLL_S = 0.1


def directly(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function as it is."""
    return function(*args)


class OutcomeFinder:
    """Asks Redis: first the keys that are kept for a quarter of an hour, then the ledgers of the handlers.

    So it answers for as long as ids are known (see eventfold.store.decided_ids). It needs Kafka only where Redis does not
    say how many partitions a domain has, and no handler has to run.
    """

    def __init__(
        self, runtime: Runtime, sleep: Callable[[float], None] = time.sleep, apart: Callable[..., Any] = directly
    ) -> None:
        """sleep: how to wait. apart: calls what asks Kafka (function, arguments)."""
        self._sleep = sleep
        self._apart = apart
        self._runtime = runtime
        self._redis = runtime.redis
        self._names = runtime.names
        self._outcomes = Outcomes(runtime.redis)
        self._generations = Generations(runtime.redis, runtime.names.prefix)

    @cached_property
    def _topics(self) -> Topics:
        return Topics(self._runtime.kafka)

    def outcome(self, id_: str, domain: str | None = None, timeout_s: float = 0) -> Outcome:
        """The outcome of the command `id_` of one domain or of any, waited for so long.

        OutcomeUnknownError when nothing is known of it, or Redis fails; UsageError for what is no id or no domain.
        """
        command_id = checked_id(id_)
        names = list(self._runtime.domains) if domain is None else [self._runtime.domain(domain).name]
        deadline = time.monotonic() + timeout_s
        try:
            while (found := self._find(command_id, names)) is None:
                if time.monotonic() + _POLL_S > deadline:
                    raise OutcomeUnknownError(command_id, _nothing(command_id, names, timeout_s))
                self._sleep(_POLL_S)
        except (RedisError, TornError) as error:
            raise OutcomeUnknownError(command_id, f"since Redis does not tell it ({error}): ask again later") from error
        return found

    def _find(self, command_id: str, domains: list[str]) -> Outcome | None:
        ledgers = {name: self._generations.live(ledger_name(self._runtime.domain(name))) for name in domains}
        places = [
            (self._names.commands(name), partition)
            for name, count in self._partitions(ledgers).items()
            for partition in range(count)
        ]
        return self._outcomes.find(places, command_id) or self._in_ledgers(command_id, ledgers)

    def _partitions(self, ledgers: Mapping[str, Generation | None]) -> dict[str, int]:
        """How many each domain has; Kafka tells it of a domain that has no ledger, unless it has no topics either."""
        known = {name: ledger.partitions[self._names.events(name)] for name, ledger in ledgers.items() if ledger is not None}
        topics = {self._names.commands(name): name for name in ledgers if name not in known}
        existing = self._apart(self._existing, list(topics)) if topics else {}
        return known | {topics[topic]: info.partitions for topic, info in existing.items()}

    def _existing(self, topics: list[str]) -> dict[str, TopicInfo]:
        return self._topics.existing(topics)

    def _in_ledgers(self, command_id: str, ledgers: Mapping[str, Generation | None]) -> Outcome | None:
        slices = [slice_ for ledger in ledgers.values() if ledger is not None for slice_ in ledger.slices()]
        found = proof(self._redis, slices, command_id)
        if found is None:
            return None
        slice_, of = found
        if slice_.topic in {self._names.events(name) for name in ledgers}:
            return outcome_of_events(command_id, slice_.topic, slice_.partition, of)
        return outcome_of_refusal(command_id, of)


def _nothing(command_id: str, domains: list[str], timeout_s: float) -> str:
    waited = f"after {timeout_s:g} s" if timeout_s else "so far"
    return (
        f"{waited} ({', '.join(domains)}): it is not decided yet (does the handler run? eventfold status), or was decided "
        "longer ago than ids are kept, or Kafka never had it; if it is younger than eight days, send it again with "
        f"--command-id {command_id}, it acts only once"
    )
