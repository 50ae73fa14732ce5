"""The digest of a whole read model; see eventfold.store.digests."""

from __future__ import annotations

from typing import Any

from eventfold.projections.reader import Reader
from eventfold.store.digests import MODULUS, row_digest


def digest(reader: Reader) -> dict[str, Any]:
    """The digest of all rows, as read, of a projection's live generation, and their number.

    Each table's digest counts under its slice, so a row in the wrong partition is a difference.
    """
    total, rows = 0, 0
    for slice_ in reader.generation.slices():
        for table in reader.projection.tables:
            # A scan may hand out a row twice.
            found = dict(reader.rows(slice_, table.name))
            rows += len(found)
            sum_ = sum(row_digest(key, row) for key, row in found.items()) % MODULUS
            total += row_digest(f"{slice_.topic}/{slice_.partition}:{table.name}", b"%032x" % sum_)
    return {"projection": reader.projection.name, "rows": rows, "digest": f"{total % MODULUS:032x}"}
