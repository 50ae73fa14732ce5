"""Provisional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codec import Codec
from schemas.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """field: which; reason: why."""

    field: str
    reason: str


def faults(codec: Codec, type_: str, data: Mapping[str, Any]) -> list[Fault]:
    """Every wrong field."""
    try:
        codec.encode(type_, codec.from_json(type_, data))
    except UsageError as error:
        return [Fault(field="", reason=str(error))]
    return []
