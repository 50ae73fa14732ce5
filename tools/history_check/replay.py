"""Reads and folds a recorded history by today's code.

What was ever written must be decoded, become the newest version, and be folded by every projection that reads its topic, by
the decider whose events it holds, and be answered by the process managers. What comes out is compared by `results`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from eventfold.processors.projector.one_by_one import decoded
from eventfold.processors.reactor.in_memory import reacted
from eventfold.producers.decider import evolved
from eventfold.producers.domain import Domain
from eventfold.producers.process_manager import ProcessManager
from eventfold.projections.fold import FoldError
from eventfold.projections.in_memory import folded
from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.compatibility.problem import Problem
from eventfold.schemas.errors import DecodeError, EventfoldError
from eventfold.schemas.event import Event
from eventfold.schemas.framing import header_of
from eventfold.schemas.own import NAME
from eventfold.schemas.parsed import parse
from eventfold.schemas.record import Record
from eventfold.schemas.resolution import resolved
from eventfold.schemas.writing import written
from eventfold.tools.history_check.results import Result, Results
from eventfold.tools.history_check.samples import History, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """Today's code: what a history is replayed by."""

    codec: Codec
    projections: Sequence[Projection]
    domains: Mapping[str, Domain]
    process_managers: Sequence[ProcessManager]


def replay(history: History, today: Today) -> tuple[list[Problem], Results]:
    """All that goes wrong, and what the samples are folded into.

    Samples that cannot be decoded are a problem each; their partition is not folded, since the rest of it would fail too.
    """
    problems = []
    readable = {}
    for slice_, samples in history.slices.items():
        if wrong := [problem for sample in samples for problem in _undecodable(today.codec, sample)]:
            problems += wrong
        else:
            readable[slice_] = samples
    replaying = _Replaying(History(history.folder, readable), today)
    results = Results(
        projections={each.name: replaying.projected(each) for each in today.projections},
        deciders={name: replaying.evolved(domain) for name, domain in today.domains.items()},
    )
    for manager in today.process_managers:
        replaying.react(manager)
    return problems + replaying.problems, results


def uncovered(history: History, codec: Codec, domains: Sequence[str]) -> list[Problem]:
    """The versions of these domains' messages of which there is no sample; of eventfold's own, the newest is enough."""
    there = set()
    for samples in history.slices.values():
        for sample in samples:
            try:
                there.add(codec.written(sample.value()).path)
            except DecodeError:
                continue  # a problem of the replay
    return [
        Problem(
            history.folder, f"no sample of {message.type} version {message.version}: add one with `eventfold schemas record`"
        )
        for message in codec.catalog.schemas
        if message.domain in domains and message.path not in there
        if message.domain != NAME or message is codec.catalog.newest(message.type)
    ]


def _undecodable(codec: Codec, sample: Sample) -> Iterator[Problem]:
    """Why a sample, or one like it in which what may be null is null, cannot be decoded."""
    try:
        codec.decode(sample.value())
        for name, value in _with_nulls(codec, sample):
            try:
                codec.decode(value)
            except DecodeError as error:
                yield Problem(sample.file, f"{sample}: with null as {name!r}: {error.reason}")
    except DecodeError as error:
        yield Problem(sample.file, f"{sample}: {error.reason}")


def _with_nulls(codec: Codec, sample: Sample) -> Iterator[tuple[str, bytes]]:
    """What an upcaster ahead of it must cope with as well: each field that may be null, null."""
    value = sample.value() or b""
    message = codec.written(value)
    if not any(type_ == message.type and version >= message.version for type_, version in codec.catalog.upcasters):
        return
    parsed = parse(message)
    data = resolved(parsed, parsed)(value, len(header_of(value)))
    for field in message.schema["fields"]:
        name, type_ = field["name"], field["type"]
        if isinstance(type_, list) and "null" in type_ and data[name] is not None:
            nulled = {**data, name: None}
            yield name, written(codec.catalog, message.type, message.version, nulled, as_written=True)


class _Replaying:
    """Folds samples, and collects what fails."""

    def __init__(self, history: History, today: Today) -> None:
        self._history = history
        self._today = today
        self.problems: list[Problem] = []

    def projected(self, projection: Projection) -> Result | None:
        """The rows of each slice that a projection reads; None where one cannot be folded."""
        result = Result(version=projection.version)
        for slice_, events in self._events(projection.name, projection.topics, lambda codec: codec.reader(projection.reads)):
            try:
                result.slices[slice_] = folded(projection, events)
            except FoldError as error:
                self._wrong(error.offset, events, f"the projection {projection.name!r} fails: {error.reason}")
                return None
        return result

    def evolved(self, domain: Domain) -> Result | None:
        """The state of each aggregate; None where one cannot be folded."""
        decider = domain.decider
        result = Result(version=decider.version)
        topics = [f"{domain.name}.events"]
        for slice_, events in self._events(domain.name, topics, lambda codec: codec.decode):
            states: dict[str, Any] = {}
            versions: dict[str, int] = {}
            for event in events:
                key = event.key
                try:
                    states[key] = evolved(decider, states.get(key, decider.initial()), event.message)
                    versions[key] = versions.get(key, 0) + 1
                    if event.envelope.sequence != versions[key]:
                        raise EventfoldError(f"it is event {event.envelope.sequence} of {key!r}, where {versions[key]} must be")
                except Exception as error:
                    what = f"the decider of {domain.name!r} cannot fold {event.type}: {type(error).__name__}: {error}"
                    self._wrong(event.position.offset, events, what)
                    return None
            result.slices[slice_] = {"states": states}
        return result

    def react(self, manager: ProcessManager) -> None:
        """Let a process manager answer every event; what it emits must be commands of today."""
        topics = [f"{domain}.events" for domain in manager.domains]
        for _, events in self._events(manager.name, topics, lambda codec: codec.reader(manager.reads)):
            for event in events:
                try:
                    reacted(manager, event, self._today.codec)
                except Exception as error:
                    what = f"the process manager {manager.name!r} fails on {event.type}: {type(error).__name__}: {error}"
                    self._wrong(event.position.offset, events, what)
                    return

    def _events(
        self, name: str, topics: Sequence[str], decoder: Callable[[Codec], Callable[[bytes | None], Any]]
    ) -> Iterator[tuple[str, list[Event]]]:
        try:
            decode = decoder(self._today.codec)
        except EventfoldError as error:
            self.problems.append(Problem(self._history.folder, f"{name!r} cannot read today's schemas: {error}"))
            return
        for (topic, partition), samples in self._history.slices.items():
            if topic in topics:
                try:
                    yield f"{topic}/{partition}", decoded(decode, cast(Sequence[Record], samples))
                except DecodeError as error:
                    self.problems.append(Problem(samples[0].file, f"offset {error.offset}: {error.reason}"))

    def _wrong(self, offset: int, events: Sequence[Event], says: str) -> None:
        sample = next(cast(Sample, event.record) for event in events if event.position.offset == offset)
        self.problems.append(Problem(sample.file, f"{sample}, key {(sample.key() or b'').decode()!r}: {says}"))
