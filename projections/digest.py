"""An order-free digest of a read model: the same rows give the same digest, however they came to be."""

from __future__ import annotations

import hashlib
from typing import Any

from projections.reader import Reader

_MODULUS = 1 << 128


def row_digest(table: str, key: str, row: bytes) -> int:
    """128 bits (BLAKE2b) of one row under its table and key."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in (table.encode(), key.encode(), row):
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return int.from_bytes(hashed.digest(), "little")


def digest(reader: Reader) -> dict[str, Any]:
    """The sum modulo 2^128 of the digests of all rows of a projection's live generation, and their number.

    Rows of different slices count under their slice, so a row in the wrong partition is a difference.
    """
    total, rows = 0, 0
    for slice_ in reader.generation.slices():
        where = f"{slice_.topic}/{slice_.partition}"
        for table in reader.projection.tables:
            # HSCAN may hand out a row twice.
            for key, row in dict(reader.rows(slice_, table.name)).items():
                total = (total + row_digest(f"{where}:{table.name}", key, row)) % _MODULUS
                rows += 1
    return {"projection": reader.projection.name, "rows": rows, "digest": f"{total:032x}"}
