"""Amounts: exact, in the decimals of their currency, and nothing that a float would have made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.money import AMOUNT, LARGEST, exponent, number, parse, text, too_fine, units
from eventfold.schemas.errors import UsageError


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("XAU", None), ("XXX", None), ("XTS", None), ("eur", None), ("", None)],
)
def test_the_decimals_of_a_currency(currency: str, decimals: int | None) -> None:
    assert exponent(currency) == decimals


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (1_000_000, "EUR", "100.00"),
        (1_000_000, "JPY", "100"),
        (15_000, "KWD", "1.500"),
        (15_000, "CLF", "1.5000"),
        (-15_000, "KWD", "-1.500"),
        (-50, "EUR", "-0.005"),
        (0, "EUR", "0.00"),
        (0, "JPY", "0"),
        (0, None, "0"),
        (1_000_000, None, "100"),
        (1, None, "0.0001"),
        (15_000, "JPY", "1.5"),
        (15_000, "OLD", "1.5"),
        (LARGEST, "EUR", "99999999999999.9999"),
    ],
)
def test_an_amount_as_people_read_it(amount: int, currency: str | None, shown: str) -> None:
    assert text(amount, currency) == shown


@given(st.integers(-LARGEST, LARGEST), st.sampled_from(["EUR", "JPY", "KWD", "CLF", None, "OLD"]))
def test_what_is_shown_is_the_amount(amount: int, currency: str | None) -> None:
    assert AMOUNT.parse(text(amount, currency)) == amount


@pytest.mark.parametrize(
    ("given_", "amount"), [("100.00", 1_000_000), ("0.0001", 1), ("1", 10_000), ("99999999999999.9999", LARGEST)]
)
def test_an_amount_as_people_write_it(given_: str, amount: int) -> None:
    assert (parse(given_), units(parse(given_))) == (number(amount), amount)


@pytest.mark.parametrize(
    "given_", ["0", "0.00", "-1", "-0", "1e3", "NaN", "Infinity", "abc", "", "1,00", "1.00001", "100000000000000", "9" * 5_000]
)
def test_what_is_not_an_amount(given_: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(given_)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("amount", "currency", "fine"),
    [(100, "EUR", False), (150, "EUR", True), (5_000, "JPY", True), (10, "KWD", False), (1, "KWD", True), (1, "CLF", False)],
)
def test_amounts_finer_than_the_minor_unit(amount: int, currency: str, fine: bool) -> None:
    assert too_fine(amount, currency) is fine
