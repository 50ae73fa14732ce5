"""Whether Redis has room for one more generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis

from eventfold.schemas.errors import EventfoldError
from eventfold.store.builds import Build
from eventfold.store.slice_store import SliceStore

# What must be left over, of all there is: Redis' memory is more than its data (buffers, fragments).
_SPARE = 0.05
_MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a new generation will take, in bytes, and what Redis has: `used` of `limit`, None where it does not tell.

    needed: judged by the live generation; None where there is none.
    """

    needed: int | None
    used: int
    limit: int | None

    def __str__(self) -> str:
        if self.needed is None:
            needed = "how much memory the new generation takes is not known, there is none to judge by"
        else:
            needed = f"the new generation will take about {_mb(self.needed)}"
        return f"{needed}; Redis uses {_mb(self.used)} of {'what there is' if self.limit is None else _mb(self.limit)}"

    def check(self) -> None:
        """EventfoldError when it does not fit."""
        if self.limit is not None and self.needed is not None and self.used + self.needed > self.limit * (1 - _SPARE):
            raise EventfoldError(
                f"not enough memory: {self}. Give Redis more (maxmemory), drop what is kept (eventfold generations), or use "
                "--ignore-memory"
            )


def room(redis: Redis, store: SliceStore, live: Build | None, folded: int, wanted: int) -> Room:
    """The room for a generation of `wanted` offsets, judged by the live one, which has folded so many."""
    info: Any = redis.info("memory")
    limit = info.get("maxmemory") or info.get("total_system_memory") or None
    needed = None
    if live is not None and folded:
        taken = sum(store.size(slice_, live.parts) for slice_ in live.generation.slices())
        needed = int(taken * max(1.0, wanted / folded))
    return Room(needed=needed, used=info["used_memory"], limit=limit)


def _mb(size: int) -> str:
    return f"{size / _MB:,.0f} MB"
