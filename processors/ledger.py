"""What a command handler knows of one partition: its aggregates, and which command ids were decided and how.

Kept in two slices of the owner `<domain>.handler`, one folded from the events, one from the refusals; both come back
from the log when Redis loses them. Decided ids lie in two hashes that take turns by the week in which the event or
refusal was recorded; a new week empties the older one. So an id is known for at least seven days, as long as the
commands topic keeps the command, and for fourteen at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from confluent_kafka import Message as Record
from redis import Redis

from processors.patience import Transient
from processors.slices import OpenSlice
from producers.decider import Decider, State
from producers.outcomes import Outcome
from projections.fold import Rows, to_json
from projections.slices import Changes, Commit, Progress
from schemas.codec import Codec
from schemas.envelope import as_mapping
from schemas.errors import LogError
from schemas.message import Message
from schemas.position import Position

AGGREGATES = "aggregates"
_IDS = ("ids_even", "ids_odd")
_STATE = "state"
PARTS = (AGGREGATES, *_IDS, _STATE)
_WEEK_MS = 7 * 24 * 3600 * 1000
_HELD = 8_192


class LedgerLost(Transient):
    """Redis no longer holds what this process wrote there: fold again from the log before deciding anything."""


class Known:
    """The decided ids of one slice, by week."""

    def __init__(self, week: int) -> None:
        self.week = week

    def add(self, changes: Changes, timestamp: int, command_id: str, proof: bytes) -> None:
        """Note a decided id, recorded at `timestamp` (ms)."""
        week = timestamp // _WEEK_MS
        if week > self.week:
            part = _IDS[week % 2]
            changes.drop(part)
            changes.rows.pop(part, None)
            changes.put(_STATE, "week", b"%d" % week)
            self.week = week
        changes.put(_IDS[week % 2], command_id, proof)


class Ledger:
    """One partition's aggregates and decided ids, read through to Redis."""

    def __init__(self, decider: Decider, redis: Redis, events: OpenSlice, refusals: OpenSlice) -> None:
        self._decider = decider
        self._redis = redis
        self.events = events
        self.refusals = refusals
        self._held = Rows(_HELD)
        weeks = [redis.hget(s.id.key(_STATE), "week") for s in (events, refusals)]
        self._accepted, self._refused = (Known(int(week or 0)) for week in weeks)

    # -- deciding ----------------------------------------------------------------------------------------------------

    def load(self, keys: Iterable[str], ids: Sequence[str]) -> dict[str, Outcome]:
        """Bring the aggregates into memory and return those of the ids that were decided before.

        LedgerLost when Redis does not stand where this process left it: an id could be missing from it.
        """
        slices = (self.events, self.refusals)
        missing = self._held.missing(keys)
        pipe = self._redis.pipeline(transaction=False)
        if missing:
            pipe.hmget(self.events.id.key(AGGREGATES), missing)
        for slice_ in slices:
            for part in _IDS:
                pipe.hmget(slice_.id.key(part), ids)
        # Last, so that what was lost before the ids were read is noticed.
        for slice_ in slices:
            pipe.hget(slice_.id.key("slice"), "revision")
        found: list[Any] = pipe.execute()
        for slice_, revision in zip(slices, found[-2:], strict=True):
            if int(revision or 0) != slice_.progress.revision:
                raise LedgerLost(f"Redis lost the ledger of {slice_.id.topic}/{slice_.id.partition}")
        if missing:
            self._hold(missing, found.pop(0))
        return {
            command_id: self._outcome(command_id, proof, accepted)
            for proofs, accepted in zip(found[:4], (True, True, False, False), strict=True)
            for command_id, proof in zip(ids, proofs, strict=True)
            if proof is not None
        }

    def _hold(self, keys: Sequence[str], stored: Sequence[bytes | None]) -> None:
        for key, row in zip(keys, stored, strict=True):
            self._held.young[key] = None if row is None else orjson.loads(row)

    def aggregate(self, key: str) -> tuple[int, State]:
        """Version and state of a loaded aggregate."""
        held = self._held.young[key]
        return (0, self._decider.initial()) if held is None else (held["version"], held["state"])

    def knows(self, key: str) -> bool:
        """Whether the loaded aggregate has any event."""
        return self._held.young[key] is not None

    def evolve(self, key: str, version: int, state: State) -> None:
        """Hold an aggregate's new state; it is written once the transaction is committed."""
        self._held.young[key] = {"version": version, "state": state}

    def accept(self, changes: Changes, command_id: str, timestamp: int, version: int, first: int, count: int) -> None:
        """Note that a command was accepted and its events lie from offset `first` on."""
        self._accepted.add(changes, timestamp, command_id, orjson.dumps([version, first, count]))

    def refuse(self, changes: Changes, timestamp: int, outcome: Outcome) -> None:
        """Note that a command was refused."""
        proof = orjson.dumps([outcome.version, outcome.code, outcome.message])
        self._refused.add(changes, timestamp, outcome.command_id, proof)

    def snapshot(self, changes: Changes, keys: Iterable[str]) -> None:
        """Write the held states of these aggregates."""
        for key in keys:
            held = self._held.young[key]
            assert held is not None
            changes.put(AGGREGATES, key, to_json(held))

    def trim(self) -> None:
        """Between batches: let go of aggregates that were not used for longest."""
        self._held.trim()

    # -- folding the tail of the log ---------------------------------------------------------------------------------

    def fold_events(self, codec: Codec, records: Sequence[Record]) -> tuple[Commit, list[tuple[int, Outcome]]]:
        """Fold events that an earlier handler wrote: the commit, and (timestamp, outcome) of each command."""
        unread = self.events.unread(records)
        keys = [_key(record) for record in unread]
        missing = self._held.missing(dict.fromkeys(keys))
        if missing:
            self._hold(missing, self._redis.hmget(self.events.id.key(AGGREGATES), missing))  # type: ignore[arg-type]
        changes = Changes()
        groups: dict[str, tuple[int, int, int, int]] = {}
        for key, record in zip(keys, unread, strict=True):
            offset = record.offset()
            assert offset is not None
            version, state = self.aggregate(key)
            state = self._evolved(state, codec, record)
            self.evolve(key, version + 1, state)
            cause = as_mapping(record.headers()).get("ce_causationid")
            if cause:
                command_id = cause.decode()
                if not groups:
                    groups[command_id] = (version, *self._begun(command_id, offset), 0)
                _, first, count, _ = groups.get(command_id, (0, offset, 0, 0))
                groups[command_id] = (version + 1, first, count + 1, record.timestamp()[1])
        outcomes = []
        for command_id, (version, first, count, timestamp) in groups.items():
            self.accept(changes, command_id, timestamp, version, first, count)
            outcomes.append((timestamp, self._accepted_outcome(command_id, version, first, count)))
        self.snapshot(changes, dict.fromkeys(keys))
        self.trim()
        return _commit(self.events, self.events.after(unread, None), changes), outcomes

    def fold_refusals(self, codec: Codec, records: Sequence[Record]) -> tuple[Commit, list[tuple[int, Outcome]]]:
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
            timestamp = record.timestamp()[1]
            self.refuse(changes, timestamp, outcome)
            outcomes.append((timestamp, outcome))
        return _commit(self.refusals, self.refusals.after(unread, None), changes), outcomes

    def _begun(self, command_id: str, offset: int) -> tuple[int, int]:
        """First offset and count of a command's events whose first ones an earlier batch folded; else none at `offset`."""
        for part in _IDS:
            proof = self._redis.hget(self.events.id.key(part), command_id)
            if proof is not None:
                _, first, count = orjson.loads(proof)
                if first + count == offset:
                    return first, count
        return offset, 0

    def _evolved(self, state: State, codec: Codec, record: Record) -> State:
        try:
            event = codec.decode(record.value())
            return self._decider.evolve(state, Message(*event))
        except Exception as error:
            where = f"{record.topic()}/{record.partition()}@{record.offset()} key {record.key()!r}"
            raise LogError(f"{where}: the handler cannot fold this event: {type(error).__name__}: {error}") from error

    # -- outcomes ----------------------------------------------------------------------------------------------------

    def _outcome(self, command_id: str, proof: bytes, accepted: bool) -> Outcome:
        if accepted:
            return self._accepted_outcome(command_id, *orjson.loads(proof))
        version, code, message = orjson.loads(proof)
        return Outcome(command_id=command_id, accepted=False, version=version, code=code, message=message)

    def _accepted_outcome(self, command_id: str, version: int, first: int, count: int) -> Outcome:
        topic, partition = self.events.id.topic, self.events.id.partition
        positions = tuple(Position(topic, partition, first + i) for i in range(count))
        return Outcome(command_id=command_id, accepted=True, version=version, positions=positions)


def _commit(slice_: OpenSlice, after: Progress, changes: Changes) -> Commit:
    return Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes)


def _key(record: Record) -> str:
    key = record.key()
    return key.decode() if isinstance(key, bytes) else (key or "")
