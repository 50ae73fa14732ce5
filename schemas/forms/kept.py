"""Data of a message inside of a row, which is JSON: of what is read, decimals and bytes alone are not JSON as they are.

A decimal is kept as its unscaled value, bytes as text, a character a byte; the message's form makes of them what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from eventfold.schemas.decimals import EXACT
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.forms.nested import List, Map, Record
from eventfold.schemas.forms.spelled import Amount, Bytes
from eventfold.schemas.forms.union import Union


def kept(value: Any) -> Any:
    """What was read, as JSON. A decimal has all the digits of its scale, as `schemas.codec.Codec.decode` gives it."""
    if isinstance(value, Decimal):
        return int(EXACT.scaleb(value, -int(value.as_tuple().exponent)))
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Mapping):
        return {key: kept(of) for key, of in value.items()}
    return [kept(of) for of in value] if isinstance(value, list) else value


def restored(kind: Kind, value: Any) -> Any:
    """The inverse of `kept`, of this kind; fields that a record lacks are not missed.

    Of a union, the first branch that JSON does not tell from another one has the value: text before bytes, a number before a
    decimal.
    """
    match kind:
        case Amount() if value.__class__ is int:
            return kind.number(value)
        case Bytes() if isinstance(value, str):
            return value.encode("latin-1")
        case Record() if isinstance(value, Mapping):
            return {name: restored(kind.fields[name].kind, of) if name in kind.fields else of for name, of in value.items()}
        case Map() if isinstance(value, Mapping):
            return {key: restored(kind.values, of) for key, of in value.items()}
        case List() if isinstance(value, list):
            return [restored(kind.items, of) for of in value]
        case Union():
            if any(branch.kind.holds(value) for branch in kind.branches):
                return value
            for branch in kind.branches:
                found = restored(branch.kind, value)
                if branch.kind.holds(found):
                    return found
    return value
