"""Adds samples to a recorded history: commands, decided by the pure decider, without Kafka, and events as they are given.

A line of the input is a JSON object: `type`, `key` and `data` (times, dates and decimals as text); `version`, to write an
older version than the newest, in the form of which the data then is; `time`, when it happened (RFC 3339), else now.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, cast

from eventfold.processors.handler.asked import CommandReader
from eventfold.processors.handler.decide import Decided, Encoded
from eventfold.processors.handler.records import Records
from eventfold.producers.decider import Refusal, State, evolved
from eventfold.schemas import container, own
from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.envelope import Envelope
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.forms.form import Form
from eventfold.schemas.ids import checked_key, derived_id
from eventfold.schemas.json_text import parse_json
from eventfold.schemas.message import Message
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.record import ProducerRecord, Record
from eventfold.schemas.times import millis
from eventfold.schemas.writing import written
from eventfold.tools.history_check.replay import Today
from eventfold.tools.history_check.samples import History, Sample, Slice

# Of the former name, so that what was recorded then can be recorded again.
_IDS = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{own.FORMER}:recorded"))
_SOURCE = "/eventfold/recorded"
_KEYS = {"type", "key", "data", "version", "time"}


class Recording:
    """A history that grows; nothing is written before `history` is."""

    def __init__(self, history: History, today: Today) -> None:
        self._today = today
        self._history = history
        self._slices = {slice_: list(samples) for slice_, samples in history.slices.items()}
        self._states: dict[tuple[str, str], tuple[int, State]] = {}
        self.added: dict[Slice, int] = {}
        for (topic, _), samples in history.slices.items():
            domain, _, kind = topic.partition(".")
            if kind == "events":
                for sample in samples:
                    self._evolve(domain, (sample.key() or b"").decode(), today.codec.decode(sample.value()))

    @property
    def history(self) -> History:
        """The samples that were there, and those that were added."""
        return History(self._history.folder, dict(sorted(self._slices.items())), self._history.schemas)

    def add(self, lines: Iterable[bytes], name: str) -> None:
        """Take up the lines of a file of this name; UsageError names the first one that cannot be."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    self._add(_json(line))
                except EventfoldError as error:
                    raise UsageError(f"{name} line {number}: {error}") from None
                except Exception as error:  # of the domain's own code
                    raise UsageError(f"{name} line {number}: {type(error).__name__}: {error}") from error

    def _add(self, given: Any) -> None:
        if not isinstance(given, dict) or not {"type", "key", "data"} <= set(given) <= _KEYS:
            raise UsageError("it must be an object with type, key and data, and may have version and time; nothing else")
        for name, kind, what in (("key", str, "text"), ("data", dict, "an object")):
            if not isinstance(given[name], kind):
                raise UsageError(f"the {name} must be {what}, not {given[name]!r}")
        message = self._version(given)
        at = millis(given["time"]) if "time" in given else time.time_ns() // 1_000_000
        data = Form(message).read(given["data"])
        value = written(self._today.codec.catalog, message.type, message.version, data)
        key, domain = checked_key(given["key"]), message.domain
        slice_ = f"{domain}.{message.kind}", partition_of(key, self._history.partitions(f"{domain}.events"))
        is_event = message.kind == "events"
        envelope = Envelope(
            id=derived_id(_IDS, f"{slice_[0]}/{slice_[1]}@{self._next(slice_)}"),
            type=message.type,
            source=_SOURCE,
            time=at,
            subject=key,
            sequence=self._evolve(domain, key, self._today.codec.decode(value)) if is_event else None,
        )
        sample = self._append(slice_, ProducerRecord(slice_[0], key, value, envelope.to_headers()), at)
        if not is_event:
            self._decide(domain, sample, at)

    def _version(self, given: Mapping[str, Any]) -> MessageSchema:
        versions = {message.version: message for message in self._today.codec.catalog.versions(str(given["type"]))}
        version = given.get("version", max(versions))
        if version not in versions:
            raise UsageError(f"{given['type']} has no version {version!r}; there are: {', '.join(map(str, versions))}")
        return versions[version]

    def _decide(self, name: str, sample: Sample, at: int) -> None:
        domain, codec = self._today.domains.get(name), self._today.codec
        if domain is None:
            raise UsageError(f"the domain {name!r} has no decider, so nobody decides its commands")
        asked = CommandReader(codec, name, Names().internal(name)).read(cast(Record, sample))
        if asked.message is None:
            raise UsageError(asked.wrong)
        version, state = self._states.get((name, asked.key), (0, domain.decider.initial()))
        decision = domain.decider.decide(state, asked.message)
        records = Records(name, Names(), codec)
        if isinstance(decision, Refusal):
            found = [records.refusal(Decided(asked, refusal=decision, version=version))]
        else:
            events = [Encoded(event.type, codec.encode(event.type, event.data)) for event in decision]
            found = records.events(Decided(asked, events=events, version=version + len(events)))
        for record in found:
            if not isinstance(decision, Refusal):
                self._evolve(name, asked.key, codec.decode(record.value))
            self._append((record.topic, sample.partition()), record, at)

    def _evolve(self, name: str, key: str, event: Message) -> int | None:
        """The version of the aggregate after its event; None where nobody decides."""
        domain = self._today.domains.get(name)
        if domain is None:
            return None
        version, state = self._states.get((name, key), (0, domain.decider.initial()))
        self._states[name, key] = version + 1, evolved(domain.decider, state, event)
        return version + 1

    def _append(self, slice_: Slice, record: ProducerRecord, at: int) -> Sample:
        headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in record.headers]
        key = record.key.encode() if isinstance(record.key, str) else record.key
        row = container.Record(self._next(slice_), at, "create", key, headers, record.value)
        sample = Sample(self._history.path(slice_), slice_, row)
        self._slices.setdefault(slice_, []).append(sample)
        self.added[slice_] = self.added.get(slice_, 0) + 1
        return sample

    def _next(self, slice_: Slice) -> int:
        samples = self._slices.get(slice_)
        return samples[-1].offset() + 1 if samples else 0


def _json(line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from None
