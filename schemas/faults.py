"""What is wrong with data of a message, field by field, in sentences that can be sent back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

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
    """Collects faults, at most `MOST` of them.

    as_written: whether values pass that can be read and that no writer may write any more (see `schemas.forms.form.Form.take`).
    """

    def __init__(self, *, as_written: bool = False) -> None:
        self.as_written = as_written
        self.found: list[Fault] = []

    def fresh(self) -> Faults:
        """Others of the same kind, to try something."""
        return Faults(as_written=self.as_written)

    def add(self, at: str, reason: str) -> None:
        if len(self.found) < MOST:
            self.found.append(Fault(field=at, reason=reason))

    def long(self, at: str, most: int, what: str, size: int) -> None:
        """A value of more characters, bytes or items (`what`) than its type allows; not where it was written long ago."""
        if size > most and not self.as_written:
            self.add(at, f"must have at most {most:,} {what}, and has {size:,}")

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
    """A value of JSON or Python in a few words, however large or deep it is."""
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
    if isinstance(value, Decimal | date | time | UUID | bytes):
        text = repr(value[:_TEXT]) if isinstance(value, bytes) else str(value)
        return f"the {type(value).__name__} {text[:_TEXT]}"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _sentence(fault: Fault) -> str:
    what = f"the field {fault.field[1:]!r}" if fault.field else "the data"
    # Some reasons begin with the value.
    return f"{what}{':' if fault.reason[0] in _QUOTES else ''} {fault.reason}"
