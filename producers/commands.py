"""Commands on their way to a handler."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from eventfold.kafka.publisher import BULK_S, Delivered, PublishError
from eventfold.schemas.envelope import Envelope, Headers, checked_actor
from eventfold.schemas.errors import UsageError
from eventfold.schemas.fingerprint import Fingerprints
from eventfold.schemas.ids import checked_id, checked_key, checked_text, is_traceparent, new_id, shortened
from eventfold.schemas.message import Actor
from eventfold.schemas.names import Names
from eventfold.schemas.position import Position
from eventfold.schemas.times import FIRST_MS, LAST_MS
from eventfold.store.outcomes import Outcome, Outcomes, Reference

if TYPE_CHECKING:
    from eventfold.schemas.codec import Codec

NO_REPLY = ("noreply", b"1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A request to an aggregate; UsageError for an id, a key or a time that cannot be one.

    type: the Avro full name (`flights.DepartFlight`), whose first part is the domain. key: the aggregate's id.
    id: a UUID; the same id decided again yields the first outcome and no second event.
    time: when it happened (ms UTC), which becomes its events' time. expected_version: refuse it at any other.
    expires: refuse it undecided after this time (ms UTC). noreply: nobody will wait for its outcome.
    actor: who asks for it, as an id that tells nobody who that is; over HTTP the server names it, and whoever may write the
    topic of commands names whom it likes. traceparent: W3C trace context.
    """

    type: str
    key: str
    data: Mapping[str, Any]
    id: str = field(default_factory=new_id)
    time: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    expected_version: int | None = None
    expires: int | None = None
    correlation_id: str | None = None
    noreply: bool = False
    actor: Actor | None = None
    traceparent: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", checked_id(self.id))
        checked_key(self.key)
        checked_time(self.time)
        if self.expires is not None:
            checked_time(self.expires)
        if self.correlation_id is not None:
            checked_text(self.correlation_id, "a correlation id")
        if self.actor is not None:
            checked_actor(self.actor.id, self.actor.kind or None)
        if self.traceparent is not None and not is_traceparent(self.traceparent):
            raise UsageError(f"{shortened(self.traceparent)} is not a traceparent of W3C Trace Context")


def checked_time(ms: int) -> int:
    """`ms` since 1970 UTC, as a message's time; UsageError when no calendar (years 1 to 9999) shows it."""
    if not isinstance(ms, int) or isinstance(ms, bool) or not FIRST_MS <= ms <= LAST_MS:
        raise UsageError(f"{ms!r} is not a time: whole milliseconds since 1970, in the years 1 to 9999 UTC")
    return ms


class Posted(NamedTuple):
    """Where a command lies, and by what its outcome is known."""

    position: Position
    reference: Reference


class Sends(Protocol):
    """An eventfold.kafka.publisher.Publisher, or another one of its kind."""

    def send(
        self, topic: str, key: str | bytes | None, value: bytes | None, headers: Headers, delivered: Delivered | None = None
    ) -> None: ...
    def flush(self, still_s: float = ...) -> None: ...


class CommandSender:
    """Encodes commands and sends them to their domain's topic; `submit` waits for the outcome."""

    def __init__(self, publisher: Sends, codec: Codec, names: Names, outcomes: Outcomes, source: str) -> None:
        self._publisher = publisher
        self._codec = codec
        self._names = names
        self._outcomes = outcomes
        self._source = source
        self._fingerprints = Fingerprints(codec)

    def send(self, command: Command, delivered: Delivered | None = None) -> bytes:
        """Queue the command, and return it as it was encoded; UsageError when it does not fit its schema."""
        envelope = Envelope(
            id=command.id,
            type=command.type,
            source=self._source,
            time=command.time,
            subject=command.key,
            correlation_id=command.correlation_id or command.id,
            expected_version=command.expected_version,
            expires=command.expires,
            actor=command.actor,
            traceparent=command.traceparent,
        )
        headers = envelope.to_headers()
        if command.noreply:
            headers.append(NO_REPLY)
        value = self._codec.encode(command.type, command.data)
        self._publisher.send(self._topic(command.type), command.key, value, headers, delivered)
        return value

    def post(self, command: Command) -> Posted:
        """Send the command and return where it lies once Kafka has it; PublishError names its id."""
        where: list[Position] = []
        try:
            value = self.send(command, where.append)
            self._publisher.flush()
        except PublishError as error:
            raise PublishError(f"{error}; to try again without acting twice: --command-id {command.id}") from error
        return Posted(where[0], self.reference(command, value))

    def reference(self, command: Command, value: bytes) -> Reference:
        """By what the outcome of a command is known that was encoded as `value`."""
        message, expected = self._codec.decode(value), command.expected_version
        fingerprint = self._fingerprints.of(value, message, command.key, expected, command.actor)
        return Reference(command.id, command.key, fingerprint)

    def submit(self, command: Command, timeout_s: float = 10) -> Outcome:
        """Send the command and wait for its outcome; OutcomeUnknownError when that stays unknown."""
        position, reference = self.post(command)
        return self._outcomes.wait(position.topic, position.partition, reference, timeout_s)

    def flush(self, still_s: float = BULK_S) -> None:
        """Return when Kafka has every command that was sent; PublishError when it acknowledges none for so long."""
        self._publisher.flush(still_s)

    def _topic(self, type_: str) -> str:
        return self._names.commands(type_.partition(".")[0])
