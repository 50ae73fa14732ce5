"""The codec: messages as bytes and back, each in the form of the newest version of its type, whatever version was written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from eventfold.schemas.catalog import Catalog, MessageSchema
from eventfold.schemas.errors import DecodeError, EventfoldError, UsageError
from eventfold.schemas.forms.kept import restored
from eventfold.schemas.framing import BRANCH, LONG, MARKER, SHORT, Framing, SingleObject
from eventfold.schemas.logical import is_flat
from eventfold.schemas.message import Message
from eventfold.schemas.parsed import Parsed, fingerprint, parse
from eventfold.schemas.pattern import Patterns
from eventfold.schemas.resolution import Read, reads, resolved
from eventfold.schemas.upcasting import Upcaster
from eventfold.schemas.writing import Writer

Decode = Callable[[bytes | None], tuple[str, dict[str, Any]] | None]
# What a NamedTuple's own constructor does, in a third of the time; it runs once an event.
_message: Callable[[tuple[str, Any]], Message] = partial(tuple.__new__, Message)


class _Written(NamedTuple):
    """What a header says: the type, where the body begins, how it is read.

    versions: from the one that was written to the newest one. upcasters: between them, by the version they begin at.
    """

    type: str
    start: int
    read: Read
    versions: Sequence[Parsed]
    upcasters: Mapping[int, Upcaster]


class Codec:
    """Encodes with the newest version of a type, and decodes every version as data of the newest one.

    framing: how a message says which schema it was written with; single-object encoding if not given.
    EventfoldError for a schema that is none, or that an older one cannot become without an upcaster.
    """

    def __init__(self, catalog: Catalog, framing: Framing | None = None) -> None:
        self.catalog = catalog
        self._framing: Framing = SingleObject(catalog) if framing is None else framing
        self._versions: dict[str, list[Parsed]] = {}
        for type_ in sorted({message.type for message in catalog.schemas}):
            self._versions[type_] = [parse(message) for message in catalog.versions(type_)]
        # What others call a type, whose schemas a registry gives.
        self._aliases = {alias: type_ for type_, versions in self._versions.items() for alias in _aliases(versions[-1])}
        # Made when they are needed: nobody writes all types.
        self._writers: dict[str, Writer] = {}
        self._headers: dict[str, bytes] = {}
        self._written = {header: self._known(header, message) for header, message in self._framing.known().items()}
        self._patterns = Patterns()
        # By the headers that were met so far: a pattern takes a few milliseconds to make.
        self._met: dict[bytes, tuple[str, int, Read]] = {}

    def load(self) -> None:
        """Ask for whatever encoding and decoding the catalog's versions may need, so that nothing is asked for later.

        Errors as the framing has them.
        """
        for header, message in self._framing.load().items():
            if header not in self._written:
                self._written[header] = self._known(header, message)

    def calling(self, types: Mapping[str, str]) -> Codec:
        """The same codec for messages whose records others call differently: their full names, and the types that they are.

        A body in single-object encoding is read where their schema is that of any version but for the record's name, and names
        that follow from its namespace; one by a registry's id as always. UsageError for a type that the catalog does not have.
        """
        found = copy(self)
        found._aliases, found._written, found._met = {**self._aliases, **types}, dict(self._written), {}
        for theirs, type_ in types.items():
            for version in self.catalog.versions(type_):
                called = {name: of for name, of in version.schema.items() if name != "namespace"} | {"name": theirs}
                header = MARKER + fingerprint(replace(version, schema=called))
                found._written[header] = found._known(header, version)
        return found

    def encode(self, type_: str, data: Mapping[str, Any]) -> bytes:
        """The bytes of a message in the newest version of its type.

        data: Python's own values, as docs/schemas.md has them in a table: what it takes, `decode` gives back as an equal value,
        but that a float has 32 bits, and a time no digits beyond its unit. UsageError when the catalog has no such type;
        WrongDataError, which is one, has all wrong fields as `faults`.
        """
        header = self._headers.get(type_)
        if header is None:
            header = self._headers[type_] = self._framing.header(self.catalog.newest(type_))
        return self._writer(type_).write(header, data)

    def check(self, type_: str, data: Mapping[str, Any]) -> None:
        """Errors as `encode`, which writes what passes."""
        self._writer(type_).form.take(data)

    def from_json(self, type_: str, data: Any) -> dict[str, Any]:
        """What came as JSON, checked, as the data that `encode` takes and `decode` gives back.

        Times and dates (RFC 3339), decimals (`100.00`) and bytes (a character a byte) are text in JSON; a time or a date may
        also be the int that a message holds. In a union the first branch that fits has the value. What it takes, `encode`
        writes; `schemas.json_schema` says what that is.
        UsageError when the catalog has no such type; WrongDataError, which is one, has all wrong fields as `faults`.
        """
        return self._writer(type_).form.read(data)

    def restored(self, type_: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Data as it was read, of what `schemas.forms.kept.kept` made of it for a row; it may have only some of the fields."""
        found: dict[str, Any] = restored(self._writer(type_).form.root, kept)
        return found

    def to_json(self, type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of `from_json`, as `shown` has it. UsageError when the catalog has no such type."""
        return self._writer(type_).form.show(data)

    def decode(self, value: bytes | None) -> Message:
        """The message in `value`, in the form of the newest version of its type, whichever version it was written in.

        DecodeError for a missing or foreign header, an unknown schema, a cut or overlong body, one that does not resolve to
        the newest version, an upcaster that fails.
        """
        message = self.decode_wanted(value, None)
        assert message is not None
        return message

    def bare(self, type_: str, version: int) -> Callable[[bytes | None], Message]:
        """A function like `decode` for values that are nothing but a body, written with this version of a type, as others write
        them. UsageError when the catalog has no such version.
        """
        found = [message for message in self.catalog.versions(type_) if message.version == version]
        if not found:
            raise UsageError(f"{type_} has no version {version}")
        read = _fast(self._known(b"", found[0]), self._patterns, None)

        def decode(value: bytes | None) -> Message:
            if value is None:
                raise DecodeError("the record has no value")
            return _message((type_, read(value, 0)))

        return decode

    def shown(self, value: bytes | None) -> Message:
        """As `decode`, but with data that is JSON for people, as `from_json` reads it: times, dates and decimals (with all
        their digits, `100.0000`) as text, a number that no calendar shows as it is; bytes as Avro's JSON has them, a
        character a byte.
        """
        type_, data = self.decode(value)
        return _message((type_, self.to_json(type_, data)))

    def written(self, value: bytes | None) -> MessageSchema:
        """The schema that `value` was written with, by its header alone; DecodeError as `decode`."""
        return self._find(value).versions[0].message

    def as_written(self, value: bytes, message: Message) -> tuple[Parsed, dict[str, Any]]:
        """The version that `value` was written with, and its data in that version's form.

        message: what `decode` made of it, which is the same where the newest version was written.
        """
        written = self._written.get(value[:LONG]) or self._written.get(value[:SHORT]) or self._find(value)
        first = written.versions[0]
        if len(written.versions) == 1:
            return first, message.data
        return first, resolved(first, first)(value, written.start)

    def header(self, value: bytes) -> bytes:
        """What stands before the body; DecodeError as `decode`."""
        return value[: self._find(value).start]

    def decode_wanted(self, value: bytes | None, wanted: Container[str] | None) -> Message | None:
        """As `decode`, but None for a type that is not wanted, whose body is not looked at; None wants all."""
        if value is None:
            raise DecodeError("the record has no value")
        met = self._met
        type_, start, read = met.get(value[:LONG]) or met.get(value[:SHORT]) or self._prepared(value)
        if wanted is not None and type_ not in wanted:
            return None
        return _message((type_, read(value, start)))

    def reader(self, wanted: Mapping[str, Collection[str] | None]) -> Decode:
        """A function like `decode_wanted`, several times as fast, for messages of which only some fields are read.

        It returns the same, but as a plain pair of type and data, since it is called once an event.
        wanted: which fields of each type the data holds; None for all. UsageError for a field that the newest version does
        not have. What is left out is checked as if it was read.
        It remembers what it decoded (see eventfold.schemas.pattern); several threads may use it.
        """
        fields = {type_: self._checked(type_, names) for type_, names in wanted.items()}
        patterns = Patterns()
        met: dict[bytes, tuple[str, int, Read | None]] = {}

        def prepare(value: bytes) -> tuple[str, int, Read | None]:
            if (branch := met.get(value[:BRANCH])) is not None:
                return branch
            written = self._find(value)
            type_, start = written.type, written.start
            read = _fast(written, patterns, fields[type_]) if type_ in fields else None
            found = met[value[:start]] = (type_, start, read)
            return found

        def decode(value: bytes | None) -> tuple[str, dict[str, Any]] | None:
            if value is None:
                raise DecodeError("the record has no value")
            type_, start, read = met.get(value[:LONG]) or met.get(value[:SHORT]) or prepare(value)
            return None if read is None else (type_, read(value, start))

        return decode

    def flat(self, types: Iterable[str]) -> frozenset[str]:
        """Which of these types the catalog has, with data that holds neither lists nor objects."""
        return frozenset(type_ for type_ in types if type_ in self._versions and is_flat(self._versions[type_][-1].schema))

    def _writer(self, type_: str) -> Writer:
        writer = self._writers.get(type_)
        if writer is None:
            self.catalog.newest(type_)  # UsageError for a type that there is not
            writer = self._writers[type_] = Writer(self._versions[type_][-1])
        return writer

    def _find(self, value: bytes | None) -> _Written:
        """What the header of a value says; of one that is met for the first time the framing is asked."""
        if value is None:
            raise DecodeError("the record has no value")
        found = next((of for size in (LONG, SHORT, BRANCH) if (of := self._written.get(value[:size])) is not None), None)
        if found is None:
            header, message = self._framing.unknown(value)
            try:
                found = self._written[header] = self._known(header, message)
            except EventfoldError as error:
                raise DecodeError(str(error)) from error
        return found

    def _known(self, header: bytes, message: MessageSchema) -> _Written:
        type_ = self._aliases.get(message.type, message.type)
        versions = self._versions.get(type_)
        if versions is None:
            raise DecodeError(f"no schema in the catalog is called {message.type!r}, or has it as an alias")
        place = next((place for place, version in enumerate(versions) if version.message is message), None)
        if place is None:
            on, upcasters = [parse(message), _called(versions[-1], message.type)], dict[int, Upcaster]()
        else:
            on, declared = versions[place:], self.catalog.upcasters
            upcasters = {version: of for (of_type, version), of in declared.items() if of_type == type_}
            upcasters = {version: of for version, of in upcasters.items() if version >= message.version}
        return _Written(type_, len(header), reads(on, upcasters), on, upcasters)

    def _prepared(self, value: bytes) -> tuple[str, int, Read]:
        if (branch := self._met.get(value[:BRANCH])) is not None:
            return branch
        written = self._find(value)
        start = written.start
        found = self._met[value[:start]] = (written.type, start, _fast(written, self._patterns, None))
        return found

    def _checked(self, type_: str, names: Collection[str] | None) -> frozenset[str] | None:
        """Fields that are wanted of a type; one that the catalog does not have at all is nobody's mistake."""
        if names is None:
            return None
        there = {field["name"] for field in self._versions[type_][-1].schema["fields"]} if type_ in self._versions else names
        missing = sorted(set(names) - set(there))
        if missing:
            raise UsageError(f"{type_} has no field {missing[0]!r}; it has: {', '.join(sorted(there))}")
        return frozenset(names)


def _aliases(newest: Parsed) -> list[str]:
    """The full names that a record has as aliases (Avro specification, "Aliases")."""
    schema, namespace = newest.message.schema, newest.message.domain
    return [alias if "." in alias else f"{namespace}.{alias}" for alias in schema.get("aliases", ())]


def _called(newest: Parsed, name: str) -> Parsed:
    """The newest version, with the name of a writer's record as an alias where it has another one, as resolution asks for."""
    if name in (newest.message.type, *_aliases(newest)):
        return newest
    schema = newest.message.schema
    return parse(replace(newest.message, schema={**schema, "aliases": [*schema.get("aliases", ()), name]}))


def _fast(written: _Written, patterns: Patterns, names: Collection[str] | None) -> Read:
    """How these fields (None: all) of what was written are read: by patterns, where they are enough."""
    slow, versions = written.read, written.versions
    if written.upcasters:
        slow = reads(versions, written.upcasters, lambda at, to: patterns.leg(at, to, None, resolved(at, to)))
    read = (
        slow if names is None else lambda value, start: {name: of for name, of in slow(value, start).items() if name in names}
    )
    return read if written.upcasters else patterns.leg(versions[0], versions[-1], names, read)
