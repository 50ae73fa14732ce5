"""What a serving process counts, and tells of itself with the other daemons' signs of life."""

from __future__ import annotations

import asyncio
from collections import Counter

from eventfold.processors.collector import return_memory
from eventfold.store.heartbeats import EVERY_S, Heartbeat
from eventfold.web.workers import Workers


class Counted:
    """Queries and commands since the start, by domain."""

    def __init__(self) -> None:
        self.queries: Counter[str] = Counter()
        self.commands: Counter[str] = Counter()

    def query(self, domain: str) -> None:
        """One more query."""
        self.queries[domain] += 1

    def command(self, domain: str) -> None:
        """One more command."""
        self.commands[domain] += 1

    def status(self) -> dict[str, object]:
        """As a sign of life has it."""
        return {"partitions": {}, "queries": dict(self.queries), "commands": dict(self.commands)}


async def beat_on(heartbeat: Heartbeat, counted: Counted, reads: Workers) -> None:
    """Give a sign of life once a second, with the requests since the one before.

    reads: what they took of memory is given back once they have ended.
    """
    told = 0
    while True:
        total = counted.queries.total() + counted.commands.total()
        await asyncio.to_thread(heartbeat.beat, total - told, counted.status)
        told = total
        if reads.rested():
            await asyncio.to_thread(return_memory)
        await asyncio.sleep(EVERY_S)
