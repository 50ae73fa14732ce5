"""What changed last in a slice, for who follows a read model: a capped stream that is written with the rows.

An entry's id is `<next offset>-<revision>` of the commit that wrote it, so it grows as the slice does, and goes back with it
when Redis forgets. Its fields: `prev`, the id of the entry before it, by which a reader knows that it missed none, and `rows`,
JSON: a list of `[table, key, row or null, {index: [texts it is no longer found under]}]`, or nothing when so many rows changed
at once that who follows had better read anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from eventfold.projections.projection import Projection
from eventfold.store.slices import Changes, Commit, Progress

MOST_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A row as a commit left it; None when it was deleted. left: the texts of each index it is no longer found under."""

    table: str
    key: str
    row: dict[str, Any] | None
    left: Mapping[str, list[str]]


def fed(projection: Projection, commit: Commit) -> Commit:
    """The same commit, with what it changes for the slice's stream, where the projection asks for one."""
    if not any(commit.changes.rows.values()):
        return commit
    if not projection.changes:
        # Who followed it when it had a stream is not to think that nothing happened since.
        return replace(commit, after=replace(commit.after, changed=""))
    id_ = f"{commit.after.offset}-{commit.before.revision + 1}"
    after: Progress = replace(commit.after, changed=id_)
    return replace(commit, after=after, entry=_entry(projection, commit.changes), kept=projection.changes)


def changed(entry: bytes) -> list[Changed] | None:
    """The rows of an entry; None when they were too many."""
    if not entry:
        return None
    return [Changed(table=table, key=key, row=row, left=left) for table, key, row, left in orjson.loads(entry)]


def _entry(projection: Projection, changes: Changes) -> bytes:
    if sum(map(len, changes.rows.values())) > MOST_ROWS:
        return b""
    left: dict[tuple[str, str], dict[str, list[str]]] = {}
    for table in projection.tables:
        for index in table.indexes:
            for member, there in changes.members.get(index.name, {}).items():
                text, _, key = member.partition("\t")
                if not there:
                    left.setdefault((table.name, key), {}).setdefault(index.name, []).append(text)
    return orjson.dumps(
        [
            [table, key, None if row is None else orjson.Fragment(row), left.get((table, key), {})]
            for table, rows in changes.rows.items()
            for key, row in rows.items()
        ]
    )
