"""What one transaction does for one partition of commands, and what is remembered of it once it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventfold.kafka.transactions import Delivered, Placed
from eventfold.processors.handler.decide import Decided
from eventfold.processors.handler.ledger import Ledger, LedgerLost, Told
from eventfold.processors.open_slice import OpenSlice
from eventfold.producers.decider import Refusal
from eventfold.schemas.record import Place
from eventfold.store.commits import Changes, Commit
from eventfold.store.decided_ids import TURN_MS, Asking, tag_of
from eventfold.store.ledgers import AGGREGATES
from eventfold.store.outcomes import Outcome, key_part


@dataclass(slots=True)
class Work:
    """One partition's part of a transaction: what was decided, and where its events and refusals come to lie.

    snapshots: the aggregates' states after it, which those after the next batch must not overtake. following: the offset of the
    next command in each topic that was read.
    """

    decided: list[Decided]
    snapshots: Mapping[str, bytes]
    following: Mapping[Place, int]
    events: Delivered = field(default_factory=lambda: Delivered(0))
    refusals: Delivered = field(default_factory=lambda: Delivered(0))
    last_event: str = ""
    last_refusal: str = ""


def remembered(ledger: Ledger, work: Work) -> tuple[list[tuple[OpenSlice, Commit]], list[Told]]:
    """The writes of the ledger's slices, and the outcomes that somebody waits for.

    LedgerLost or Scattered when only a fold of the log can tell.
    """
    events, refusals = _in_one_turn(work.events.placed()), _in_one_turn(work.refusals.placed())
    accepted, refused, told = Changes(), Changes(), []
    offsets = iter(events.offsets)
    for decided in work.decided:
        asked, outcome = decided.asked, decided.earlier
        asking = Asking(asked.fingerprint, tag_of(asked.actor))
        if decided.events:
            lie = [next(offsets) for _ in decided.events]
            assert decided.version is not None
            ledger.accept(accepted, events.ended, asked.scoped, asking, decided.version, lie)
            if not asked.noreply:
                outcome = ledger.accepted(asked.id, decided.version, lie)
        elif asked.id and decided.refusal is not None:
            outcome = _refused(decided, decided.refusal)
            if not decided.reused:
                ledger.refuse(refused, refusals.ended, asked.scoped, asking, outcome)
        if outcome is not None and not asked.noreply:
            told.append((key_part(asked.scoped, asked.fingerprint), outcome))
    for key, snapshot in work.snapshots.items():
        accepted.put(AGGREGATES, key, snapshot)
    commits = []
    for slice_, changes, placed, last_id in (
        (ledger.events, accepted, events, work.last_event),
        (ledger.refusals, refused, refusals, work.last_refusal),
    ):
        if placed.offsets:
            after = slice_.delivered(placed.offsets[-1], last_id)
            commits.append((slice_, Commit(slice=slice_.id, before=slice_.progress, after=after, changes=changes)))
    return commits, told


def _refused(decided: Decided, refusal: Refusal) -> Outcome:
    id_, code, message = decided.asked.id, refusal.code, refusal.message
    return Outcome(command_id=id_, accepted=False, version=decided.version, code=code, message=message)


def _in_one_turn(placed: Placed) -> Placed:
    """LedgerLost when the decided ids of a batch belong to two turns, which only a fold of the log can tell apart."""
    if placed.begun // TURN_MS != placed.ended // TURN_MS:
        raise LedgerLost("a new turn of decided ids began amid a transaction")
    return placed
