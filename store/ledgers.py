"""How a handler's ledger of one partition lies in Redis: two slices, one folded from the events, one from the refusals.

Both have decided ids (see eventfold.store.decided_ids); that of the events has aggregates too, a hash of JSON snapshots
with `version` and `state`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis

from eventfold.store.decided_ids import IDS, STATE, Known, offsets_of
from eventfold.store.integrity import ProvedReads, Wanted
from eventfold.store.rows import to_json
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import SliceId

AGGREGATES = "aggregates"
PARTS = (AGGREGATES, *IDS, STATE)
Snapshot = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read of a ledger at once.

    moved: the slices that are not as this process left them; then there is nothing else. aggregates: the stored snapshot of
    each key that was asked for. accepted, refused: the proofs of the ids that were decided before, by their fields.
    """

    moved: Sequence[SliceId]
    aggregates: Sequence[bytes | None]
    accepted: dict[bytes, bytes]
    refused: dict[bytes, bytes]


class StoredLedger:
    """Reads one partition's ledger."""

    def __init__(self, redis: Redis, events: SliceId, refusals: SliceId) -> None:
        self._reads = ProvedReads(redis)
        self._events = events
        self._refusals = refusals

    def known(self) -> tuple[Known, Known]:
        """The turns of the ids that were accepted, and of those that were refused; TornError as in SliceStore.rows."""
        slices = (self._events, self._refusals)
        found = self._reads.read([Wanted(slice_, [STATE], [("HGET", STATE, "turn")]) for slice_ in slices])
        accepted, refused = (Known(int(of.whole().values[0] or 0)) for of in found)
        return accepted, refused

    def read(self, keys: Sequence[str], ids: Sequence[bytes], stamps: tuple[str, str]) -> Read:
        """These aggregates and ids (by their fields), in one round trip, each slice with the proof that nothing is missing.

        stamps: those of the writes after which this process left the slices of the events and of the refusals.
        """
        of_ids = [("HMGET", part, *ids) for part in IDS]
        of_keys = [("HMGET", AGGREGATES, *keys)] if keys else []
        events, refusals = self._reads.read(
            [Wanted(self._events, (*IDS, AGGREGATES), of_ids + of_keys), Wanted(self._refusals, IDS, of_ids)]
        )
        moved = [of.slice for of, stamp in zip((events, refusals), stamps, strict=True) if of.torn or of.stamp != stamp]
        if moved:
            return Read(moved=moved, aggregates=(), accepted={}, refused={})
        return Read(
            moved=moved,
            aggregates=events.values[2] if keys else (),
            accepted=_proofs(ids, events.values[:2]),
            refused=_proofs(ids, refusals.values),
        )

    def aggregates(self, keys: Sequence[str], stamp: str) -> Sequence[bytes | None]:
        """The stored snapshot of each of these aggregates; TornError and MovedError as in SliceStore.rows.

        stamp: of the write after which this process left the slice of the events.
        """
        found: Sequence[bytes | None] = self._reads.whole(
            self._events, [AGGREGATES], ("HMGET", AGGREGATES, *keys), stamps=(stamp,)
        ).values[0]
        return found

    def offsets(self, field: bytes, stamp: str) -> list[int]:
        """Where the events of an accepted command lie, none of one that is not known; the rest as in `aggregates`."""
        found = self._reads.whole(self._events, IDS, *(("HGET", part, field) for part in IDS), stamps=(stamp,))
        return next((offsets_of(proof) for proof in found.values if proof is not None), [])


def snapshot_at(store: SliceStore, events: SliceId, key: str) -> tuple[int, Snapshot | None]:
    """The next offset of a ledger's slice of events, 0 where there is none, and an aggregate's snapshot, in one atomic read."""
    offset, rows = store.at(events, AGGREGATES, [key], index=False)
    return offset, None if key not in rows else orjson.loads(rows[key])


def written(version: int, state: Any) -> bytes:
    """How an aggregate's snapshot is stored; TypeError names the field that JSON cannot hold."""
    return to_json({"version": version, "state": state})


def version_and_state(stored: bytes) -> tuple[int, Any]:
    """What is read back of a snapshot."""
    snapshot = orjson.loads(stored)
    return snapshot["version"], snapshot["state"]


def proof(redis: Redis, slices: Sequence[SliceId], field: bytes) -> tuple[SliceId, bytes] | None:
    """The proof that a command was decided, and the first slice that has it, in one round trip; None where none has.

    TornError where a slice is not whole: the proof may be missing from it.
    """
    found = ProvedReads(redis).read([Wanted(slice_, IDS, [("HGET", part, field) for part in IDS]) for slice_ in slices])
    proofs = ((of.slice, proof) for of in found for proof in of.whole().values if proof is not None)
    return next(proofs, None)


def _proofs(ids: Sequence[bytes], stored: Sequence[Sequence[bytes | None]]) -> dict[bytes, bytes]:
    """By field, of both parts."""
    return {field: of for proofs in stored if any(proofs) for field, of in zip(ids, proofs, strict=True) if of is not None}
