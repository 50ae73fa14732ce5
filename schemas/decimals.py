"""Avro's decimals on bytes as ints of the unscaled value: with a scale of 2, 12.50 is 1250.

The bytes are two's complement, the highest byte first, and as few as the number needs (Avro specification, "Decimal", and
Java's BigInteger.toByteArray); more of them, or none, which is 0, are read all the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from eventfold.schemas.errors import UsageError

# Possessive: of a megabyte of digits before something else no shorter match is looked for.
_TEXT = re.compile(r"(-?)([0-9]++)(?:\.([0-9]++))?")


class DecimalType(NamedTuple):
    """What a schema says of a decimal: at most `precision` digits, `scale` of them behind the point."""

    precision: int
    scale: int

    @property
    def limit(self) -> int:
        """The first int that has too many digits."""
        return int(10**self.precision)

    def parse(self, text: str) -> int:
        """The unscaled value of `-12.5`: digits with a point between, nothing else; UsageError for what is not exact."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise UsageError(f"{_short(text)} is not a decimal number; write it as 100.00")
        sign, whole, rest = match[1], match[2].lstrip("0"), match[3] or ""
        if len(rest.rstrip("0")) > self.scale:
            raise UsageError(f"{_short(text)} has more than {self.scale} decimals")
        if len(whole) > self.precision - self.scale:
            raise UsageError(f"{_short(text)} has more than {self.precision - self.scale} digits before the point")
        number = int((whole + rest[: self.scale].ljust(self.scale, "0")) or "0")
        return -number if sign else number

    def text(self, unscaled: int) -> str:
        """The inverse of `parse`, always with all decimals: `-12.50`."""
        digits = str(abs(unscaled)).rjust(self.scale + 1, "0")
        cut = len(digits) - self.scale
        return f"{'-' if unscaled < 0 else ''}{digits[:cut]}{'.' if self.scale else ''}{digits[cut:]}"


def to_bytes(unscaled: int) -> bytes:
    """The fewest bytes that hold the number."""
    return unscaled.to_bytes((unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1, "big", signed=True)


def from_bytes(encoded: bytes) -> int:
    """The number in any bytes."""
    return int.from_bytes(encoded, "big", signed=True)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
