"""Which command an event of the log follows from, and how it was asked for: what the log gives back of a decided id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from eventfold.kafka.transactions import TRANSACTION_TIMEOUT_MS
from eventfold.schemas.envelope import actor_of
from eventfold.schemas.errors import UsageError
from eventfold.schemas.fingerprint import SIZE
from eventfold.schemas.ids import checked_id, scoped_id
from eventfold.store.decided_ids import Asking, tag_of


class DecidedBy(NamedTuple):
    """A command: its id, what it is known by, and how it was asked for."""

    command_id: str
    scoped: bytes
    asking: Asking


@dataclass(slots=True)
class Accepted:
    """An accepted command, as its events tell it: their offsets, the last one's timestamp (ms), the aggregate's version."""

    by: DecidedBy
    offsets: list[int]
    timestamp: int = 0
    version: int = 0

    def goes_on(self, by: DecidedBy, timestamp: int) -> bool:
        """Whether an event is of this very decision: asked for alike, and recorded in the same transaction."""
        return by.asking == self.by.asking and timestamp - self.timestamp <= TRANSACTION_TIMEOUT_MS

    def add(self, offset: int, timestamp: int, version: int) -> None:
        """One more event of it."""
        self.offsets.append(offset)
        self.timestamp, self.version = timestamp, version


def decided_by(headers: Mapping[str, bytes], key: str) -> DecidedBy | None:
    """The command that an event to the aggregate `key` follows from; None where it names none that a handler decided."""
    try:
        command_id = checked_id(headers.get("ce_causationid", b"").decode(errors="replace"))
    except UsageError:
        return None
    asking = Asking(fingerprint_of(headers.get("ce_fingerprint", b"").decode(errors="replace")), tag_of(actor_of(headers)))
    return DecidedBy(command_id, scoped_id(command_id, key, internal=is_internal(headers)), asking)


def is_internal(headers: Mapping[str, bytes]) -> bool:
    """Whether an event or a refusal follows from a command of the domain's own processes, as they were told at all times."""
    return "ce_processid" in headers


def fingerprint_of(hex_digits: str | None) -> bytes:
    """What the log says of it; empty where there is none, as in a log of before, or none of ours."""
    try:
        found = bytes.fromhex(hex_digits or "")
    except ValueError:
        return b""
    return found if len(found) == SIZE else b""
