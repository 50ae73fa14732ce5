"""The catalog: every version of every message, found by type or by fingerprint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from schemas import plugins
from schemas.errors import LogfoldError, UsageError

_FILE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\.v(?P<version>[1-9][0-9]*)\.avsc")
_KINDS = ("commands", "events")
_OWN = Path(__file__).parent / plugins.OWN


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


class Catalog:
    """All schemas of the given folders, one `<Name>.v<N>.avsc` a version under `commands/` and `events/`.

    LogfoldError names the file when one is not valid JSON, does not match its file's name, or stands twice.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.schemas: list[MessageSchema] = []
        for domain, folder in folders.items():
            self.schemas.extend(_read_folder(domain, folder))
        self._newest: dict[str, MessageSchema] = {}
        for schema in self.schemas:
            other = self._newest.get(schema.type)
            if other is not None and other.version == schema.version:
                raise LogfoldError(f"{schema.path}: {schema.type} version {schema.version} stands in {other.path} too")
            if other is None or other.version < schema.version:
                self._newest[schema.type] = schema

    @classmethod
    def installed(cls, domains: Iterable[str]) -> Catalog:
        """The catalog of the installed domains and of logfold's own messages."""
        folders = {plugins.OWN: _OWN}
        for domain in domains:
            package = plugins.load(plugins.SCHEMAS, domain)
            if not isinstance(package, ModuleType) or package.__file__ is None:
                raise UsageError(f"the domain {domain!r} declares no package of schemas in {plugins.SCHEMAS}")
            folders[domain] = Path(package.__file__).parent
        return cls(folders)

    def newest(self, type_: str) -> MessageSchema:
        """The newest version of a type; UsageError when the catalog has none."""
        try:
            return self._newest[type_]
        except KeyError:
            raise UsageError(f"no schema is called {type_!r}; there are: {', '.join(sorted(self._newest))}") from None

    def types(self, domain: str, kind: str) -> list[str]:
        """The types of one kind that a domain declares, in the order of the alphabet."""
        return sorted({s.type for s in self.schemas if s.domain == domain and s.kind == kind})


def _read_folder(domain: str, folder: Path) -> Iterable[MessageSchema]:
    for kind in _KINDS:
        for path in sorted((folder / kind).glob("*.avsc")):
            match = _FILE.fullmatch(path.name)
            if match is None:
                raise LogfoldError(f"{path}: a schema's file is called <Name>.v<version>.avsc")
            try:
                schema = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise LogfoldError(f"{path}: not JSON: {error}") from error
            if schema.get("type") != "record" or schema.get("name") != match["name"]:
                raise LogfoldError(f"{path}: must hold a record called {match['name']!r}")
            if schema.get("namespace") != domain:
                raise LogfoldError(f"{path}: the namespace must be the domain, {domain!r}")
            yield MessageSchema(
                type=f"{domain}.{match['name']}",
                version=int(match["version"]),
                kind=kind,
                domain=domain,
                path=path,
                schema=schema,
            )
