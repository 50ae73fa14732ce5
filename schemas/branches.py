"""Which branch of a union a value that was read came from, where the value itself does not tell.

A date and a time are both ints, two records are both dicts. What is read of such a union is the value all the same, equal to
any other and JSON as it is, but of a subclass that remembers the name of its branch: so it is written as what it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any


class _Int(int):
    branch: str | None = None


class _Text(str):
    branch: str | None = None


class _Bytes(bytes):
    branch: str | None = None


class _Decimal(Decimal):
    branch: str | None = None


class _Dict(dict[str, Any]):
    branch: str | None = None


_CLASSES: dict[type, Any] = {int: _Int, str: _Text, bytes: _Bytes, Decimal: _Decimal, dict: _Dict}
_TAGGED = tuple(_CLASSES.values())


def tagged(value: Any, branch: str) -> Any:
    """The same value with the name of its branch: a full name, or an Avro type."""
    class_ = _CLASSES.get(value.__class__)
    if class_ is None:
        return value
    found = class_(value)
    found.branch = branch
    return found


def branch_of(value: Any) -> str | None:
    """The name of the branch that the value was read from, where it remembers one."""
    return value.branch if isinstance(value, _TAGGED) else None


def alike(branches: Iterable[tuple[str, type]]) -> frozenset[str]:
    """The names of those branches of a union that another one shares its class with.

    branches: their names, and the classes of what is read of them. A float and a double are not among them: between the two
    a number is always written as a double.
    """
    found = [(name, class_) for name, class_ in branches if class_ is not float]
    times = Counter(class_ for _, class_ in found)
    return frozenset(name for name, class_ in found if times[class_] > 1)
