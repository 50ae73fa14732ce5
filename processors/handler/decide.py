"""From a batch of commands to events and refusals. Knows nothing of transactions."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from eventfold.kafka.domain_topics import LARGEST_EVENT
from eventfold.processors.handler.asked import Asked
from eventfold.processors.handler.ledger import Ledger, Proved
from eventfold.processors.open_slice import place_of
from eventfold.producers.decider import Decider, Refusal, State
from eventfold.producers.domain import May
from eventfold.schemas.codec import Codec
from eventfold.schemas.message import Message
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.times import iso
from eventfold.store.decided_ids import Asking
from eventfold.store.ledgers import written
from eventfold.store.outcomes import CONFLICT, FORBIDDEN, REUSED, Outcome, reused_text
from eventfold.store.rows import read_back

UNDECODABLE, STATE_TOO_LARGE = "undecodable", "state-too-large"
LARGEST_STATE = 256 * 1024
"""Bytes of a snapshot. Each command reads the whole state of its aggregate, and each event has it written again."""
_LONGEST, _LONGEST_CODE = 4_000, 200
_OF_PROCESS = "a command of a process manager comes on the internal topic alone (this one is of an earlier version, or forged)"

log = structlog.get_logger("handler")


class Encoded(NamedTuple):
    """An event's type and its bytes."""

    type: str
    value: bytes


@dataclass(slots=True)
class Decided:
    """What became of one command: events, a refusal, or the outcome that its id had before.

    version: the aggregate's, after its events or at its refusal; None where the command could not be read. reused: the id was
    another command's before, so that the refusal proves nothing of it.
    """

    asked: Asked
    events: Sequence[Encoded] = ()
    refusal: Refusal | None = None
    earlier: Outcome | None = None
    version: int | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What commands are decided by; `may` and `internal` as in eventfold.producers.domain.Domain."""

    decider: Decider
    codec: Codec
    partitions: int
    may: May | None = None
    internal: Container[str] = ()


def decide(rules: Rules, ledger: Ledger, asked: Sequence[Asked], now_ms: int) -> list[Decided]:
    """Decide the commands of one partition in their order.

    The ledger holds the new states but has written nothing. A command that stands in the batch already is left out: its
    first occurrence gives its outcome. So is the second of two that have one id for different things, which is refused.
    """
    ids = {scoped: a.id for a in asked if a.id for scoped in (a.scoped, a.of_process) if scoped}
    known = ledger.load(dict.fromkeys(a.key for a in asked if a.message), ids) if ids else {}
    results: list[Decided] = []
    batch = _Batch(known)
    for a in asked:
        if a.of_process in known and known[a.of_process].asking.fits(a.fingerprint):
            results.append(Decided(a, earlier=known[a.of_process].outcome))
        elif a.id and batch.is_again(a):
            continue
        elif a.id and batch.is_reused(a):
            results.append(_reused(ledger, a))
        elif a.scoped in known:
            results.append(Decided(a, earlier=known[a.scoped].outcome))
        else:
            results.append(_decided(rules, ledger, a, now_ms))
    return results


class _Batch:
    """Which commands of a batch stand in it twice, and which have an id that is another command's."""

    def __init__(self, known: Mapping[bytes, Proved]) -> None:
        self._known = known
        self._first: dict[bytes, Asked] = {}
        self._reused: dict[tuple[bytes, bytes], Asked] = {}

    def is_again(self, a: Asked) -> bool:
        """Whether it stood in the batch before, which then answers both."""
        same = self._reused.get((a.scoped, a.fingerprint))
        if same is None and a.scoped in self._first and self._is_own(a):
            same = self._first[a.scoped]
        if same is None:
            return False
        # Whoever sent it again may wait, even if the first sender does not.
        same.noreply &= a.noreply
        return True

    def is_reused(self, a: Asked) -> bool:
        """Whether its id belongs to another command, decided before or in this batch; else the id is its own from now on."""
        own = self._is_own(a)
        if own:
            self._first[a.scoped] = a
        else:
            self._reused[a.scoped, a.fingerprint] = a
        return not own

    def _is_own(self, a: Asked) -> bool:
        if a.scoped in self._known:
            return self._known[a.scoped].asking.fits(a.fingerprint)
        return a.scoped not in self._first or Asking(self._first[a.scoped].fingerprint).fits(a.fingerprint)


def _decided(rules: Rules, ledger: Ledger, asked: Asked, now_ms: int) -> Decided:
    """What becomes of a command whose id is new."""
    if asked.message is not None and not asked.of_process:
        return _one(rules, ledger, asked, asked.message, now_ms)
    if asked.message is not None:
        asked.message, asked.fingerprint, asked.wrong = None, b"", _OF_PROCESS
    log.error("a command cannot be read", at=place_of(asked.record), error=asked.wrong)
    return Decided(asked, refusal=_bounded(Refusal(code=UNDECODABLE, message=asked.wrong)))


