"""From a record to a command: what it asks, under which id, and whether it can be read at all. Needs no ledger.

Whatever Kafka client wrote it, all that is copied from it into the log is checked here, by the definition that every other door
has (eventfold.schemas.ids).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from eventfold.kafka.domain_topics import LARGEST_EVENT
from eventfold.producers.commands import NO_REPLY
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import as_mapping, checked_actor, trace_of
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.fingerprint import Fingerprints
from eventfold.schemas.ids import KEY_LIMIT, checked_id, checked_key, checked_text, scoped_id, shortened
from eventfold.schemas.message import Actor, Message
from eventfold.schemas.record import Record
from eventfold.schemas.times import iso, millis

_LONGEST_TIME = 64
_LONGEST_PROCESS = 2 * KEY_LIMIT


@dataclass(slots=True)
class Asked:
    """A command as it came. One that cannot be read has no message and says in `wrong` why.

    internal: whether it came on the topic that the domain's own processes write. key: the aggregate's id; where the record's
    key is none, a text that stands for it. fingerprint: empty where it cannot be read. scoped: what the id is known by; empty
    where the id cannot be read. of_process: what it was known by if a process manager sent it here, as they did before they
    had a topic of their own; else empty.
    expected_version, expires (ms): where it says so. noreply: nobody waits for its outcome. process_id, traceparent: to be
    handed on.
    """

    record: Record
    internal: bool = False
    key: str = ""
    id: str = ""
    scoped: bytes = b""
    of_process: bytes = b""
    fingerprint: bytes = b""
    message: Message | None = None
    wrong: str = ""
    time: bytes = b""
    expected_version: int | None = None
    expires: int | None = None
    noreply: bool = False
    correlation_id: str = ""
    actor: Actor | None = None
    process_id: bytes = b""
    traceparent: str | None = None


class CommandReader:
    """Reads the commands of one domain. internal: the topic (with its prefix) that its own processes write."""

    def __init__(self, codec: Codec, domain: str, internal: str) -> None:
        self._codec = codec
        self._fingerprints = Fingerprints(codec)
        self._internal = internal
        self._types = frozenset(codec.catalog.types(domain, "commands"))

    def read(self, record: Record) -> Asked:
        """A command and its envelope."""
        headers = as_mapping(record.headers())
        asked = Asked(record, record.topic() == self._internal, noreply=NO_REPLY[0] in headers)
        asked.key, wrong = _key(record.key())
        try:
            asked.id = checked_id(_needed(headers, "ce_id"))
            asked.scoped = scoped_id(asked.id, asked.key, internal=asked.internal)
            if asked.internal:
                asked.process_id = _process(headers)
            elif "ce_processid" in headers:
                asked.of_process = scoped_id(asked.id, asked.key, internal=True)
            if wrong:
                raise DecodeError(wrong)
            self._envelope(asked, headers)
            self._message(asked)
        except DecodeError as error:
            asked.wrong = error.reason
        except UsageError as error:
            asked.wrong = str(error)
        return asked

    def _envelope(self, asked: Asked, headers: Mapping[str, bytes]) -> None:
        if headers.get("ce_subject") != asked.key.encode():
            subject = _needed(headers, "ce_subject")
            raise DecodeError(f"key and ce_subject must be the same id: {asked.key!r}, {shortened(subject)}")
        time = _needed(headers, "ce_time")
        if len(time) > _LONGEST_TIME:
            raise DecodeError(f"the header ce_time has {len(time):,} characters")
        # As every other time is written, whatever else Python takes for one.
        asked.time = iso(millis(time)).encode()
        if "ce_expectedversion" in headers:
            asked.expected_version = _number(headers, "ce_expectedversion")
        if "ce_expirytime" in headers:
            asked.expires = millis(_text(headers, "ce_expirytime"))
        if "ce_correlationid" in headers:
            asked.correlation_id = checked_text(_text(headers, "ce_correlationid"), "a ce_correlationid")
        if "ce_actor" in headers:
            kind = _text(headers, "ce_actorkind") if "ce_actorkind" in headers else None
            asked.actor = checked_actor(_text(headers, "ce_actor"), kind)
        if "traceparent" in headers:
            asked.traceparent = trace_of(headers)

    def _message(self, asked: Asked) -> None:
        value = asked.record.value()
        if value is not None and len(value) > LARGEST_EVENT:
            raise DecodeError(f"the value has {len(value):,} bytes; {LARGEST_EVENT:,} are the most")
        message = self._codec.decode_wanted(value, self._types)
        if message is None:
            raise DecodeError("the value is no command of this domain")
        assert value is not None
        asked.fingerprint = self._fingerprints.of(value, message, asked.key, asked.expected_version, asked.actor)
        asked.message = message.by(asked.actor)


def _key(raw: bytes | str | None) -> tuple[str, str]:
    """The aggregate's id; of a key that is none, a text that stands for it, and why it is none."""
    found = raw.encode(errors="surrogateescape") if isinstance(raw, str) else raw or b""
    try:
        return checked_key(found.decode()), ""
    except UnicodeDecodeError as error:
        why = f"the key is not UTF-8: {error.reason} at byte {error.start}"
    except UsageError as error:
        why = str(error)
    return f"no-key-{hashlib.blake2b(found, digest_size=16).hexdigest()}", why


def _process(headers: Mapping[str, bytes]) -> bytes:
    process = _needed(headers, "ce_processid")
    if not process or len(process) > _LONGEST_PROCESS or not process.isprintable():
        raise DecodeError(f"the header ce_processid is none: {shortened(process)}")
    return process.encode()


def _needed(headers: Mapping[str, bytes], name: str) -> str:
    if name not in headers:
        raise DecodeError(f"the record has no {name} header")
    return _text(headers, name)


def _text(headers: Mapping[str, bytes], name: str) -> str:
    try:
        return headers[name].decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"the header {name} is not UTF-8: {error.reason} at byte {error.start}") from None


def _number(headers: Mapping[str, bytes], name: str) -> int:
    text = headers[name]
    if len(text) > 18 or not text.isdigit():
        raise DecodeError(f"the header {name} is no version: up to 18 digits")
    return int(text)
