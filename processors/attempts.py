"""What a failure policy says of an event that failed: park it, try it again after a while, or stand still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventfold.schemas.failure import Park, Policy, Retry
from eventfold.schemas.record import Place


class Attempts:
    """Counts, by partition and offset, how often an event failed since this process began."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failed: dict[Place, dict[int, int]] = {}

    def parks(self, place: Place, offset: int) -> bool:
        """Whether the event, which fails right now, is to be parked."""
        policy = self._policy
        if isinstance(policy, Retry):
            return isinstance(policy.then, Park) and self._tried(place, offset) >= policy.times
        return isinstance(policy, Park)

    def failed(self, place: Place, offset: int) -> float | None:
        """Count a failure: how many seconds to wait before the next try; None when there is to be none."""
        if not isinstance(self._policy, Retry):
            return None
        tried = self._tried(place, offset) + 1
        self._failed.setdefault(place, {})[offset] = tried
        return self._policy.pause_s(tried) if tried <= self._policy.times else None

    def shown(self, place: Place, offset: int) -> str:
        """How often it failed, of how often it may."""
        most = self._policy.times + 1 if isinstance(self._policy, Retry) else 1
        return f"failed {self._tried(place, offset)} of {most} times"

    def passed(self, offsets: Mapping[Place, int]) -> None:
        """Forget what lies before these offsets, which is done with."""
        if self._failed:
            for place, end in offsets.items():
                left = {offset: tried for offset, tried in self._failed.get(place, {}).items() if offset >= end}
                self._failed[place] = left

    def forget(self, places: Iterable[Place]) -> None:
        """Begin to count anew for these partitions."""
        for place in places:
            self._failed.pop(place, None)

    def _tried(self, place: Place, offset: int) -> int:
        return self._failed.get(place, {}).get(offset, 0)
