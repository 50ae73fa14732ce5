"""What a recorded history was folded into when it was recorded, so that a fold with another meaning is noticed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from eventfold.schemas import files
from eventfold.schemas.compatibility.problem import Problem
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.json_text import parse_json

_FILE = "folded.json"
_ANEW = "record it anew with `eventfold schemas record`"


@dataclass(slots=True, kw_only=True)
class Result:
    """What one projection or decider of a version makes of each slice (`flights.events/0`): tables of rows or states by key."""

    version: int
    slices: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The results by the name of a projection, or of the domain of a decider; None of one that failed."""

    projections: Mapping[str, Result | None]
    deciders: Mapping[str, Result | None]

    def items(self) -> Iterator[tuple[str, str, Result]]:
        """What did not fail: what it is, its name, its result."""
        for what, results in (("projection", self.projections), ("decider", self.deciders)):
            yield from ((what, name, result) for name, result in results.items() if result is not None and result.slices)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The file of results beside the samples."""

    path: Path
    results: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Recorded:
        """The results in a folder of samples, none where there is no file; EventfoldError for a file that is none."""
        path = folder / _FILE
        try:
            found = parse_json(files.content(path))
        except FileNotFoundError:
            found = {}
        except (OSError, ValueError) as error:
            raise EventfoldError(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise EventfoldError(f"{path} is not what `eventfold schemas record` wrote")
        return cls(path, found)

    def check(self, today: Results) -> list[Problem]:
        """What differs from what was recorded, and what was recorded of another version or not at all."""
        return [*self.changed(today), *self._stale(today)]

    def changed(self, today: Results) -> Iterator[Problem]:
        """What is folded into something else by code that says that it is still the same version."""
        for what, name, result in today.items():
            was = self._of(what, name)
            if was is not None and was["version"] == result.version:
                for slice_, tables in result.slices.items():
                    if slice_ in was["slices"] and (says := _difference(was["slices"][slice_], tables)):
                        of = f"the {what} {name!r}, still version {result.version}, folds {slice_} into something else"
                        yield Problem(self.path, f"{of}: {says}; mend it, or raise its version")

    def _stale(self, today: Results) -> Iterator[Problem]:
        for what, name, result in today.items():
            was = self._of(what, name)
            if was is None or not result.slices.keys() <= was["slices"].keys():
                yield Problem(self.path, f"nothing is recorded of what the {what} {name!r} makes of the samples: {_ANEW}")
            elif was["version"] != result.version:
                versions = f"was recorded of version {was['version']}, and it is version {result.version}"
                yield Problem(self.path, f"what the {what} {name!r} makes of the samples {versions}: {_ANEW}")

    def write(self, today: Results) -> None:
        """Write what today's code makes of the samples; what it does not know of is kept."""
        found = {what: dict(names) for what, names in self.results.items()}
        for what, name, result in today.items():
            found.setdefault(what, {})[name] = {"version": result.version, "slices": result.slices}
        new = self.path.with_suffix(".new")
        new.write_bytes(orjson.dumps(found, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        os.replace(new, self.path)

    def _of(self, what: str, name: str) -> Mapping[str, Any] | None:
        return self.results.get(what, {}).get(name)


def _difference(was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> str:
    """The first row that differs, and how many more do; empty where none does."""
    found = [
        (table, key)
        for table in sorted({*was, *now})
        for key in sorted({*was.get(table, {}), *now.get(table, {})})
        if was.get(table, {}).get(key) != now.get(table, {}).get(key)
    ]
    if not found:
        return ""
    table, key = found[0]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{key!r} of {table!r} {_of_row(was.get(table, {}).get(key), now.get(table, {}).get(key))}{more}"


def _of_row(was: Any, now: Any) -> str:
    if was is None or now is None:
        return "is new" if was is None else "is gone"
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            return f"had {_field(was, name)}, has {_field(now, name)}"
    return "differs"


def _field(row: Mapping[str, Any], name: str) -> str:
    return f"{name!r} {orjson.dumps(row[name]).decode()}" if name in row else f"no {name!r}"
