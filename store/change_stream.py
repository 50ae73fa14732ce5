"""What changed last in a slice, for who follows a read model: a capped stream that is written with the rows.

An entry's id is `<next offset>-<revision>` of the commit that wrote it, so it grows as the slice does, and goes back with it
when Redis forgets. Its fields: `prev`, the id of the entry before it, by which a reader knows that it missed none, and `rows`,
JSON: a list of `[table, key, row or null, {index: [parts it is no longer found under]}]`, or nothing when so much changed at
once that who follows had better read anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from redis import Redis

from eventfold.store.commits import Changes, Commit
from eventfold.store.index_members import parts_and_key
from eventfold.store.slices import CHANGES, META, SliceId

MOST_ROWS, MOST_BYTES = 100, 100_000
Indexes = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A row as a commit left it; None when it was deleted. left: the parts of each index it is no longer found under, as
    `index_members.beginning` writes them.
    """

    table: str
    key: str
    row: dict[str, Any] | None
    left: Mapping[str, list[str]]


def told(commit: Commit, indexes: Indexes, kept: int) -> Commit:
    """The same commit, with what it changes for the slice's stream, of which about `kept` entries stay; 0: it has none.

    indexes: the names of each table's.
    """
    if not any(commit.changes.rows.values()):
        return commit
    if not kept:
        # Who followed it when it had a stream is not to think that nothing happened since.
        return replace(commit, after=replace(commit.after, changed=""))
    id_ = f"{commit.after.offset}-{commit.before.revision + 1}"
    after = replace(commit.after, changed=id_)
    return replace(commit, after=after, entry=_entry(commit.changes, indexes), kept=kept)


def changed(entry: bytes) -> list[Changed] | None:
    """The rows of an entry; None when they were too many, or too large."""
    if not entry:
        return None
    return [Changed(table=table, key=key, row=row, left=left) for table, key, row, left in orjson.loads(entry)]


def is_id(text: str) -> bool:
    """Whether it can be an entry's id, or that of none (empty); what a client says may be anything."""
    offset, dash, revision = text.partition("-")
    return not text or (bool(dash) and all(part.isascii() and part.isdigit() and len(part) < 19 for part in (offset, revision)))


class ChangeStreams:
    """Reads the slices' streams of changes."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def after(self, slices: Sequence[SliceId], since: Sequence[str], most: int) -> list[list[tuple[str, str, bytes]]]:
        """The next entries of each slice's stream behind an id (empty: from the first on), at most so many.

        An entry: its id, the id of the one before it, what changed. One round trip.
        """
        pipe = self._redis.pipeline(transaction=False)
        for slice_, after in zip(slices, since, strict=True):
            pipe.xrange(slice_.key(CHANGES), f"({after}" if after else "-", "+", most)
        return [[(id_.decode(), entry[b"prev"].decode(), entry[b"rows"]) for id_, entry in found] for found in pipe.execute()]

    def last(self, slices: Sequence[SliceId]) -> list[str]:
        """The id of the last entry in each slice's stream, empty where there is none."""
        pipe = self._redis.pipeline(transaction=False)
        for slice_ in slices:
            pipe.hget(slice_.key(META), "changed")
        return [(id_ or b"").decode() for id_ in pipe.execute()]


def _entry(changes: Changes, indexes: Indexes) -> bytes:
    if sum(map(len, changes.rows.values())) > MOST_ROWS:
        return b""
    left: dict[tuple[str, str], dict[str, list[str]]] = {}
    for table, names in indexes.items():
        for name in names:
            for member, there in changes.members.get(name, {}).items():
                if not there:
                    parts, key = parts_and_key(member)
                    left.setdefault((table, key), {}).setdefault(name, []).append(parts)
    entry = orjson.dumps(
        [
            [table, key, None if row is None else orjson.Fragment(row), left.get((table, key), {})]
            for table, rows in changes.rows.items()
            for key, row in rows.items()
        ]
    )
    return entry if len(entry) <= MOST_BYTES else b""
