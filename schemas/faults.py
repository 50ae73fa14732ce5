"""What is wrong with data that came as JSON, field by field, in sentences that can be sent back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventfold.schemas.errors import UsageError

MOST = 100
"""Faults that are kept; a body of megabytes can hold a million."""
_TEXT, _NAME, _BITS = 40, 100, 128
_QUOTES = "'\""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One wrong field.

    field: where, as a JSON pointer (RFC 6901): `/departed_at`, `/parts/0/price`, nothing for the data itself; always valid
    Unicode. reason: why, in words that follow the field's name. Both are short, whatever came.
    """

    field: str
    reason: str


class Faults:
    """Collects faults, at most `MOST` of them."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, at: str, reason: str) -> None:
        if len(self.found) < MOST:
            self.found.append(Fault(field=at, reason=reason))

    def must(self, at: str, what: str, value: Any) -> None:
        """A value that is something else than what it must be."""
        if len(self.found) < MOST:
            self.add(at, f"must be {what}, not {told(value)}")


class WrongDataError(UsageError):
    """Data that is not a message of its type; `faults` names every wrong field, the first `MOST` of them."""

    def __init__(self, type_: str, faults: Sequence[Fault]) -> None:
        super().__init__(f"{type_}: " + "; ".join(map(_sentence, faults)))
        self.faults = faults


def under(at: str, name: object) -> str:
    """The place of what lies in `at` under a name that anyone may have chosen."""
    text = name if isinstance(name, str) else told(name)
    text = text if len(text) <= _NAME else f"{text[:_NAME]}..."
    return f"{at}/{text.encode(errors='backslashreplace').decode().replace('~', '~0').replace('/', '~1')}"


def told(value: Any) -> str:
    """A value of JSON in a few words, however large or deep it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= _TEXT else f"{value[:_TEXT]}...")
    if isinstance(value, int):
        # Python refuses to print one of thousands of digits.
        return str(value) if value.bit_length() <= _BITS else "a number of very many digits"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "a number that is not finite"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _sentence(fault: Fault) -> str:
    what = f"the field {fault.field[1:]!r}" if fault.field else "the data"
    # Some reasons begin with the value.
    return f"{what}{':' if fault.reason[0] in _QUOTES else ''} {fault.reason}"
