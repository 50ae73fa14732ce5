"""What the gate finds wrong."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong, in a sentence: where, and what to do about it."""

    path: Path
    says: str

    def __str__(self) -> str:
        return f"{self.path}: {self.says}"
