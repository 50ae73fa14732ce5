"""What stands before a body and says which schema it was written with.

Avro single-object encoding: `C3 01` and the 8-byte little-endian CRC-64-AVRO of the schema's Parsing Canonical Form (Avro
specification, "Single-object encoding"). No service is needed: the schemas are those of the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, Protocol

from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.errors import DecodeError, EventfoldError
from eventfold.schemas.parsed import fingerprint

MARKER = b"\xc3\x01"
LONG = 10
"""Bytes of a header of single-object encoding."""
SHORT = 5
"""Bytes of a header that begins with `00`."""
BRANCH = 6
"""Bytes of one that says a branch of a union too."""


def header_of(value: bytes) -> bytes:
    """The header that a message begins with, if it is one."""
    return value[:LONG] if value[:2] == MARKER else value[:SHORT]


class Framing(Protocol):
    """Finds the schema of a message by its header, which has LONG bytes, or SHORT or BRANCH ones of which the first is `00`."""

    def header(self, message: MessageSchema) -> bytes:
        """What is written before bodies of this version; asked for when the first one is."""
        ...

    def known(self) -> Mapping[bytes, MessageSchema]:
        """The headers that can be read at start."""
        ...

    def load(self) -> Mapping[bytes, MessageSchema]:
        """The headers of all versions of the catalog, asked for if need be."""
        ...

    def unknown(self, value: bytes) -> tuple[bytes, MessageSchema]:
        """The header that `value` begins with, which is none of the known ones, and its schema; both are remembered.

        A schema that is none of the catalog's is resolved to the newest version of its type by Avro's rules alone.
        DecodeError when there is none, and will not be; any other error for what may pass (a service that is away): it goes
        on to who decodes and is not taken for the record's fault.
        """
        ...


class SingleObject:
    """Avro single-object encoding of the versions of a catalog.

    EventfoldError names two files whose versions have one fingerprint: no reader could tell them apart.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._known: dict[bytes, MessageSchema] = {}
        for message in catalog.schemas:
            other = self._known.setdefault(self.header(message), message)
            if other is not message:
                raise EventfoldError(
                    f"{message.path} and {other.path} have the same fingerprint, so what is written with one is read with the "
                    "other; versions must differ in more than docs, defaults, aliases and logical types"
                )

    def header(self, message: MessageSchema) -> bytes:
        return MARKER + fingerprint(message)

    def known(self) -> Mapping[bytes, MessageSchema]:
        return self._known

    load = known

    def unknown(self, value: bytes) -> NoReturn:
        if value[:1] == b"\0":
            raise DecodeError("it begins with 00, as messages by a schema registry do, and SCHEMA_REGISTRY_URL is not set")
        if len(value) < LONG:
            raise DecodeError(f"{len(value)} bytes are too few for an Avro single-object message")
        if value[:2] != MARKER:
            raise DecodeError(f"not Avro single-object encoding: it starts with {value[:2].hex(' ')}, not c3 01")
        raise DecodeError(f"no schema in the catalog has the fingerprint {value[2:LONG].hex()}")
