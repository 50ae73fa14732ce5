"""Provisional."""

from __future__ import annotations

from typing import Any

from schemas.catalog import MessageSchema


def json_schema(message: MessageSchema, at: str = "#") -> dict[str, Any]:
    """Provisional."""
    return {"type": "object"}
