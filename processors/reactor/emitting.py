"""From what a reaction says to the command records that are to be produced: ids, headers, partitions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eventfold.kafka.domain_topics import LARGEST_EVENT
from eventfold.producers.commands import NO_REPLY
from eventfold.producers.process_manager import Emit
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Envelope, actor_of, correlation_of, trace_of
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.ids import checked_id, checked_key, derived_id
from eventfold.schemas.message import Actor
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import Place, ProducerRecord
from eventfold.schemas.times import millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a command follows from: the event's or refusal's own id, time (ms) and trace, who asked for it, and the process it
    belongs to.
    """

    id: str
    time: int
    correlation_id: str
    process: str
    traceparent: str | None = None
    actor: Actor | None = None


class Emitted(NamedTuple):
    """A command's record and the partition it goes to."""

    place: Place
    record: ProducerRecord


class Emitter:
    """Makes the records of one process manager's commands.

    deciding: the domains that take commands. partitions: how many a topic has. Safe to be used by several threads.
    """

    def __init__(
        self, owner: str, *, names: Names, codec: Codec, deciding: Collection[str], partitions: Callable[[str], int]
    ) -> None:
        self._owner = owner
        self._names = names
        self._codec = codec
        self._partitions = partitions
        self._source = f"/eventfold/process-managers/{owner}"
        self._commands = {type_: domain for domain in deciding for type_ in codec.catalog.types(domain, "commands")}

    def records(self, emits: Sequence[Emit], cause: Cause, expires: int | None, name: str = "") -> list[Emitted]:
        """The commands in their order; their ids follow from the cause, `name` and the place in the order alone.

        UsageError for what is no command of an enabled domain, does not fit its schema, or has no key.
        """
        stem = f"{self._owner}:{name}:" if name else f"{self._owner}:"
        return [self._record(emit, cause, expires, f"{stem}{index}") for index, emit in enumerate(emits)]

    def _record(self, emit: Emit, cause: Cause, expires: int | None, name: str) -> Emitted:
        type_, key, data = emit
        domain = self._commands.get(type_)
        if domain is None:
            raise UsageError(f"{type_!r} is no command of an enabled domain; there are: {', '.join(sorted(self._commands))}")
        value = self._codec.encode(type_, data)
        if len(value) > LARGEST_EVENT:
            raise UsageError(f"a {type_} of {len(value)} bytes; {LARGEST_EVENT} are the most")
        id_ = derived_id(cause.id, name)
        envelope = Envelope(
            id=id_,
            type=type_,
            source=self._source,
            time=cause.time,
            subject=checked_key(key),
            correlation_id=cause.correlation_id,
            causation_id=cause.id,
            expires=expires,
            traceparent=cause.traceparent,
            process_id=f"{self._owner}/{cause.process}",
            actor=cause.actor,
        )
        topic = self._names.internal(domain)
        place = (topic, partition_of(key, self._partitions(topic)))
        return Emitted(place, ProducerRecord(topic, key, value, [*envelope.to_headers(), NO_REPLY], id_))


def cause_of(headers: Mapping[str, bytes], key: str, owner: str) -> Cause:
    """The cause that a record is; `key` is the process, where the record belongs to none of this owner's.

    DecodeError without an id that is a UUID, or without a time: nothing that can be found again follows from it.
    """
    try:
        id_ = checked_id(headers["ce_id"].decode())
        return Cause(
            id=id_,
            time=millis(headers["ce_time"].decode()),
            correlation_id=correlation_of(headers) or id_,
            process=process_of(headers, owner) or key,
            traceparent=trace_of(headers),
            actor=actor_of(headers),
        )
    except KeyError as missing:
        raise DecodeError(f"the record has no {missing.args[0]} header") from None
    except (ValueError, UsageError) as error:
        raise DecodeError(f"a ce_ header cannot be read: {error}") from error


def process_of(headers: Mapping[str, bytes], owner: str) -> str | None:
    """The process of this process manager that a record belongs to, if it belongs to one."""
    manager, _, process = headers.get("ce_processid", b"").partition(b"/")
    return process.decode() if process and manager == owner.encode() else None
