"""Amounts of money, never floats: messages hold `Decimal`s, states and rows ints of a ten-thousandth of a currency's unit.

100.00 EUR are 1_000_000 of these units: an int is JSON as it is, and a sum of ints is exact.

Which currencies there are, and how small their minor units, is ISO 4217's to say. A code without a minor unit (gold, a
drawing right, a test code) is no currency here.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from iso4217 import Currency

from eventfold import UsageError
from eventfold.schemas.decimals import DecimalType

SCALE = 4
AMOUNT = DecimalType(precision=18, scale=SCALE)
LARGEST = AMOUNT.limit - 1


@lru_cache(maxsize=512)
def exponent(currency: str) -> int | None:
    """How many decimals the currency's minor unit has (EUR 2, JPY 0, KWD 3); None for what is no currency."""
    try:
        found = Currency(currency).exponent
    except ValueError:
        return None
    return found if found is not None and found <= SCALE else None


def parse(text: str) -> Decimal:
    """An amount as a person writes it, `100.00`; UsageError unless it is exact, positive and fits."""
    amount = AMOUNT.parse(text)
    if amount <= 0:
        raise UsageError(f"{text!r} is not an amount: it must be more than 0")
    return number(amount)


def units(amount: Decimal) -> int:
    """The units of a message's amount."""
    return AMOUNT.unscaled(amount)


def number(units: int) -> Decimal:
    """So many units as a message's amount."""
    return AMOUNT.number(units)


def text(amount: int, currency: str | None) -> str:
    """`100.00` of EUR, `100` of JPY, `-1.500` of KWD: with the decimals of the minor unit, and more where the amount is finer.

    Where the currency is unknown, with as many as it needs. Exact: `AMOUNT.parse` gives the amount again.
    """
    decimals = 0 if currency is None else exponent(currency) or 0
    shown = AMOUNT.text(amount)
    while shown[-1] == "0" and len(shown) - shown.index(".") - 1 > decimals:
        shown = shown[:-1]
    return shown.removesuffix(".")


def too_fine(amount: int, currency: str) -> bool:
    """Whether the amount is no whole number of the currency's minor units; a code that is no more in force has none."""
    decimals = exponent(currency)
    return decimals is not None and amount % 10 ** (SCALE - decimals) != 0
