"""What was released, and may never change again: `released.txt` in a domain's package of schemas.

A line a version: `events/FlightArrived.v1` and the SHA-256 of the schema as JSON with sorted keys, without white space, and
without docs and the longest lengths of fields. Both may be changed at any time, since nothing is read by them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventfold.schemas import files
from eventfold.schemas.catalog import MessageSchema
from eventfold.schemas.compatibility.problem import Problem
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.longest import LIMITS

_FILE = "released.txt"
_FREE = ("doc", *LIMITS)


@dataclass(frozen=True, slots=True)
class Released:
    """The list of one domain: the hash of each released version by its name. problems: of lines that are none."""

    path: Path
    hashes: Mapping[str, str]
    problems: Sequence[Problem]

    @classmethod
    def read(cls, folder: Path) -> Released:
        """The list in a domain's package of schemas; an empty one where there is none yet. EventfoldError if it is no file."""
        path = folder / _FILE
        hashes: dict[str, str] = {}
        problems = []
        for number, line in enumerate(_lines(path), start=1):
            match line.split():
                case [name, hash_] if name not in hashes:
                    hashes[name] = hash_
                case []:
                    pass
                case _:
                    problems.append(
                        Problem(path, f"line {number} is no '<kind>/<Name>.v<N> <SHA-256>', or stands twice: {line!r}")
                    )
        return cls(path, hashes, problems)

    def __contains__(self, message: MessageSchema) -> bool:
        return name_of(message) in self.hashes

    def check(self, messages: Sequence[MessageSchema]) -> Iterator[Problem]:
        """What was edited or removed. messages: those of the domain, all of them."""
        yield from self.problems
        there = {name_of(message): message for message in messages}
        for name, hash_ in self.hashes.items():
            message = there.get(name)
            if message is None:
                yield Problem(self.path, f"{name} was released, and its file is gone or cannot be read: restore it")
            elif hash_ not in (hash_of(message), _hashed(undocumented(message.schema, plain=False))):
                says = "it was changed after its release: restore it, and make the change in a new version"
                yield Problem(message.path, says)

    def missing(self, messages: Sequence[MessageSchema]) -> list[MessageSchema]:
        """Which of a domain's versions are not released yet."""
        return [message for message in messages if message not in self]

    def add(self, messages: Sequence[MessageSchema]) -> None:
        """Write the list with these versions too; EventfoldError when it cannot be written."""
        hashes = {**self.hashes, **{name_of(message): hash_of(message) for message in messages}}
        text = "".join(f"{name} {hash_}\n" for name, hash_ in sorted(hashes.items()))
        try:
            self.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise EventfoldError(f"{self.path} cannot be written ({error.strerror}): release where the sources are") from error


def name_of(message: MessageSchema) -> str:
    """What a version is called in the list: `events/FlightArrived.v1`."""
    return f"{message.kind}/{message.path.stem}"


def hash_of(message: MessageSchema) -> str:
    """The SHA-256 of a schema without its docs and limits."""
    return _hashed(undocumented(message.schema))


def undocumented(schema: Any, *, plain: bool = True) -> Any:
    """A schema, or a part of one, without its docs and without limits of what is written.

    plain: whether `{"type": "string"}`, which is left of a type that had a limit, becomes `"string"`. Lists of before limits
    have the hash of what was written there.
    """
    if isinstance(schema, Mapping):
        # A default may look like a schema and is none.
        left = {of: it if of == "default" else undocumented(it, plain=plain) for of, it in schema.items() if of not in _FREE}
        return left["type"] if plain and left.keys() == {"type"} else left
    if isinstance(schema, list):
        return [undocumented(branch, plain=plain) for branch in schema]
    return schema


def _hashed(schema: Any) -> str:
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _lines(path: Path) -> list[str]:
    try:
        return files.content(path).decode().splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise EventfoldError(f"{path} cannot be read: {error}") from error
