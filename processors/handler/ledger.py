"""What a command handler knows of one partition: its aggregates, and which command ids were decided and how.

Kept in two slices (see eventfold.store.ledgers), one folded from the events, one from the refusals; both come back from the
log when Redis loses them. How far back ids are known: see eventfold.store.decided_ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from eventfold.processors.handler.decided_by import Accepted, decided_by, fingerprint_of, is_internal
from eventfold.processors.open_slice import OpenSlice, place_of
from eventfold.processors.sources import RESTORE
from eventfold.producers.decider import Decider, State
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import actor_of, as_mapping
from eventfold.schemas.errors import LogError, Transient
from eventfold.schemas.ids import scoped_id
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import Record
from eventfold.store.commits import Changes, Commit
from eventfold.store.connection import Redis
from eventfold.store.decided_ids import (
    Asking,
    accepted,
    asking_of,
    outcome_of_events,
    outcome_of_refusal,
    proof_of_events,
    proof_of_refusal,
    tag_of,
)
from eventfold.store.ledgers import AGGREGATES, StoredLedger, version_and_state, written
from eventfold.store.outcomes import Outcome, key_part
from eventfold.store.rows import Rows
from eventfold.store.slices import Progress

_HELD = 8_192
Told = tuple[str, Outcome]
"""An outcome, and the part of its key in Redis that is its own."""


class Proved(NamedTuple):
    """What became of an id that was decided before, and how that command was asked for."""

    outcome: Outcome
    asking: Asking


class LedgerLost(Transient):
    """Redis no longer holds what this process wrote there: fold again from the log before deciding anything."""


class Ledger:
    """One partition's aggregates and decided ids, read through to Redis."""

    def __init__(self, decider: Decider, redis: Redis, events: OpenSlice, refusals: OpenSlice, partitions: int) -> None:
        self._decider = decider
        self._partitions = partitions
        self._stored = StoredLedger(redis, events.id, refusals.id)
        self.events = events
        self.refusals = refusals
        self._held = Rows(_HELD)
        self._snapshots: dict[str, bytes] = {}
        self._accepted, self._refused = self._stored.known()

    # -- deciding ----------------------------------------------------------------------------------------------------

    def load(self, keys: Iterable[str], ids: Mapping[bytes, str]) -> dict[bytes, Proved]:
        """Bring the aggregates into memory and return those of the ids (by what they are known by) that were decided before.

        LedgerLost when Redis does not stand where this process left it, or a part is not whole: an id could be missing.
        """
        missing = self._held.missing(keys)
        found = self._stored.read(missing, list(ids), (self.events.progress.stamp, self.refusals.progress.stamp))
        if found.moved:
            lost = ", ".join(f"{slice_.topic}/{slice_.partition}" for slice_ in found.moved)
            raise LedgerLost(f"Redis lost the ledger of {lost}")
        self._hold(missing, found.aggregates)
        known = {}
        for scoped, proof in found.refused.items():
            known[scoped] = Proved(outcome_of_refusal(ids[scoped], proof), asking_of(proof))
        for scoped, proof in found.accepted.items():
            outcome = outcome_of_events(ids[scoped], self.events.id.topic, self.events.id.partition, proof)
            known[scoped] = Proved(outcome, asking_of(proof))
        return known

    def _hold(self, keys: Sequence[str], snapshots: Sequence[bytes | None]) -> None:
        self._held.young.update(zip(keys, snapshots, strict=True))

    def aggregate(self, key: str) -> tuple[int, State]:
        """Version and state of a loaded aggregate, read back anew each time, whatever the decider did to the last one."""
        held = self._held.young[key]
        return (0, self._decider.initial()) if held is None else version_and_state(held)

    def knows(self, key: str) -> bool:
        """Whether the loaded aggregate has any event."""
        return self._held.young[key] is not None

    def size(self, key: str) -> int:
        """How many bytes the snapshot of a loaded aggregate has."""
        return len(self._held.young[key] or b"")

    def hold(self, key: str, snapshot: bytes) -> None:
        """Hold an aggregate's new snapshot (store.ledgers.written), which is written once its events are committed."""
        self._held.young[key] = self._snapshots[key] = snapshot

    def accept(
        self, changes: Changes, timestamp: int, scoped: bytes, asking: Asking, version: int, offsets: Sequence[int]
    ) -> None:
        """Note that a command was accepted and where its events lie."""
        self._accepted.add(changes, timestamp, scoped, proof_of_events(asking, (version,), offsets))

    def accepted(self, command_id: str, version: int, offsets: Sequence[int]) -> Outcome:
        """The outcome of an accepted command."""
        return accepted(command_id, self.events.id.topic, self.events.id.partition, version, offsets)

    def refuse(self, changes: Changes, timestamp: int, scoped: bytes, asking: Asking, outcome: Outcome) -> None:
        """Note that a command was refused."""
        self._refused.add(changes, timestamp, scoped, proof_of_refusal(asking, outcome))

    def snapshots(self) -> dict[str, bytes]:
        """The new states since this was last asked for, by key, as they are to be written; those of one batch."""
        snapshots, self._snapshots = self._snapshots, {}
        return snapshots

    def trim(self) -> None:
        """Between batches: let go of aggregates that were not used for longest."""
        self._held.trim()

    # -- folding the tail of the log ---------------------------------------------------------------------------------

    def fold_events(self, codec: Codec, records: Sequence[Record], since: float) -> tuple[Commit, list[Told]]:
        """Fold events that an earlier handler wrote: the commit, and the outcomes of commands decided `since` (ms).

        MovedError when Redis does not stand where this process left it, as when it was emptied.
        """
        unread = self.events.unread(records)
        keys = [_key(record) for record in unread]
        missing, stamp = self._held.missing(dict.fromkeys(keys)), self.events.progress.stamp
        if missing:
            self._hold(missing, self._stored.aggregates(missing, stamp))
        changes, outcomes, begun = Changes(), list[Told](), False
        commands: dict[bytes, Accepted] = {}
        for key, record in zip(keys, unread, strict=True):
            offset = record.offset()
            version, state = self.aggregate(key)
            if not version and partition_of(key, self._partitions) != record.partition():
                raise LogError(
                    f"{place_of(record)}: the key belongs to partition {partition_of(key, self._partitions)} of "
                    f"{self._partitions}: were partitions added to the topic? Then {RESTORE}"
                )
            headers = as_mapping(record.headers())
            self._evolve_stored(key, version + 1, state, codec, record, headers)
            if (by := decided_by(headers, key)) is not None:
                decision, timestamp = commands.get(by.scoped), record.timestamp()[1]
                if decision is not None and not decision.goes_on(by, timestamp):
                    # The id was forgotten meanwhile, and was used again.
                    outcomes += self._accept_all(changes, commands, since)
                    decision = None
                if decision is None:
                    # An earlier batch may have ended in the midst of the first command's events.
                    earlier = [] if begun else self._stored.offsets(by.scoped, stamp)
                    decision = commands[by.scoped] = Accepted(by, [of for of in earlier if of < offset])
                begun = True
                decision.add(offset, timestamp, version + 1)
        outcomes += self._accept_all(changes, commands, since)
        for key, snapshot in self.snapshots().items():
            changes.put(AGGREGATES, key, snapshot)
        self.trim()
        return _commit(self.events, self.events.after(unread, None), changes), outcomes

    def _accept_all(self, changes: Changes, commands: dict[bytes, Accepted], since: float) -> list[Told]:
        """Note these decisions, and forget them here; the outcomes of those that were recorded `since`."""
        told = []
        for scoped, decision in commands.items():
            asking, version, offsets = decision.by.asking, decision.version, decision.offsets
            self.accept(changes, decision.timestamp, scoped, asking, version, offsets)
            if decision.timestamp > since:
                told.append((key_part(scoped, asking.fingerprint), self.accepted(decision.by.command_id, version, offsets)))
        commands.clear()
        return told

    def fold_refusals(self, codec: Codec, records: Sequence[Record], since: float) -> tuple[Commit, list[Told]]:
        """Fold refusals likewise."""
        unread = self.refusals.unread(records)
        changes = Changes()
        outcomes = []
        for record in unread:
            data = codec.decode(record.value()).data
            outcome = Outcome(
                command_id=data["command_id"],
                accepted=False,
                version=data["version"],
                code=data["code"],
                message=data["message"],
            )
            headers = as_mapping(record.headers())
            asking = Asking(fingerprint_of(data.get("fingerprint")), tag_of(actor_of(headers)))
            scoped = scoped_id(outcome.command_id, _key(record), internal=is_internal(headers))
            timestamp = record.timestamp()[1]
            if not data.get("reused"):
                self.refuse(changes, timestamp, scoped, asking, outcome)
            if timestamp > since:
                outcomes.append((key_part(scoped, asking.fingerprint), outcome))
        return _commit(self.refusals, self.refusals.after(unread, None), changes), outcomes

    def _evolve_stored(
        self, key: str, version: int, state: State, codec: Codec, record: Record, headers: Mapping[str, bytes]
    ) -> None:
        try:
            event = codec.decode(record.value()).by(actor_of(headers))
            # Whatever its size: what is in the log is folded.
            self.hold(key, written(version, self._decider.evolve(state, event)))
        except Exception as error:
            raise LogError(
                f"{place_of(record)}: the handler cannot fold this event: {type(error).__name__}: {error}"
            ) from error


def _commit(slice_: OpenSlice, after: Progress, changes: Changes) -> Commit:
    return Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes)


def _key(record: Record) -> str:
    key = record.key()
    return key.decode() if isinstance(key, bytes) else (key or "")
