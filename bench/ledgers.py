"""How many commands a domain's handlers have decided, as their ledgers have it."""

from __future__ import annotations

from bench.log import DOMAIN
from eventfold.installation import Installation
from eventfold.processors.handler.handover import ledger_name
from eventfold.store.decided_ids import IDS
from eventfold.store.generations import Generations
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId


class Ledgers:
    """Counts the decided ids of all partitions: of events and of refusals."""

    def __init__(self, installation: Installation) -> None:
        self._store = SliceStore(installation.redis)
        self._generations = Generations(installation.redis, installation.names.prefix)
        self._name = ledger_name(installation.domains[DOMAIN])
        self._slices: list[SliceId] = []

    def decided(self) -> int:
        """How many by now; 0 before the first handler made its ledgers."""
        if not self._slices:
            live = self._generations.live(self._name)
            if live is None:
                return 0
            self._slices = live.slices()
        return sum(size for part in IDS for size in self._store.sizes(part, self._slices))
