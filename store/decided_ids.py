"""The decided ids of one slice of a handler's ledger, and what is kept of each: the proof, from which its outcome follows.

They lie in two hashes that take turns, eight days each, by the time at which the event or the refusal was recorded; a new
turn empties the older one. So an id is known for at least eight days, longer than Kafka keeps the command (seven, and the
half day that a segment may be old), and for sixteen at most where anything is decided in that partition meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from eventfold.schemas.position import Position
from eventfold.store.commits import Changes
from eventfold.store.outcomes import Outcome

IDS = ("ids_even", "ids_odd")
STATE = "state"
TURN_MS = 8 * 24 * 3600 * 1000


class Known:
    """The decided ids of one slice, by turn."""

    def __init__(self, turn: int) -> None:
        self.turn = turn

    def add(self, changes: Changes, timestamp: int, command_id: str, proof: bytes) -> None:
        """Note a decided id, recorded at `timestamp` (ms)."""
        turn = timestamp // TURN_MS
        if turn > self.turn:
            part = IDS[turn % 2]
            changes.drop(part)
            changes.rows.pop(part, None)
            changes.put(STATE, "turn", b"%d" % turn)
            self.turn = turn
        changes.put(IDS[turn % 2], command_id, proof)


def proof_of_events(version: int, offsets: Sequence[int]) -> bytes:
    """What is kept of an accepted command: the aggregate's version after it, and where its events lie."""
    return orjson.dumps([version, *offsets])


def proof_of_refusal(outcome: Outcome) -> bytes:
    """What is kept of a refused one."""
    return orjson.dumps([outcome.version, outcome.code, outcome.message])


def accepted(command_id: str, topic: str, partition: int, version: int, offsets: Iterable[int]) -> Outcome:
    """The outcome of a command whose events lie at these offsets of the log."""
    positions = tuple(Position(topic, partition, offset) for offset in offsets)
    return Outcome(command_id=command_id, accepted=True, version=version, positions=positions)


def outcome_of_events(command_id: str, topic: str, partition: int, proof: bytes) -> Outcome:
    """The outcome that a proof of events stands for; topic and partition are those of the events' slice."""
    version, *offsets = orjson.loads(proof)
    return accepted(command_id, topic, partition, version, offsets)


def outcome_of_refusal(command_id: str, proof: bytes) -> Outcome:
    """The outcome that a proof of a refusal stands for."""
    version, code, message = orjson.loads(proof)
    return Outcome(command_id=command_id, accepted=False, version=version, code=code, message=message)
