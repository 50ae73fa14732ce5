"""What one transaction does for one partition of commands, and what is remembered of it once it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventfold.kafka.transactions import Delivered, Placed
from eventfold.processors.handler.decide import Decided
from eventfold.processors.handler.ledger import Ledger, LedgerLost
from eventfold.processors.open_slice import OpenSlice
from eventfold.producers.decider import Refusal
from eventfold.store.commits import Changes, Commit
from eventfold.store.decided_ids import TURN_MS
from eventfold.store.ledgers import AGGREGATES
from eventfold.store.outcomes import Outcome


@dataclass(slots=True)
class Work:
    """One partition's part of a transaction: what was decided, and where its events and refusals come to lie.

    snapshots: the aggregates' states after it, which those after the next batch must not overtake.
    """

    decided: list[Decided]
    snapshots: Mapping[str, bytes]
    next_command: int
    events: Delivered = field(default_factory=lambda: Delivered(0))
    refusals: Delivered = field(default_factory=lambda: Delivered(0))
    last_event: str = ""
    last_refusal: str = ""


def remembered(ledger: Ledger, work: Work) -> tuple[list[tuple[OpenSlice, Commit]], list[Outcome]]:
    """The writes of the ledger's slices, and the outcomes that somebody waits for.

    LedgerLost or Scattered when only a fold of the log can tell.
    """
    events, refusals = _in_one_turn(work.events.placed()), _in_one_turn(work.refusals.placed())
    accepted, refused, outcomes = Changes(), Changes(), []
    offsets = iter(events.offsets)
    for decided in work.decided:
        asked, outcome = decided.asked, decided.earlier
        if decided.events:
            lie = [next(offsets) for _ in decided.events]
            assert decided.version is not None
            ledger.accept(accepted, asked.id, events.ended, decided.version, lie)
            if not asked.noreply:
                outcome = ledger.accepted(asked.id, decided.version, lie)
        elif asked.id and decided.refusal is not None:
            outcome = _refused(decided, decided.refusal)
            ledger.refuse(refused, refusals.ended, outcome)
        if outcome is not None and not asked.noreply:
            outcomes.append(outcome)
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
    return commits, outcomes


def _refused(decided: Decided, refusal: Refusal) -> Outcome:
    id_, code, message = decided.asked.id, refusal.code, refusal.message
    return Outcome(command_id=id_, accepted=False, version=decided.version, code=code, message=message)


def _in_one_turn(placed: Placed) -> Placed:
    """LedgerLost when the decided ids of a batch belong to two turns, which only a fold of the log can tell apart."""
    if placed.begun // TURN_MS != placed.ended // TURN_MS:
        raise LedgerLost("a new turn of decided ids began amid a transaction")
    return placed
