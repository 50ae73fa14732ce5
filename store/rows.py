"""Rows: the one form in which they are stored, and those of one table that are held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.jsonable import json_bytes
from eventfold.store.digests import row_digest

Row = dict[str, Any]


class RowError(EventfoldError):
    """A stored row that cannot be read."""


class Rows:
    """The rows of one table that are held in memory: at least the last `limit` used ones; between batches, at most
    twice as many and those of one batch.

    Held is what is stored, the bytes, and None where there is no row: whoever folds on reads them, as after a restart.
    Two halves stand for an order of use: what is used moves to the young half, and when that is full the old one goes.
    `digests` are those of the rows as they are stored, by which a change of a row moves its table's.
    """

    __slots__ = ("_limit", "_old_digests", "digests", "old", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.young: dict[str, bytes | None] = {}
        self.digests: dict[str, int] = {}
        self.old: dict[str, bytes | None] = {}
        self._old_digests: dict[str, int] = {}

    def hold(self, key: str, stored: bytes | None) -> None:
        """Hold a row as it is stored, None where there is none."""
        self.young[key], self.digests[key] = stored, 0 if stored is None else row_digest(key, stored)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Which of these are not held; those that are stay for this batch."""
        young, old = self.young, self.old
        missing = []
        for key in keys:
            if key not in young:
                if key in old:
                    young[key] = old.pop(key)
                    self.digests[key] = self._old_digests.pop(key, 0)
                else:
                    missing.append(key)
        return missing

    def trim(self) -> None:
        """Between batches: let go of what was not used for longest, once there is too much."""
        if len(self.young) > self._limit:
            self.old, self._old_digests = self.young, self.digests
            self.young, self.digests = {}, {}


def parsed(stored: bytes, table: str, key: str) -> Row:
    """A row as it is stored; RowError for what is no JSON object, and so was written by someone else."""
    try:
        row = orjson.loads(stored)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise RowError(
            f"the row {key!r} of the table {table!r} is not what eventfold wrote ({stored[:60]!r}): mend it with "
            "`eventfold replay PROJECTION --key ID`, or rebuild it"
        )
    return row


def to_json(row: Mapping[str, Any]) -> bytes:
    """The one canonical form of a row: JSON in UTF-8, keys sorted, no blanks; TypeError names a field that does not fit."""
    try:
        # A copy: orjson leaves the bytes in the buffer that it wrote them to, up to 8 kB for a row of a few hundred.
        return b"%b" % orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json_bytes(row, orjson.OPT_SORT_KEYS)


def read_back(value: Mapping[str, Any]) -> tuple[bytes, Any]:
    """A row, or a state, as it is stored, and what is read back: the one way from what a step or `evolve` returns to what the
    next event meets.

    UUIDs, times and enums come back as text or as what they stand for, tuples as lists, dataclasses as objects, NaN and
    infinity as null, and the fields of an object in the order of their names. TypeError names the field of what JSON cannot
    hold: bytes, sets, Decimals, names that are no text, ints of more than 64 bits.
    """
    stored = to_json(value)
    return stored, orjson.loads(stored)
