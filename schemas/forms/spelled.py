"""Kinds that JSON has no type for and that are spelled as text there: decimals and bytes."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from eventfold.schemas.decimals import DecimalType, from_bytes, to_bytes
from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import Faults
from eventfold.schemas.forms.plain import Of
from eventfold.schemas.longest import LONGEST

# More than can have been written: what is read may have more digits than its precision allows.
_ANY_PRECISION = 1_000_000


class Amount:
    """A decimal, as a `Decimal` or as text, never as a number: that would have to be an unscaled one, and 100 would mean 0.01.

    size: of the fixed that it lies on; None where it lies on bytes.
    """

    json, held = (str,), Decimal

    def __init__(self, of: DecimalType, size: int | None = None) -> None:
        self._of, self._size = of, size
        self._as_written = DecimalType(_ANY_PRECISION, of.scale)
        before, after = of.precision - of.scale, of.scale
        self.words = f"a decimal number in quotes, with at most {before} digits before the point and {after} after it"
        self._python = f"a Decimal, or text like {of.text(10**of.scale)!r}"

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, str):
            faults.must(at, self.words, value)
            return value
        try:
            return self._of.number(self._of.parse(value))
        except UsageError as error:
            faults.add(at, str(error))
            return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        try:
            if isinstance(value, Decimal | str):
                return self.packed(value, self._as_written if faults.as_written else self._of)
            faults.must(at, self._python, value)
        except UsageError as error:
            faults.add(at, str(error))
        return value

    def number(self, unscaled: int) -> Decimal:
        """The number that an unscaled value stands for."""
        return self._of.number(unscaled)

    def packed(self, value: Decimal | str, of: DecimalType | None = None) -> bytes:
        """The bytes of a number; UsageError for one that does not fit exactly."""
        of = self._of if of is None else of
        unscaled = of.parse(value) if isinstance(value, str) else of.unscaled(value)
        if self._size is None:
            return to_bytes(unscaled)
        try:
            return unscaled.to_bytes(self._size, "big", signed=True)
        except OverflowError:
            raise UsageError(f"{of.text(unscaled)!r} does not fit into {self._size} bytes") from None

    def owns(self, value: Any) -> bool:
        return isinstance(value, Decimal)

    holds = owns

    def show(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return f"{value:f}"
        with suppress(ValueError, TypeError):  # a number of thousands of digits has no text
            return self._of.text(from_bytes(value.encode("latin-1")))
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        precision, scale = self._of
        before = precision - scale
        whole = f"0*[0-9]{{1,{before}}}" if before else "0+"
        rest = rf"\.[0-9]{{1,{scale}}}0*" if scale else r"\.0+"
        return {"type": "string", "pattern": f"^-?{whole}({rest})?$", "description": f"{_capital(self.words)}."}


class Bytes:
    """Bytes, of a fixed size or of at most so many; in JSON as Avro has them, a character of U+0000 to U+00FF a byte."""

    json, held = (str,), bytes

    def __init__(self, size: int | None = None, most: int = LONGEST) -> None:
        self.size, self.most = size, most
        many = "text" if size is None else f"text of {size} characters"
        self.words = f"{many} up to U+00FF, each a byte"
        self._python = "bytes" if size is None else f"{size} bytes"

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        try:
            if isinstance(value, str) and self.size in (None, len(value)):
                self._bound(value, at, faults)
                return value.encode("latin-1")
        except UnicodeEncodeError:
            pass
        faults.must(at, self.words, value)
        return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        if isinstance(value, bytes | bytearray) and self.size in (None, len(value)):
            self._bound(value, at, faults)
            return bytes(value)
        faults.must(at, self._python, value)
        return value

    def _bound(self, value: str | bytes | bytearray, at: str, faults: Faults) -> None:
        if self.size is None:
            faults.long(at, self.most, "bytes", len(value))

    def owns(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray)

    def holds(self, value: Any) -> bool:
        return isinstance(value, bytes) and self.size in (None, len(value))

    def show(self, value: Any) -> Any:
        return value.decode("latin-1") if isinstance(value, bytes) else value

    def schema(self, of: Of) -> dict[str, Any]:
        size = {"maxLength": self.most} if self.size is None else {"minLength": self.size, "maxLength": self.size}
        return {"type": "string", "pattern": r"^[\u0000-\u00ff]*$", **size, "description": f"{_capital(self.words)}."}


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
