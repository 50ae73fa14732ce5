"""Messages in Confluent's wire format: `00`, the schema's id in 4 bytes, big-endian, the body (Confluent's documentation,
"Wire format"). Single-object encoding is read as well, so that a log may change over at any place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.framing import MARKER, SHORT, SingleObject
from eventfold.schemas.parsed import fingerprint

MAGIC = b"\0"


class Ids(Protocol):
    """Knows the ids of schemas: `eventfold.kafka.schema_registry.Registry`."""

    def id_of(self, message: MessageSchema) -> int: ...

    def schema(self, id_: int) -> MessageSchema: ...


class Confluent:
    """The messages of a catalog by the ids of a registry; each version and each id is asked for once."""

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
        message = self._ids.schema(int.from_bytes(value[1:SHORT], "big"))
        return value[:SHORT], self._single.known().get(MARKER + fingerprint(message), message)
