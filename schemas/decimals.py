"""Avro's decimals as Python's, exact: bytes or a fixed of the unscaled value, which is 1250 of 12.50 with a scale of 2.

The bytes are two's complement, the highest byte first, and on `bytes` as few as the number needs (Avro specification,
"Decimal", and Java's BigInteger.toByteArray); more of them, or none, which is 0, are read all the same.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import NamedTuple

from eventfold.schemas.errors import UsageError

# Possessive: of a megabyte of digits before something else no shorter match is looked for.
_TEXT = re.compile(r"(-?)([0-9]++)(?:\.([0-9]++))?")
_FEW = 4_000
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Moves the point of any number without rounding; the default context rounds to 28 digits."""


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
            raise self._too_fine(text)
        if len(whole) > self.precision - self.scale:
            raise self._too_large(text)
        digits = (whole + rest[: self.scale].ljust(self.scale, "0")) or "0"
        # By way of a Decimal where there are very many: Python makes no int of a text of more than 4,300 digits.
        number = int(digits) if len(digits) < _FEW else int(EXACT.create_decimal(digits))
        return -number if sign else number

    def unscaled(self, number: Decimal) -> int:
        """The unscaled value of a number; UsageError for one that is not finite, or that does not fit exactly."""
        if not number.is_finite():
            raise UsageError(f"{number} is not a decimal number")
        if not number:
            return 0
        if number.adjusted() >= self.precision - self.scale:
            raise self._too_large(str(number))
        scaled = EXACT.scaleb(number, self.scale)
        unscaled = int(scaled)
        if unscaled != scaled:
            raise self._too_fine(str(number))
        return unscaled

    def number(self, unscaled: int) -> Decimal:
        """The number that an unscaled value stands for, with as many digits behind the point as the scale says."""
        return EXACT.scaleb(Decimal(unscaled), -self.scale)

    def text(self, unscaled: int) -> str:
        """The inverse of `parse`, always with all decimals: `-12.50`."""
        digits = str(abs(unscaled)).rjust(self.scale + 1, "0")
        cut = len(digits) - self.scale
        return f"{'-' if unscaled < 0 else ''}{digits[:cut]}{'.' if self.scale else ''}{digits[cut:]}"

    def _too_fine(self, text: str) -> UsageError:
        return UsageError(f"{_short(text)} has more than {self.scale} decimals")

    def _too_large(self, text: str) -> UsageError:
        return UsageError(f"{_short(text)} has more than {self.precision - self.scale} digits before the point")


def to_bytes(unscaled: int) -> bytes:
    """The fewest bytes that hold the number."""
    return unscaled.to_bytes((unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1, "big", signed=True)


def from_bytes(encoded: bytes) -> int:
    """The unscaled value in any bytes."""
    return int.from_bytes(encoded, "big", signed=True)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
