"""The usual values of a kind, looked at by a few lines of Python that are made for its schema.

A writer is on the way of every event, and `schemas.forms` takes some microseconds for what this sees in a fraction of one. It
promises only half, as `schemas.pattern` does: what it takes is what the form takes. About what it does not take (a value of
another class that means the same, a field left out, something wrong) the form is to be asked. So it is about a message of more
than `LONGEST` bytes: in a shorter one nothing is longer than where a type declares no limit, and that is not looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from eventfold.schemas.errors import UsageError
from eventfold.schemas.faults import Faults
from eventfold.schemas.forms.kind import Kind
from eventfold.schemas.forms.moments import Moment
from eventfold.schemas.forms.nested import List, Map, Record
from eventfold.schemas.forms.numbers import Real, Whole
from eventfold.schemas.forms.plain import Boolean, Null, Symbol, Text, Uuid, is_uuid
from eventfold.schemas.forms.spelled import Amount, Bytes
from eventfold.schemas.forms.union import Branch, Union
from eventfold.schemas.longest import LONGEST

Take = Callable[[Any], Any]
"""A value of Python as it is to be written; Unusual where that is not known."""

_PLAIN = """
def take(value):
    if {test}:
        return value
    raise Unusual
"""
_RECORD = """
def take(data):
    if data.__class__ is not dict or len(data) != {count}:
        raise Unusual
    try:
{reads}
    except KeyError:
        raise Unusual from None
    if not ({tests}):
        raise Unusual
    return {found}
"""


class Unusual(Exception):
    """The form is to be asked."""


def compiled(kind: Kind) -> Take:
    """How the usual values of a kind are taken."""
    if isinstance(kind, Record) and kind.fields:
        return _record(kind)
    space: dict[str, Any] = {}
    test = _test(kind, "value", space)
    if test is not None:
        return _made(_PLAIN.format(test=test), space)
    match kind:
        case Amount():
            return _amount(kind)
        case List():
            return _list(compiled(kind.items), kind.most)
        case Map():
            return _map(compiled(kind.values), kind.most)
        case Union() if (other := _other(kind)) is not None:
            return _nullable(other.name, compiled(other.kind))
    return _asked(kind)


def _record(record: Record) -> Take:
    """Its plain fields are looked at in place, which is twice as fast as a function for each."""
    space: dict[str, Any] = {}
    reads, tests, found, changes = [], ["True"], [], False
    for place, (name, field) in enumerate(record.fields.items()):
        value = f"v{place}"
        reads.append(f"        {value} = data[{name!r}]")
        test = _test(field.kind, value, space)
        if test is None:
            changes = True
            space[f"take{place}"] = compiled(field.kind)
            value = f"take{place}({value})"
        else:
            tests.append(test)
        found.append(f"{name!r}: {value}")
    made = "{" + ", ".join(found) + "}" if changes else "data"
    source = _RECORD.format(count=len(found), reads="\n".join(reads), tests=" and ".join(tests), found=made)
    return _made(source, space)


def _made(source: str, space: dict[str, Any]) -> Take:
    # All that comes from outside are the names of fields, written as literals, and numbers.
    exec(source, space | {"Unusual": Unusual, "is_uuid": is_uuid}, space)  # noqa: S102
    take: Take = space["take"]
    return take


def _test(kind: Kind, value: str, space: dict[str, Any]) -> str | None:
    """Whether a value of the usual class is of a plain kind, or of one or null, and written as it is: an expression.

    None for a kind that is not plain.
    """
    match kind:
        case Text():
            # One that UTF-8 cannot write is found when it is written.
            return f"{value}.__class__ is str{_bound(kind.most, value)}"
        case Whole(bounds=bounds) | Moment(number=Whole(bounds=bounds)):
            return f"{value}.__class__ is int and {bounds[0]} <= {value} <= {bounds[1]}"
        case Null():
            return f"{value} is None"
        case Boolean():
            return f"{value}.__class__ is bool"
        case Real(most=most):
            return f"{value}.__class__ is float and {-most!r} <= {value} <= {most!r}"
        case Symbol(known=known):
            space[f"known_{value}"] = known
            return f"{value}.__class__ is str and {value} in known_{value}"
        case Uuid():
            return f"{value}.__class__ is str and is_uuid({value}) is not None"
        case Bytes(size=size, most=most):
            return f"{value}.__class__ is bytes{_bound(most, value) if size is None else f' and len({value}) == {size}'}"
        case Union(plain=True) if (other := _other(kind)) is not None:
            test = _test(other.kind, value, space)
            return None if test is None else f"({value} is None or {test})"
    return None


def _bound(most: int, value: str) -> str:
    return "" if most == LONGEST else f" and len({value}) <= {most}"


def _other(union: Union) -> Branch | None:
    """The other branch of a union of two of which one is null."""
    others = [branch for branch in union.branches if not isinstance(branch.kind, Null)]
    return others[0] if len(others) == 1 and len(union.branches) == 2 else None


def _amount(amount: Amount) -> Take:
    def take(value: Any) -> Any:
        if value.__class__ is Decimal:
            try:
                return amount.packed(value)
            except UsageError:
                pass
        raise Unusual

    return take


def _list(items: Take, most: int) -> Take:
    def take(value: Any) -> Any:
        if value.__class__ is list and len(value) <= most:
            return [items(item) for item in value]
        raise Unusual

    return take


def _map(values: Take, most: int) -> Take:
    def take(value: Any) -> Any:
        if value.__class__ is dict and len(value) <= most and all(key.__class__ is str for key in value):
            return {key: values(of) for key, of in value.items()}
        raise Unusual

    return take


def _nullable(name: str, other: Take) -> Take:
    return lambda value: None if value is None else (name, other(value))


def _asked(kind: Kind) -> Take:
    """Unions of several branches are the form's alone."""

    def take(value: Any) -> Any:
        faults = Faults()
        found = kind.take(value, "", faults)
        if faults.found:
            raise Unusual
        return found

    return take
