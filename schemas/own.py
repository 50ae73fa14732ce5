"""How eventfold names its own messages, headers and metadata, and how it named them before.

Written is the name of today. What a log, a dead letter or an export holds stays readable for ever, so both are read.
"""

from __future__ import annotations

NAME = "eventfold"
FORMER = "logfold"
NAMES = (NAME, FORMER)

COMMAND_REFUSED = f"{NAME}.CommandRefused"
COMMAND_REFUSED_TYPES = tuple(f"{name}.CommandRefused" for name in NAMES)


def unprefixed(name: str, separator: str) -> str | None:
    """What stands behind `eventfold<separator>`, today's or the former; None when `name` is of neither."""
    for own in NAMES:
        if name.startswith(own + separator):
            return name[len(own) + len(separator) :]
    return None
