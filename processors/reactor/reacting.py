"""The pure part of a process manager's daemon: a record of the log becomes the commands that follow from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from eventfold.processors.open_slice import place_of
from eventfold.processors.patience import FAULTS
from eventfold.processors.reactor.emitting import Emitted, Emitter, cause_of
from eventfold.producers.process_manager import COMMANDS_LIVE_MS, ProcessManager, Refused
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import as_mapping, header
from eventfold.schemas.errors import DecodeError, EventfoldError, NotFoundError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.own import COMMAND_REFUSED_TYPES
from eventfold.schemas.record import Record


class ReactionError(EventfoldError):
    """A record that cannot be decoded, or on which a reaction failed; the text says where it lies, and why."""


class Reactions:
    """What one process manager does about single records.

    refusals: the topics (with their prefix) that hold refusals; every other one holds events. Each thread needs its own.
    """

    def __init__(self, manager: ProcessManager, emitter: Emitter, codec: Codec, refusals: Collection[str]) -> None:
        self._manager = manager
        self._emitter = emitter
        self._codec = codec
        self._refusals = frozenset(refusals)
        self._decode = codec.reader(manager.reads)
        self._own = f"{manager.name}/".encode()

    def wants(self, record: Record) -> bool:
        """Whether it reacts to records like this one, or cannot tell."""
        if record.topic() in self._refusals:
            return self._is_own(record)
        try:
            return self._codec.decode_wanted(record.value(), self._manager.reads) is not None
        except DecodeError:
            return True

    def of(self, record: Record, expires: int | None = None) -> Sequence[Emitted]:
        """The commands that follow, none for a record that it does not react to; the same ones each time.

        expires: when they are no longer to be decided (ms); seven days after the record was appended, where nothing is
        said. ReactionError for a record that is at fault, or the reaction to it.
        """
        try:
            until = record.timestamp()[1] + COMMANDS_LIVE_MS if expires is None else expires
            return self._refusal(record, until) if record.topic() in self._refusals else self._event(record, until)
        except (*FAULTS, NotFoundError):
            # A Kafka that is away, a topic that is missing: not this record's fault.
            raise
        except DecodeError as error:
            raise ReactionError(f"{place_of(record)}: {error.reason}") from error
        except Exception as error:
            raise ReactionError(f"{place_of(record)}: {self._manager.name} cannot react: {_named(error)}") from error

    def _event(self, record: Record, expires: int) -> Sequence[Emitted]:
        decoded = self._decode(record.value())
        if decoded is None:
            return ()
        type_, data = decoded
        key = _key(record)
        emits = self._manager.reactions[type_](Event(type_, key, data, record))
        if not emits:
            return _none(emits)
        return self._emitter.records(emits, cause_of(as_mapping(record.headers()), key, self._manager.name), expires)

    def _refusal(self, record: Record, expires: int) -> Sequence[Emitted]:
        if not self._is_own(record):
            return ()
        type_, data = self._codec.decode(record.value())
        if type_ not in COMMAND_REFUSED_TYPES:
            raise DecodeError(f"a {type_} among the refusals")
        if data.get("reused"):
            # The command under this id is another one, whose outcome it has or had.
            return ()
        react = self._manager.refusals.get(data["command_type"])
        if react is None:
            return ()
        key = _key(record)
        cause = cause_of(as_mapping(record.headers()), key, self._manager.name)
        emits = react(
            Refused(command=data["command_type"], key=key, process=cause.process, code=data["code"], message=data["message"])
        )
        return self._emitter.records(emits, cause, expires) if emits else _none(emits)

    def _is_own(self, record: Record) -> bool:
        process = header(record.headers(), "ce_processid")
        return process is not None and process.startswith(self._own)


def check_declared(manager: ProcessManager, catalog: Catalog, enabled: Collection[str], deciding: Collection[str]) -> None:
    """UsageError when it reads a domain that is not enabled, or reacts to what none of its domains has."""
    who = f"the process manager {manager.name!r}"
    for domain in manager.domains:
        if domain not in enabled:
            raise UsageError(f"{who} reads {domain!r}, which is not enabled; there are: {', '.join(enabled)}")
    events = [type_ for domain in manager.domains for type_ in catalog.types(domain, "events")]
    commands = [t for domain in manager.domains if domain in deciding for t in catalog.types(domain, "commands")]
    timed = [t for deadline in manager.deadlines.values() for t in (*deadline.starts, *deadline.ends)]
    _among(who, "event", [*manager.reactions, *timed], events)
    _among(who, "command", manager.refusals, commands)


def _among(who: str, kind: str, declared: Iterable[str], there: Collection[str]) -> None:
    for type_ in declared:
        if type_ not in there:
            raise UsageError(f"{who} names {type_!r}, which is no {kind} of its domains; there are: {', '.join(there)}")


def _none(emits: Sequence[object]) -> Sequence[Emitted]:
    """A reaction that forgot to return something is at fault; one that returned nothing on purpose is not."""
    if emits is None:
        raise TypeError("the reaction returned None, not a list of commands")
    return ()


def _key(record: Record) -> str:
    key: bytes | None = record.key()
    if key is None:
        raise DecodeError("the record has no key")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"the key is not UTF-8: {error}") from error


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
