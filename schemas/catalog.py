"""The catalog: every version of every message, and the upcasters between them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from eventfold.schemas import files, own, plugins
from eventfold.schemas.errors import DecodeError, EventfoldError, UsageError
from eventfold.schemas.json_text import parse_json
from eventfold.schemas.legal import check_legal, full_name
from eventfold.schemas.upcasting import Upcaster

_FILE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\.v(?P<version>[1-9][0-9]*)\.avsc")
_LARGEST = 1 << 20
_KINDS = ("commands", "events")
_OWN = {name: Path(__file__).parent / name for name in own.NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSchema:
    """One version of one message: the text of one .avsc file.

    `kind` is `commands` or `events`, by the folder it lies in; `domain` is who declared it.
    """

    type: str
    version: int
    kind: str
    domain: str
    path: Path
    schema: Mapping[str, Any]


def message_of(schema: object, what: str) -> MessageSchema:
    """A schema that is no file of the catalog's, as a version 0 of its type; DecodeError when it is no Avro record.

    what: where it comes from, in words.
    """
    if not isinstance(schema, Mapping) or not is_record(schema):
        raise DecodeError(f"{what} is no Avro record")
    full = full_name(schema)
    domain = full.rpartition(".")[0]
    return MessageSchema(type=full, version=0, kind="registry", domain=domain, path=Path(what), schema=schema)


def is_record(schema: object) -> bool:
    """Whether a schema is that of a record."""
    return isinstance(schema, Mapping) and schema.get("type") == "record"


class Catalog:
    """All schemas of the given folders, one `<Name>.v<N>.avsc` a version under `commands/` and `events/`.

    `upcasters` has them by the type and the version that they begin at.
    EventfoldError names the file when one is not valid JSON, does not match its file's name, is no legal schema, or stands
    twice. UsageError names an upcaster of a version that there is not, of the newest one, or of one that has an upcaster
    already.
    """

    def __init__(self, folders: Mapping[str, Path], upcasters: Sequence[Upcaster] = ()) -> None:
        self.schemas: list[MessageSchema] = []
        for domain, folder in folders.items():
            self.schemas.extend(read_schema(domain, kind, path) for kind, path in schema_files(folder))
        self._versions: dict[str, dict[int, MessageSchema]] = {}
        for schema in self.schemas:
            other = self._versions.setdefault(schema.type, {}).setdefault(schema.version, schema)
            if other is not schema:
                raise EventfoldError(f"{schema.path}: {schema.type} version {schema.version} stands in {other.path} too")
        for _, wrong in wrong_upcasters(self._versions, upcasters):
            raise UsageError(wrong)
        self.upcasters = {(declared.type, declared.version): declared for declared in upcasters}

    @classmethod
    def installed(cls, domains: Iterable[str]) -> Catalog:
        """The catalog of the installed domains and of eventfold's own messages."""
        return cls(*installed(domains))

    @property
    def writable(self) -> list[MessageSchema]:
        """Those that may be written: all but our own of the former name, which are only read."""
        return [schema for schema in self.schemas if schema.domain != own.FORMER]

    def newest(self, type_: str) -> MessageSchema:
        """The newest version of a type; UsageError when the catalog has none."""
        return self.versions(type_)[-1]

    def versions(self, type_: str) -> list[MessageSchema]:
        """All versions of a type, the oldest first; UsageError when the catalog has none."""
        try:
            return [schema for _, schema in sorted(self._versions[type_].items())]
        except KeyError:
            raise UsageError(f"no schema is called {type_!r}; there are: {', '.join(sorted(self._versions))}") from None

    def types(self, domain: str, kind: str) -> list[str]:
        """The types of one kind that a domain declares, in the order of the alphabet."""
        return sorted({s.type for s in self.schemas if s.domain == domain and s.kind == kind})


def installed(domains: Iterable[str]) -> tuple[dict[str, Path], list[Upcaster]]:
    """The folders of the installed domains and of eventfold's own messages, and all upcasters; UsageError for a domain that
    declares something else.
    """
    folders, upcasters = dict(_OWN), list[Upcaster]()
    for domain in domains:
        package = plugins.load(plugins.SCHEMAS, domain)
        if not isinstance(package, ModuleType) or package.__file__ is None:
            raise UsageError(f"the domain {domain!r} declares no package of schemas in {plugins.SCHEMAS}")
        folders[domain] = Path(package.__file__).parent
        upcasters.extend(_upcasters(domain, package))
    return folders, upcasters


def wrong_upcasters(versions: Mapping[str, Collection[int]], upcasters: Iterable[Upcaster]) -> Iterator[tuple[Upcaster, str]]:
    """What is wrong with upcasters, a sentence each: one of a version that there is not, of the newest one, of one that has
    another. versions: those there are, by type.
    """
    found: dict[tuple[str, int], Upcaster] = {}
    for declared in upcasters:
        type_, version = declared.type, declared.version
        what = f"the upcaster {declared.name!r} of {type_} version {version}"
        other = found.setdefault((type_, version), declared)
        if other is not declared:
            yield declared, f"{what}: that version has another one, {other.name!r}"
            continue
        there = versions.get(type_, ())
        for needed in (version, version + 1):
            if needed not in there:
                says = f"there are: {', '.join(map(str, sorted(there)))}" if there else f"no schema is called {type_!r}"
                yield declared, f"{what}: there is no version {needed}; {says}"
                break


def _upcasters(domain: str, package: ModuleType) -> Sequence[Upcaster]:
    """What a domain's package of schemas declares as `upcasters`, if it does."""
    found = getattr(package, "upcasters", ())
    # A module of this name, which importing `<package>.upcasters` leaves in the package, is no declaration either.
    if not isinstance(found, Sequence) or not all(isinstance(each, Upcaster) for each in found):
        raise UsageError(
            f"{package.__name__}.upcasters of the domain {domain!r} is no list of eventfold.schemas.upcasting.upcaster"
        )
    return found


def schema_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The .avsc files of a domain's package of schemas, each with its kind: the folder it lies in."""
    for kind in _KINDS:
        yield from ((kind, path) for path in sorted((folder / kind).glob("*.avsc")))


def read_schema(domain: str, kind: str, path: Path) -> MessageSchema:
    """One version of a message; EventfoldError names the file when it is not valid JSON, does not match its name, or is illegal
    (`schemas.legal`).
    """
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise EventfoldError(f"{path}: a schema's file is called <Name>.v<version>.avsc")
    try:
        schema = parse_json(files.content(path, _LARGEST))
    except OSError as error:
        raise EventfoldError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EventfoldError(f"{path}: not JSON: {error}") from error
    if not is_record(schema):
        raise EventfoldError(f"{path}: must hold a record called {match['name']!r}")
    namespace, _, name = full_name(schema).rpartition(".")
    if name != match["name"]:
        raise EventfoldError(f"{path}: must hold a record called {match['name']!r}")
    if namespace != domain:
        raise EventfoldError(f"{path}: the namespace must be the domain, {domain!r}")
    check_legal(schema, path)
    return MessageSchema(
        type=f"{domain}.{match['name']}", version=int(match["version"]), kind=kind, domain=domain, path=path, schema=schema
    )
