"""How a handler's ledger of one partition lies in Redis: two slices, one folded from the events, one from the refusals.

Both have decided ids (see eventfold.store.decided_ids); that of the events has aggregates too, a hash of JSON snapshots
with `version` and `state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis

from eventfold.store.decided_ids import IDS, STATE, Known
from eventfold.store.rows import to_json
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import META, SliceId

AGGREGATES = "aggregates"
PARTS = (AGGREGATES, *IDS, STATE)
Snapshot = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read of a ledger at once.

    moved: the slices whose revision was another one; then the rest may lack something. aggregates: the snapshot of each key
    that was asked for. accepted, refused: the proofs of the ids that were decided before.
    """

    moved: Sequence[SliceId]
    aggregates: Sequence[Snapshot | None]
    accepted: dict[str, bytes]
    refused: dict[str, bytes]


class StoredLedger:
    """Reads one partition's ledger."""

    def __init__(self, redis: Redis, events: SliceId, refusals: SliceId) -> None:
        self._redis = redis
        self._events = events
        self._refusals = refusals

    def known(self) -> tuple[Known, Known]:
        """The turns of the ids that were accepted, and of those that were refused."""
        accepted, refused = (self._redis.hget(s.key(STATE), "turn") for s in (self._events, self._refusals))
        return Known(int(accepted or 0)), Known(int(refused or 0))

    def read(self, keys: Sequence[str], ids: Sequence[str], revisions: tuple[int, int]) -> Read:
        """These aggregates and ids, in one round trip.

        revisions: those at which this process left the slices of the events and of the refusals; 0: it wrote none.
        """
        slices = (self._events, self._refusals)
        pipe = self._redis.pipeline(transaction=False)
        if keys:
            pipe.hmget(self._events.key(AGGREGATES), keys)
        for slice_ in slices:
            for part in IDS:
                pipe.hmget(slice_.key(part), ids)
        # Last, so that what was lost before the ids were read is noticed.
        for slice_ in slices:
            pipe.hget(slice_.key(META), "revision")
        found: list[Any] = pipe.execute()
        aggregates = found.pop(0) if keys else ()
        stands = zip(slices, found[4:], revisions, strict=True)
        return Read(
            moved=[slice_ for slice_, revision, was in stands if revision != (b"%d" % was if was else None)],
            aggregates=_snapshots(aggregates),
            accepted=_proofs(ids, found[:2]),
            refused=_proofs(ids, found[2:4]),
        )

    def aggregates(self, keys: Sequence[str]) -> list[Snapshot | None]:
        """The snapshot of each of these aggregates."""
        return _snapshots(self._redis.hmget(self._events.key(AGGREGATES), keys))  # type: ignore[arg-type]

    def offsets(self, command_id: str) -> list[int]:
        """Where the events of an accepted command lie; none of one that is not known."""
        for part in IDS:
            proof = self._redis.hget(self._events.key(part), command_id)
            if proof is not None:
                return list(orjson.loads(proof)[1:])
        return []


def snapshot_at(store: SliceStore, events: SliceId, key: str) -> tuple[int, Snapshot | None]:
    """The next offset of a ledger's slice of events, 0 where there is none, and an aggregate's snapshot, in one atomic read."""
    offset, rows = store.at(events, AGGREGATES, [key], index=False)
    return offset, None if key not in rows else orjson.loads(rows[key])


def written(version: int, state: Any) -> tuple[Snapshot, bytes]:
    """An aggregate's snapshot, and how it is stored; TypeError where JSON cannot hold it."""
    snapshot = {"version": version, "state": state}
    return snapshot, to_json(snapshot)


def proof(redis: Redis, slices: Sequence[SliceId], command_id: str) -> tuple[SliceId, bytes] | None:
    """The proof that a command was decided, and the slice that has it, in one round trip; None where none has."""
    asked = [(slice_, part) for slice_ in slices for part in IDS]
    pipe = redis.pipeline(transaction=False)
    for slice_, part in asked:
        pipe.hget(slice_.key(part), command_id)
    found = zip(asked, pipe.execute(), strict=True)
    return next(((slice_, of) for (slice_, _), of in found if of is not None), None)


def _snapshots(stored: Iterable[bytes | None]) -> list[Snapshot | None]:
    return [None if row is None else orjson.loads(row) for row in stored]


def _proofs(ids: Sequence[str], stored: Sequence[Sequence[bytes | None]]) -> dict[str, bytes]:
    """By id, of both parts."""
    return {
        command_id: of for proofs in stored if any(proofs) for command_id, of in zip(ids, proofs, strict=True) if of is not None
    }
