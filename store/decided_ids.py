"""The decided ids of one slice of a handler's ledger, and what is kept of each: the proof, from which its outcome follows.

They lie in two hashes that take turns, eight days each, by the time at which the event or the refusal was recorded; a new
turn empties the older one. So an id is known for at least eight days, longer than Kafka keeps the command (seven, and the
half day that a segment may be old), and for sixteen at most where anything is decided in that partition meanwhile.

A field is the command's scoped id, 16 bytes (see eventfold.schemas.ids.scoped_id). A proof is binary: a byte for its form
(1), one of flags, the 16 bytes of the command's fingerprint and the 8 of its asker's tag where the flags say so; then, of an
accepted command, how many aggregates it changed, their versions, how many events it has, the offset of the first one and the
distance of each to the one before; of a refused one its version plus one (0: unknown), the length of its code in UTF-8, the
code, and the message up to the end. Numbers are unsigned LEB128.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.fingerprint import SIZE
from eventfold.schemas.message import Actor
from eventfold.schemas.position import Position
from eventfold.store.commits import Changes
from eventfold.store.outcomes import Outcome

IDS = ("ids_even", "ids_odd")
STATE = "state"
TURN_MS = 8 * 24 * 3600 * 1000
_FORM = 1
_FINGERPRINT, _ASKER = 1, 2
_TAG = 8


class Known:
    """The decided ids of one slice, by turn."""

    def __init__(self, turn: int) -> None:
        self.turn = turn

    def add(self, changes: Changes, timestamp: int, field: bytes, proof: bytes) -> None:
        """Note a decided id by its field, recorded at `timestamp` (ms)."""
        turn = timestamp // TURN_MS
        if turn > self.turn:
            part = IDS[turn % 2]
            changes.drop(part)
            changes.rows.pop(part, None)
            changes.put(STATE, "turn", b"%d" % turn)
            self.turn = turn
        changes.put(IDS[turn % 2], field, proof)


@dataclass(frozen=True, slots=True)
class Asking:
    """What is kept of how a command was asked for.

    fingerprint: see eventfold.schemas.fingerprint; empty of one that was decided before there were any, and of one that the
    handler could not read, which any fits.
    asker: the tag of who asked; empty where nobody is known.
    """

    fingerprint: bytes = b""
    asker: bytes = b""

    def fits(self, fingerprint: bytes) -> bool:
        """Whether a command with this fingerprint is the same one, sent again."""
        return not self.fingerprint or self.fingerprint == fingerprint


def tag_of(actor: Actor | str | None) -> bytes:
    """Eight bytes that stand for who asks; empty for nobody."""
    id_ = actor.id if isinstance(actor, Actor) else actor
    return hashlib.blake2b(id_.encode(), digest_size=_TAG).digest() if id_ else b""


def proof_of_events(asking: Asking, versions: Sequence[int], offsets: Sequence[int]) -> bytes:
    """What is kept of an accepted command: the aggregates' versions after it, and where its events lie, in their order."""
    proof = _begun(asking)
    _put(proof, len(versions), *versions, len(offsets))
    before = 0
    for offset in offsets:
        _put(proof, offset - before)
        before = offset
    return bytes(proof)


def proof_of_refusal(asking: Asking, outcome: Outcome) -> bytes:
    """What is kept of a refused one."""
    proof, code = _begun(asking), outcome.code.encode()
    _put(proof, 0 if outcome.version is None else outcome.version + 1, len(code))
    return bytes(proof) + code + outcome.message.encode()


def asking_of(proof: bytes) -> Asking:
    """How the command was asked for."""
    return _read(proof)[0]


def offsets_of(proof: bytes) -> list[int]:
    """Where the events of an accepted command lie."""
    return _versions_and_offsets(proof)[2]


def accepted(command_id: str, topic: str, partition: int, version: int, offsets: Sequence[int]) -> Outcome:
    """The outcome of a command whose events lie at these offsets of the log."""
    positions = tuple(Position(topic, partition, offset) for offset in offsets)
    return Outcome(command_id=command_id, accepted=True, version=version, positions=positions)


def outcome_of_events(command_id: str, topic: str, partition: int, proof: bytes) -> Outcome:
    """The outcome that a proof of events stands for; topic and partition are those of the events' slice."""
    _, versions, offsets = _versions_and_offsets(proof)
    return accepted(command_id, topic, partition, versions[0], offsets)


def outcome_of_refusal(command_id: str, proof: bytes) -> Outcome:
    """The outcome that a proof of a refusal stands for."""
    _, at = _read(proof)
    version, at = _number(proof, at)
    size, at = _number(proof, at)
    code, message = proof[at : at + size].decode(), proof[at + size :].decode()
    return Outcome(command_id=command_id, accepted=False, version=version - 1 if version else None, code=code, message=message)


def _begun(asking: Asking) -> bytearray:
    flags = (_FINGERPRINT if asking.fingerprint else 0) | (_ASKER if asking.asker else 0)
    return bytearray((_FORM, flags)) + asking.fingerprint + asking.asker


def _read(proof: bytes) -> tuple[Asking, int]:
    """How it was asked for, and where the rest begins."""
    if proof[:1] != b"\x01":
        raise EventfoldError(f"a decided id's proof has the form {proof[:1].hex()}, which this version does not know")
    flags, at = proof[1], 2
    fingerprint = proof[at : at + SIZE] if flags & _FINGERPRINT else b""
    at += len(fingerprint)
    asker = proof[at : at + _TAG] if flags & _ASKER else b""
    return Asking(fingerprint, asker), at + len(asker)


def _versions_and_offsets(proof: bytes) -> tuple[Asking, list[int], list[int]]:
    asking, at = _read(proof)
    count, at = _number(proof, at)
    versions, offsets, before = [], [], 0
    for _ in range(count):
        version, at = _number(proof, at)
        versions.append(version)
    count, at = _number(proof, at)
    for _ in range(count):
        distance, at = _number(proof, at)
        before += distance
        offsets.append(before)
    return asking, versions, offsets


def _put(proof: bytearray, *numbers: int) -> None:
    for number in numbers:
        while number > 0x7F:
            proof.append(number & 0x7F | 0x80)
            number >>= 7
        proof.append(number)


def _number(proof: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next one begins."""
    number = shift = 0
    while proof[at] & 0x80:
        number |= (proof[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return number | proof[at] << shift, at + 1
