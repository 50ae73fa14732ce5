"""How many commands a domain's handlers have decided, as their ledgers have it."""

from __future__ import annotations

from bench.log import DOMAIN
from eventfold.installation import Installation
from eventfold.processors.handler.handover import ledger_name
from eventfold.store.decided_ids import IDS
from eventfold.store.generations import Generations


class Ledgers:
    """Counts the decided ids of all partitions: of events and of refusals."""

    def __init__(self, installation: Installation) -> None:
        self._redis = installation.redis
        self._generations = Generations(installation.redis, installation.names.prefix)
        self._name = ledger_name(installation.domains[DOMAIN])
        self._keys: list[str] = []

    def decided(self) -> int:
        """How many by now; 0 before the first handler made its ledgers."""
        if not self._keys:
            live = self._generations.live(self._name)
            if live is None:
                return 0
            self._keys = [slice_.key(part) for slice_ in live.slices() for part in IDS]
        pipe = self._redis.pipeline(transaction=False)
        for key in self._keys:
            pipe.hlen(key)
        return sum(pipe.execute())
