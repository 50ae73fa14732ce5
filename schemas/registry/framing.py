"""Messages in Confluent's wire format: `00`, the schema's id in 4 bytes, big-endian, the body (Confluent's documentation,
"Wire format"). Single-object encoding is read as well, so that a log may change over at any place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.framing import BRANCH, MARKER, SHORT, SingleObject
from eventfold.schemas.parsed import fingerprint

MAGIC = b"\0"
Written = MessageSchema | Sequence[MessageSchema | None]
"""What an id stands for: a record, as a version 0 of its type, or the branches of a union at the top; None for one that is no
record.
"""


class Ids(Protocol):
    """Knows the ids of schemas: `eventfold.kafka.schema_registry.Registry`."""

    def id_of(self, message: MessageSchema) -> int: ...

    def schema(self, id_: int) -> Written: ...


class Confluent:
    """The messages of a catalog by the ids of a registry; each version and each id is asked for once.

    An id of others may be that of a union of records: then the number of the branch is part of the header.
    """

    def __init__(self, catalog: Catalog, ids: Ids) -> None:
        self._catalog = catalog
        self._ids = ids
        self._single = SingleObject(catalog)
        self._headers: dict[tuple[str, int], bytes] = {}

    def header(self, message: MessageSchema) -> bytes:
        known = (message.type, message.version)
        if known not in self._headers:
            self._headers[known] = MAGIC + self._ids.id_of(message).to_bytes(4, "big")
        return self._headers[known]

    def known(self) -> Mapping[bytes, MessageSchema]:
        return self._single.known()

    def load(self) -> Mapping[bytes, MessageSchema]:
        return {self.header(message): message for message in self._catalog.writable}

    def unknown(self, value: bytes) -> tuple[bytes, MessageSchema]:
        if value[:1] != MAGIC:
            return self._single.unknown(value)
        if len(value) < SHORT:
            raise DecodeError(f"{len(value)} bytes are too few for a message that begins with 00 and a schema's id")
        id_ = int.from_bytes(value[1:SHORT], "big")
        found, end = self._ids.schema(id_), SHORT
        if not isinstance(found, MessageSchema):
            found, end = _branch(found, value, id_), BRANCH
        return value[:end], self._single.known().get(MARKER + fingerprint(found), found)


def _branch(branches: Sequence[MessageSchema | None], value: bytes, id_: int) -> MessageSchema:
    """The branch of a union that a body begins with: its number, as a long in one byte, which it is up to 63."""
    number = value[SHORT] if len(value) > SHORT else 1
    if number & 0x81 or number >> 1 >= len(branches):
        raise DecodeError(f"the body begins with no branch of the union that the schema {id_} is: there are {len(branches)}")
    found = branches[number >> 1]
    if found is None:
        raise DecodeError(f"it is of the branch {number >> 1} of the union that the schema {id_} is, which is no record")
    return found
