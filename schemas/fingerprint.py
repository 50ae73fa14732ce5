"""What a command asks for, as 16 bytes: by them a resend is told from another command under the same id.

The fingerprint is a hash of clear values, never of encoded bytes: type, key, data, expected version, and who asks. The data are
those of the version that was written, since what a later version makes of them may change with every deployment. Fields that
have their default are left out. So a resend has the same fingerprint whatever the handler has learnt meanwhile, and so has one
by a producer that knows a newer version, as long as the fields that this version added have their defaults. A field that was
renamed, or whose type was changed, makes another command of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from eventfold.schemas.branches import branch_of

if TYPE_CHECKING:
    # Who sends commands needs no codec before the first one.
    from eventfold.schemas.codec import Codec
    from eventfold.schemas.message import Actor, Message
    from eventfold.schemas.parsed import Parsed

SIZE = 16
Omit = Callable[[Any], Any]


class Fingerprints:
    """Makes the fingerprints of one codec's messages."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._omits: dict[int, Omit | None] = {}

    def of(self, value: bytes, message: Message, key: str, expected_version: int | None, actor: Actor | None) -> bytes:
        """The fingerprint of a command. value: as it was written; message: what the codec decodes of it."""
        parsed, data = self._codec.as_written(value, message)
        if id(parsed) not in self._omits:
            self._omits[id(parsed)] = omitting(parsed)
        omit = self._omits[id(parsed)]
        data = data if omit is None else omit(data)
        if parsed.chooses:
            data = _marked(data)
        asked = [message.type, key, data, expected_version, actor and [*actor]]
        return _digest(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS, default=_plain))


def omitting(parsed: Parsed) -> Omit | None:
    """A function that leaves the fields of a message's data out that have their default; None where no field has one."""
    named: dict[str, Mapping[str, Any]] = {}
    _name(parsed.remembering, named)
    return _record(parsed.remembering, named)


def _name(schema: Any, named: dict[str, Mapping[str, Any]]) -> None:
    if isinstance(schema, list):
        for branch in schema:
            _name(branch, named)
    elif isinstance(schema, Mapping):
        if "fields" in schema:
            named[schema["name"]] = schema
        for inside in (*schema.get("fields", ()), *(schema[of] for of in ("type", "items", "values") if of in schema)):
            _name(inside, named)


def _omit(schema: Any, named: Mapping[str, Mapping[str, Any]]) -> Omit | None:
    """Of a value of any type. Of a union with more than one branch beside null nothing is left out: see `_marked`."""
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        omit = _omit(branches[0], named) if len(branches) == 1 else None
        return None if omit is None else lambda value: None if value is None else omit(value)
    of = named.get(schema) if isinstance(schema, str) else schema
    if not isinstance(of, Mapping):
        return None
    if of["type"] == "record":
        return _record(of, named)
    if of["type"] == "array" and (items := _omit(of["items"], named)) is not None:
        return lambda value: [*map(items, value)]
    if of["type"] == "map" and (values := _omit(of["values"], named)) is not None:
        return lambda value: {name: values(each) for name, each in value.items()}
    return None


def _record(schema: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> Omit | None:
    defaults = [(field["name"], field["default"]) for field in schema["fields"] if "default" in field]
    inner = {field["name"]: of for field in schema["fields"] if (of := _omit(field["type"], named)) is not None}
    if not defaults and not inner:
        return None

    def omit(data: Mapping[str, Any]) -> dict[str, Any]:
        left = dict(data)
        for name, default in defaults:
            if left[name] == default:
                del left[name]
        for name, of in inner.items():
            if name in left:
                left[name] = of(left[name])
        return left

    return omit


def _marked(value: Any) -> Any:
    """The same with the name of its branch wherever a value remembers one: two branches may have equal values."""
    branch = branch_of(value)
    if isinstance(value, dict):
        value = {name: _marked(each) for name, each in value.items()}
    elif isinstance(value, list):
        value = [*map(_marked, value)]
    return value if branch is None else {"": branch, "value": value}


def _plain(value: Any) -> Any:
    """What JSON has no form of, in one that no text, list or number has."""
    if isinstance(value, Decimal):
        return {"": str(value)}
    if isinstance(value, bytes | bytearray):
        return {"\0": value.hex()}
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=SIZE).digest()
