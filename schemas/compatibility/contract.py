"""All schemas of some domains, read for the gate: what cannot be read is a problem among others, not the end."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path

from eventfold.schemas.catalog import MessageSchema, read_schema, schema_files, wrong_upcasters
from eventfold.schemas.compatibility.docs import without_docs
from eventfold.schemas.compatibility.evolution import apache, unreadable
from eventfold.schemas.compatibility.problem import Problem
from eventfold.schemas.compatibility.released import Released, name_of
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.legal import IllegalSchemaError
from eventfold.schemas.parsed import fingerprint, parse
from eventfold.schemas.upcasting import Upcaster


@dataclass(frozen=True, slots=True)
class Contract:
    """The schemas of some domains and the upcasters between them.

    messages: every version that could be read, by domain. problems: of the others.
    """

    folders: Mapping[str, Path]
    messages: Mapping[str, Sequence[MessageSchema]]
    upcasters: Sequence[Upcaster]
    problems: Sequence[Problem]

    @classmethod
    def read(cls, folders: Mapping[str, Path], upcasters: Sequence[Upcaster]) -> Contract:
        """What lies in these folders, by domain; EventfoldError when a folder cannot be read at all."""
        messages: dict[str, list[MessageSchema]] = {domain: [] for domain in folders}
        problems = []
        for domain, folder in folders.items():
            for kind, path in schema_files(folder):
                try:
                    message = read_schema(domain, kind, path)
                    parse(message)
                    apache(message)
                    messages[domain].append(message)
                except IllegalSchemaError as error:
                    problems += [Problem(path, says) for says in error.faults]
                except EventfoldError as error:
                    problems.append(Problem(path, str(error).removeprefix(f"{path}: ")))
        return cls(folders, messages, upcasters, problems)

    def versions(self, domains: Sequence[str]) -> list[list[MessageSchema]]:
        """The versions of each type that these domains declare, the oldest first."""
        messages = [message for domain in domains for message in self.messages[domain]]
        messages.sort(key=lambda message: (message.type, message.version, message.kind))
        return [list(of) for _, of in groupby(messages, key=lambda message: message.type)]

    def check(self, domains: Sequence[str]) -> list[Problem]:
        """All that is wrong with these domains but that a version is not released: see `unreleased`.

        Each version must be read as all later ones by Avro's rules; versions are numbered without a gap; no two of all
        schemas have one fingerprint; all is documented; upcasters lead from a version to the next; what was released is as
        it was.
        """
        folders = [self.folders[domain] for domain in domains]
        problems = [problem for problem in self.problems if problem.path.parent.parent in folders]
        for domain in domains:
            problems += Released.read(self.folders[domain]).check(self.messages[domain])
        for versions in self.versions(domains):
            problems += _numbered(versions)
            problems += [
                Problem(newer.path, says) for older, newer in combinations(versions, 2) for says in unreadable(newer, older)
            ]
            problems += [Problem(message.path, says) for message in versions for says in without_docs(message.schema)]
        problems += self._alike(domains)
        problems += self._wrong_upcasters(domains)
        return problems

    def unreleased(self, domains: Sequence[str]) -> list[Problem]:
        """The versions of these domains that are not released."""
        return [
            Problem(message.path, "it is not released: run `eventfold schemas release` before anything is written with it")
            for domain in domains
            for message in Released.read(self.folders[domain]).missing(self.messages[domain])
        ]

    def release(self, domain: str) -> list[str]:
        """Release all versions of a domain that are not; their names. EventfoldError when the list cannot be written."""
        released = Released.read(self.folders[domain])
        missing = released.missing(self.messages[domain])
        if missing:
            released.add(missing)
        return [name_of(message) for message in missing]

    def _alike(self, domains: Sequence[str]) -> Iterator[Problem]:
        """Two of one fingerprint, of whatever domains, where one is of these."""
        found: dict[bytes, MessageSchema] = {}
        for messages in self.messages.values():
            for message in messages:
                other = found.setdefault(fingerprint(message), message)
                if other is not message and not {other.domain, message.domain}.isdisjoint(domains):
                    yield Problem(
                        message.path,
                        f"it has the same fingerprint as {other.path.name}, so what is written with one would be read with the "
                        "other: versions must differ in more than docs, defaults, aliases and logical types",
                    )

    def _wrong_upcasters(self, domains: Sequence[str]) -> Iterator[Problem]:
        versions = {of[0].type: {message.version for message in of} for of in self.versions(list(self.messages))}
        others = self.folders.keys() - set(domains)
        mine = [upcaster for upcaster in self.upcasters if upcaster.type.rpartition(".")[0] not in others]
        for upcaster, says in wrong_upcasters(versions, mine):
            yield Problem(_file_of(upcaster), says)


def _numbered(versions: Sequence[MessageSchema]) -> Iterator[Problem]:
    for number, message in enumerate(versions, start=1):
        if message.version != number:
            before = f"after {versions[number - 2].path.name} comes" if number > 1 else "the first is"
            yield Problem(message.path, f"{before} version {message.version}, where version {number} must be")
            break
    for message in versions[1:]:
        if message.kind != versions[0].kind:
            yield Problem(
                message.path, f"it is one of {message.kind}, but {versions[0].path.name} is one of {versions[0].kind}"
            )


def _file_of(upcaster: Upcaster) -> Path:
    try:
        return Path(inspect.getfile(upcaster.function))
    except TypeError:  # a callable that is no function, or is built in
        return Path(upcaster.name)
