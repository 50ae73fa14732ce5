"""Messages as JSON for people: times, dates and decimals of the record's own fields as text, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.errors import UsageError
from schemas.parsed import Parsed, kinds
from schemas.times import day, iso, iso_day, millis

_TEXTS: dict[str, Callable[[str], int]] = {"date": day, "timestamp-millis": millis}
_SHOWN: dict[str, Callable[[int], str]] = {"date": iso_day, "timestamp-millis": iso}


class Texts:
    """The fields of one version that have a text of their own."""

    def __init__(self, parsed: Parsed) -> None:
        self._type = parsed.message.type
        of = list(kinds(parsed.message.schema))
        self._parse = {name: _TEXTS[kind] for name, kind in of if kind in _TEXTS}
        self._parse |= {name: decimal.parse for name, decimal in parsed.decimals.items()}
        self._show = {name: _SHOWN[kind] for name, kind in of if kind in _SHOWN}
        self._show |= {name: decimal.text for name, decimal in parsed.decimals.items()}

    def parse(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Text as the int that a message holds, as `schemas.codec.Codec.from_json` has it."""
        parsed = dict(data)
        for name, read in self._parse.items():
            if isinstance(parsed.get(name), str):
                try:
                    parsed[name] = read(parsed[name])
                except UsageError as error:
                    raise UsageError(f"{self._type}: the field {name!r}: {error}") from None
        return parsed

    def show(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Ints as text, as `schemas.codec.Codec.shown` has it."""
        shown: dict[str, Any] = _json(data)
        for name, text in self._show.items():
            with suppress(ValueError, OverflowError, IndexError):  # a number that no calendar shows stays one
                if shown[name].__class__ is int:
                    shown[name] = text(shown[name])
        return shown


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value) if isinstance(value, Decimal | UUID) else value
