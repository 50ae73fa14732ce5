"""What is to be done about an event that cannot be decoded, folded or reacted to: a value that its reader declares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the partition standing at the event until a person mends it; nothing is skipped."""


@dataclass(frozen=True, slots=True)
class Park:
    """Put the event, and every later one of the same key, aside in their order until a person retries or discards them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again so many `times`, after a pause that doubles from `first_s` to at most `longest_s` seconds; then `then`.

    For what may pass by itself, such as a registry that is away. A pure fold fails the second time as it did the first.
    """

    times: int = 5
    first_s: float = 1.0
    longest_s: float = 30.0
    then: Stop | Park = Stop()

    def pause_s(self, tried: int) -> float:
        """How long to wait before the next try, once it failed so often (from 1 on)."""
        return min(self.first_s * 2.0 ** (tried - 1), self.longest_s)


Policy = Stop | Park | Retry


def may_park(policy: Policy) -> bool:
    """Whether a policy parks anything in the end."""
    return isinstance(policy.then if isinstance(policy, Retry) else policy, Park)
