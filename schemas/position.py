"""Where an event lies in the log."""

from __future__ import annotations

import re
from typing import NamedTuple

from eventfold.schemas.errors import UsageError

_FORM = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>\d{1,9})@(?P<offset>\d{1,18})", re.ASCII)


class Position(NamedTuple):
    """The place of one record: `topic/partition@offset` in text."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read `topic/partition@offset`; UsageError when it is not of that form."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"{text[:300]!r} is not a position; it has the form topic/partition@offset")
        return cls(match["topic"], int(match["partition"]), int(match["offset"]))
