"""Reads messages by the schemas that a recorded history holds beside them: a registry that gave the ids need not be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventfold.schemas.catalog import Catalog, MessageSchema, message_of
from eventfold.schemas.framing import MARKER, SingleObject, header_of
from eventfold.schemas.parsed import fingerprint


class Noted:
    """Single-object encoding, and what begins with any of the noted headers. schemas: by these, in hex."""

    def __init__(self, catalog: Catalog, schemas: Mapping[str, Any]) -> None:
        self._single = SingleObject(catalog)
        self._schemas = schemas
        self.header = self._single.header
        self.known = self.load = self._single.known

    def unknown(self, value: bytes) -> tuple[bytes, MessageSchema]:
        header = header_of(value)
        if header.hex() not in self._schemas:
            return self._single.unknown(value)
        message = message_of(self._schemas[header.hex()], f"the schema of {header.hex()} in the recorded history")
        return header, self._single.known().get(MARKER + fingerprint(message), message)
