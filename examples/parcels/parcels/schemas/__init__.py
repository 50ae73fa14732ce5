"""The messages of `parcels`: one .avsc a version in `commands/` and `events/`, and what leads from one version to the next."""

from __future__ import annotations

from typing import Any

from eventfold import upcaster


def reason_apart(data: dict[str, Any]) -> dict[str, Any]:
    """The first version had both in one text: `P-1-back: already-posted`."""
    parcel, _, reason = data["reason"].rpartition(": ")
    return {"parcel": parcel or None, "reason": reason}


upcasters = [upcaster(name, 1)(reason_apart) for name in ("parcels.KeepParcel", "parcels.ParcelKept")]
