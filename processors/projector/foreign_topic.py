"""What is declared of the records of a topic that others write: which are events, of which type and version, of which key."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple

from eventfold.projections.foreign import Bare, Foreign
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.record import Record


class ForeignEvent(NamedTuple):
    """What a record is, for people. version: of the schema it was written with, 0 for one that only a registry has. data: JSON,
    in the form of the newest version.
    """

    key: str
    type: str
    version: int
    data: dict[str, Any]


class ForeignTopic:
    """Asks a declaration about records of its topic. DecodeError for what it cannot tell of one.

    UsageError for a type or version that the catalog does not have.
    """

    def __init__(self, declared: Foreign, codec: Codec) -> None:
        self.declared = declared
        self._codec = codec.calling(declared.types) if declared.types else codec
        self._readers: dict[Bare, Callable[[bytes | None], tuple[str, dict[str, Any]]]] = {}
        if isinstance(declared.bare, Bare):
            self._reader(declared.bare)

    def is_event(self, record: Record) -> bool:
        """Whether a record is one of those that are read at all."""
        only = self.declared.only
        return only is None or bool(_asked("whether it is an event", only, record))

    def message(self, record: Record, wanted: Container[str] | None = None) -> tuple[str, dict[str, Any]] | None:
        """Type and data, in the form of the newest version; None for a type that is not wanted."""
        bare = self._bare(record)
        if bare is None:
            return self._codec.decode_wanted(record.value(), wanted)
        try:
            read = self._reader(bare)
        except UsageError as error:
            raise DecodeError(str(error)) from error
        return None if wanted is not None and bare.type not in wanted else read(record.value())

    def event(self, record: Record) -> ForeignEvent:
        """All that can be told of a record; DecodeError also for one that is no event."""
        if not self.is_event(record):
            raise DecodeError("it is no event, as its projection declares it")
        message = self.message(record)
        assert message is not None
        type_, data = message
        key = self.key(record) if self.declared.data_key is None else self.data_key(data)
        bare = self._bare(record)
        version = self._codec.written(record.value()).version if bare is None else bare.version
        return ForeignEvent(key, type_, version, self._codec.to_json(type_, data))

    def key(self, record: Record) -> str:
        """The event's key by that of the record."""
        return _text(_asked("its key", self.declared.key, record.key()))

    def data_key(self, data: dict[str, Any]) -> str:
        """The event's key by its data, where it is declared so."""
        return _text(_asked("its key", self.declared.data_key, data))

    def _bare(self, record: Record) -> Bare | None:
        """What a value without a marker is; None where values say it themselves."""
        bare = self.declared.bare
        if bare is None or isinstance(bare, Bare):
            return bare
        found: Bare | None = _asked("its type", bare, record)
        if found is None:
            raise DecodeError("its type cannot be told")
        return found

    def _reader(self, bare: Bare) -> Callable[[bytes | None], tuple[str, dict[str, Any]]]:
        if bare not in self._readers:
            self._readers[bare] = self._codec.bare(bare.type, bare.version)
        return self._readers[bare]


def _asked(what: str, function: Any, given: Any) -> Any:
    """What a declared function says; DecodeError where it raises."""
    try:
        return function(given)
    except Exception as error:
        raise DecodeError(f"{what} cannot be told: {type(error).__name__}: {error}") from error


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise DecodeError("the record has no key" if key is None else f"its key is no text, but {key!r}")
    return key
