"""An order-free digest of a read model: the same rows give the same digest, however they came to be.

The digest of a table is the sum modulo 2^128 of its rows' digests (XXH3, 128 bits), so that a commit moves it by what it
changes. It recognises equal tables; it is no defence against someone who wants two tables to look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128_intdigest

if TYPE_CHECKING:
    from projections.reader import Reader

MODULUS = 1 << 128
Digests = Mapping[str, int]


def row_digest(key: str, row: bytes) -> int:
    """128 bits of one row under its key; canonical JSON has no NUL, so key and row cannot run into each other."""
    return xxh3_128_intdigest(key.encode(errors="surrogateescape") + b"\0" + row)


def moved(digests: Digests | None, by: Digests) -> Digests | None:
    """The digests of a slice's tables after a change; None, which is unknown, stays so."""
    if digests is None or not by:
        return digests
    after = dict(digests)
    for table, difference in by.items():
        after[table] = (after.get(table, 0) + difference) % MODULUS
    return after


def digest(reader: Reader) -> dict[str, Any]:
    """The digest of all rows, as read, of a projection's live generation, and their number.

    Each table's digest counts under its slice, so a row in the wrong partition is a difference.
    """
    total, rows = 0, 0
    for slice_ in reader.generation.slices():
        for table in reader.projection.tables:
            # HSCAN may hand out a row twice.
            found = dict(reader.rows(slice_, table.name))
            rows += len(found)
            sum_ = sum(row_digest(key, row) for key, row in found.items()) % MODULUS
            total += row_digest(f"{slice_.topic}/{slice_.partition}:{table.name}", b"%032x" % sum_)
    return {"projection": reader.projection.name, "rows": rows, "digest": f"{total % MODULUS:032x}"}
