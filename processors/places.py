"""Partitions as people read them: `topic/partition`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from eventfold.schemas.record import Place

T = TypeVar("T")


def named(places: Iterable[Place]) -> str:
    """Partitions in one log line."""
    return ",".join(f"{topic}/{partition}" for topic, partition in sorted(places))


def by_name(of: Mapping[Place, T]) -> dict[str, T]:
    """What is known of partitions, as a status has it."""
    return {f"{topic}/{partition}": of[topic, partition] for topic, partition in sorted(of)}
