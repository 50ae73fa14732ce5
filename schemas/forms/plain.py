"""Kinds that JSON has as they are: null, true and false, text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from eventfold.schemas.faults import Faults
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.longest import LONGEST

Of = Callable[[Kind], dict[str, Any]]
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
is_uuid = re.compile(_UUID).fullmatch


class Null:
    """`null`."""

    words, json, held = "null", (type(None),), type(None)

    def read(self, value: Any, at: str, faults: Faults) -> None:
        if value is not None:
            faults.must(at, self.words, value)

    take = read

    def owns(self, value: Any) -> bool:
        return value is None

    holds = owns

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "null"}


class Boolean:
    """`true` or `false`."""

    words, json, held = "true or false", (bool,), bool

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, bool):
            faults.must(at, self.words, value)
        return value

    take = read

    def owns(self, value: Any) -> bool:
        return isinstance(value, bool)

    holds = owns

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "boolean"}


class Text:
    """Text that UTF-8 can write, of at most so many characters."""

    words, json, held = "text", (str,), str

    def __init__(self, most: int = LONGEST) -> None:
        self.most = most

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not isinstance(value, str):
            faults.must(at, self.words, value)
            return value
        faults.long(at, self.most, "characters", len(value))
        if not encodable(value):
            faults.add(at, NOT_ENCODABLE)
        return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        return _bare(self.read(value, at, faults))

    def owns(self, value: Any) -> bool:
        return isinstance(value, str)

    holds = owns

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.most}


class Symbol:
    """One of the symbols of an enum."""

    json, held = (str,), str

    def __init__(self, symbols: Sequence[str], doc: str) -> None:
        self._symbols, self.known, self._doc = list(symbols), frozenset(symbols), doc
        few = ", ".join(symbols[:20]) + (", ..." if len(symbols) > 20 else "")
        self.words = f"one of {few}"

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not self.holds(value):
            faults.must(at, self.words, value)
        return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        return _bare(self.read(value, at, faults))

    def owns(self, value: Any) -> bool:
        return isinstance(value, str)

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.known

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        more = {"description": self._doc} if self._doc else {}
        return {"type": "string", "enum": list(self._symbols), **more}


class Uuid:
    """A UUID as text, which it is in messages too: `UUID` objects would not be what comes back of a row or a state."""

    words, json, held = "a UUID", (str,), str

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        if not self.holds(value):
            faults.must(at, self.words, value)
        return value

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        if isinstance(value, UUID):
            return str(value)
        if faults.as_written and isinstance(value, str) and encodable(value):
            return _bare(value)
        return _bare(self.read(value, at, faults))

    def owns(self, value: Any) -> bool:
        return isinstance(value, UUID) or self.holds(value)

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and is_uuid(value) is not None

    def show(self, value: Any) -> Any:
        return value

    def schema(self, of: Of) -> dict[str, Any]:
        return {"type": "string", "format": "uuid", "pattern": f"^{_UUID}$"}


def encodable(text: str) -> bool:
    """Whether UTF-8 can write it: JSON can hold half of a surrogate pair, which nothing else can."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bare(value: Any) -> Any:
    """Text without what a subclass makes of it: a member of an enum prints as something else than it is."""
    return str.__str__(value) if isinstance(value, str) else value


NOT_ENCODABLE = "holds half of a surrogate pair, which is no character"