def _reused(ledger: Ledger, asked: Asked) -> Decided:
    refusal = Refusal(code=REUSED, message=reused_text(asked.id, asked.key))
    return Decided(asked, refusal=refusal, version=ledger.aggregate(asked.key)[0] if asked.message else None, reused=True)


def _one(rules: Rules, ledger: Ledger, asked: Asked, command: Message, now_ms: int) -> Decided:
    version, state = ledger.aggregate(asked.key)
    decision = (
        _misplaced(ledger, asked, rules.partitions)
        or _barred(rules, ledger, asked, command)
        or _general(asked, version, now_ms)
        or _by_domain(rules, ledger, asked, command, version, state)
    )
    if isinstance(decision, Refusal):
        return Decided(asked, refusal=_bounded(decision), version=version)
    return Decided(asked, events=decision, version=version + len(decision))


def _bounded(refusal: Refusal) -> Refusal:
    """A refusal that can be encoded and fits into any record, whatever the domain's code put into it."""
    return Refusal(code=_text(refusal.code, _LONGEST_CODE), message=_text(refusal.message, _LONGEST))


def _text(given: object, longest: int) -> str:
    text = str(given).encode(errors="replace").decode()
    return text if len(text) <= longest else f"{text[:longest]}..."


def _general(asked: Asked, version: int, now_ms: int) -> Refusal | None:
    """What every domain refuses."""
    expected, expires = asked.expected_version, asked.expires
    if expected is not None and expected != version:
        return Refusal(code=CONFLICT, message=f"expected version {expected}, but {asked.key} is at version {version}")
    if expires is not None and expires < now_ms:
        return Refusal(code="expired", message=f"the command was to be decided by {iso(expires)}")
    return None


def _barred(rules: Rules, ledger: Ledger, asked: Asked, command: Message) -> Refusal | None:
    """What its sender may not send. A fault of the domain's code refuses the command alone."""
    if command.type in rules.internal and not asked.internal:
        return Refusal(code=FORBIDDEN, message=f"a {command.type} is sent by the domain's own processes alone")
    if rules.may is None:
        return None
    try:
        # Its state is read back for itself, since what it does to it must not reach the decider.
        _, state = ledger.aggregate(asked.key)
        allowed = rules.may(command, state)
    except Exception as error:
        log.exception("`may` failed on a command", at=place_of(asked.record))
        return Refusal(code="decider-failed", message=f"{type(error).__name__}: {error}")
    return None if allowed else Refusal(code=FORBIDDEN, message=f"who asks may not send this {command.type} to {asked.key}")


def _misplaced(ledger: Ledger, asked: Asked, partitions: int) -> Refusal | None:
    """A key on another partition than its own would make a second writer; one that has events here was checked before."""
    if ledger.knows(asked.key):
        return None
    belongs, lies = partition_of(asked.key, partitions), asked.record.partition()
    if belongs == lies:
        return None
    return Refusal(
        code="wrong-partition",
        message=f"{asked.key} belongs to partition {belongs}, but came on {lies}: its producer must partition by murmur2",
    )


def _by_domain(
    rules: Rules, ledger: Ledger, asked: Asked, command: Message, version: int, state: State
) -> list[Encoded] | Refusal:
    """The encoded events, whose state the ledger then holds. A fault of the domain's code refuses the command alone."""
    decider, codec = rules.decider, rules.codec
    try:
        decision = decider.decide(state, command)
        if isinstance(decision, Refusal):
            return decision
        events: list[Encoded] = []
        for event in decision:
            if events:
                # As from the ledger, for the next command: what would be read back after the event before.
                _, state = read_back(state)
            value = codec.encode(event.type, event.data)
            if len(value) > LARGEST_EVENT:
                return Refusal(code="too-large", message=f"a {event.type} of {len(value)} bytes; {LARGEST_EVENT} are the most")
            events.append(Encoded(event.type, value))
            # What the log gives back: a UUID is text by then, a datetime a number, a field that was left out its default.
            state = decider.evolve(state, codec.decode(value).by(asked.actor))
        if not events:
            return Refusal(code="no-event", message=f"{command.type} changes nothing")
        after = written(version + len(events), state)
        if LARGEST_STATE < len(after) > ledger.size(asked.key):
            what = f"the state of {asked.key} would take {len(after):,} bytes, of {LARGEST_STATE:,} that it may have"
            return Refusal(code=STATE_TOO_LARGE, message=f"{what}: only what makes it smaller is taken")
        ledger.hold(asked.key, after)
    except Exception as error:
        log.exception("the decider failed on a command", at=place_of(asked.record))
        return Refusal(code="decider-failed", message=f"{type(error).__name__}: {error}")
    return events
