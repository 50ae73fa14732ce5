"""The CloudEvents 1.0 envelope in Kafka's binary mode: `content-type` and `ce_` headers around a bare payload.

Extensions: `sequence` (the aggregate's version after the event), `correlationid`, `causationid`, `actor` and `actorkind` on
commands and what follows from them, on commands `expectedversion` and `expirytime`, on their events `fingerprint` (see
eventfold.schemas.fingerprint), `processid` on what belongs to a process, and W3C `traceparent` (a plain header).
No personal data belongs in any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.ids import checked_text, is_traceparent
from eventfold.schemas.message import Actor
from eventfold.schemas.times import iso, millis

Headers = list[tuple[str, str | bytes | None]]
RawHeaders = Mapping[str, str | bytes | None] | Headers

FIXED: Headers = [("content-type", b"application/avro"), ("ce_specversion", b"1.0")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Everything about a message that is not its data.

    id: of this message, unique for ever; a command's id is what makes it idempotent.
    type: the Avro full name of the data.
    source: who made it, a URI reference (`/eventfold/flights/handler`).
    time: when it happened, milliseconds since 1970 UTC (when it was recorded is the record's own timestamp).
    subject: the aggregate's id, equal to the record's key.
    sequence: of an event, the aggregate's version after it, counted from 1.
    correlation_id: what it belongs to: the id of the first command of a conversation.
    causation_id: of an event, the id of the command that it follows from; of a process manager's command, that of the
    event or refusal.
    expected_version: of a command, the version at which alone it may be accepted.
    expires: of a command, the time (milliseconds) after which it is refused undecided.
    traceparent: W3C trace context, handed on as it came.
    actor: who asked for it, or for what it follows from.
    fingerprint: of an event, in hex, what its command asked for.
    process_id: `<process manager>/<process>` of a command that a process manager emitted, and of what followed from it.
    """

    id: str
    type: str
    source: str
    time: int
    subject: str
    sequence: int | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    expected_version: int | None = None
    expires: int | None = None
    traceparent: str | None = None
    process_id: str | None = None
    actor: Actor | None = None
    fingerprint: str | None = None

    def to_headers(self) -> Headers:
        """The record's headers."""
        headers = [
            *FIXED,
            ("ce_id", self.id.encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_time", iso(self.time).encode()),
            ("ce_subject", self.subject.encode()),
        ]
        if self.sequence is not None:
            headers.append(("ce_sequence", b"%d" % self.sequence))
        if self.correlation_id is not None:
            headers.append(("ce_correlationid", self.correlation_id.encode()))
        if self.causation_id is not None:
            headers.append(("ce_causationid", self.causation_id.encode()))
        if self.expected_version is not None:
            headers.append(("ce_expectedversion", b"%d" % self.expected_version))
        if self.expires is not None:
            headers.append(("ce_expirytime", iso(self.expires).encode()))
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        if self.process_id is not None:
            headers.append(("ce_processid", self.process_id.encode()))
        if self.fingerprint is not None:
            headers.append(("ce_fingerprint", self.fingerprint.encode()))
        return headers + headers_of(self.actor)

    @classmethod
    def from_headers(cls, headers: RawHeaders | None) -> Envelope:
        """Read a record's headers; DecodeError names the first header that is missing or cannot be read."""
        found = as_mapping(headers)
        try:
            return cls(
                id=found["ce_id"].decode(),
                type=found["ce_type"].decode(),
                source=found["ce_source"].decode(),
                time=millis(found["ce_time"].decode()),
                subject=found["ce_subject"].decode(),
                sequence=_number(found, "ce_sequence"),
                correlation_id=_text(found, "ce_correlationid"),
                causation_id=_text(found, "ce_causationid"),
                expected_version=_number(found, "ce_expectedversion"),
                expires=millis(found["ce_expirytime"].decode()) if "ce_expirytime" in found else None,
                traceparent=_text(found, "traceparent"),
                process_id=_text(found, "ce_processid"),
                actor=actor_of(found),
                fingerprint=_text(found, "ce_fingerprint"),
            )
        except KeyError as missing:
            raise DecodeError(f"the record has no {missing.args[0]} header") from None
        except (ValueError, UsageError) as error:
            raise DecodeError(f"a ce_ header cannot be read: {error}") from error


def headers_of(actor: Actor | None) -> Headers:
    """The headers that say who asked."""
    if actor is None:
        return []
    kind: Headers = [("ce_actorkind", actor.kind.encode())] if actor.kind else []
    return [("ce_actor", actor.id.encode()), *kind]


def checked_actor(id_: str, kind: str | None) -> Actor:
    """Who asks, as it may stand in headers; UsageError names the one that it cannot. kind: None where nothing is said of it."""
    return Actor(checked_text(id_, "a ce_actor"), "" if kind is None else checked_text(kind, "a ce_actorkind"))


def actor_of(headers: Mapping[str, bytes]) -> Actor | None:
    """Who asked, by the headers; None where they name nobody, or what no door lets in."""
    if "ce_actor" not in headers:
        return None
    try:
        return checked_actor(headers["ce_actor"].decode(), _text(headers, "ce_actorkind"))
    except (ValueError, UsageError):
        return None


def correlation_of(headers: Mapping[str, bytes]) -> str:
    """What a record belongs to; empty where it does not say, or what no door lets in."""
    try:
        return checked_text(headers.get("ce_correlationid", b"").decode(), "a correlation id")
    except (ValueError, UsageError):
        return ""


def trace_of(headers: Mapping[str, bytes]) -> str | None:
    """A W3C `traceparent`; None where there is none, or none that has the form of one."""
    found = headers.get("traceparent", b"")[:64].decode(errors="replace")
    return found if is_traceparent(found) else None


def as_mapping(headers: RawHeaders | None) -> dict[str, bytes]:
    """Headers by name; a name that stands twice counts by its last value, as CloudEvents has it."""
    found: dict[str, Any] = dict(headers or ())
    for name, value in found.items():
        if value.__class__ is not bytes:
            found[name] = (value or "").encode()
    return found


def header(headers: RawHeaders | None, name: str) -> bytes | None:
    """One header without reading the others."""
    for key, value in headers.items() if isinstance(headers, Mapping) else headers or ():
        if key == name:
            return value.encode() if isinstance(value, str) else value
    return None


def _text(found: Mapping[str, bytes], name: str) -> str | None:
    return found[name].decode() if name in found else None


def _number(found: Mapping[str, bytes], name: str) -> int | None:
    return int(found[name]) if name in found else None
