"""Digests of tables: the sum modulo 2^128 of their rows' digests (XXH3, 128 bits).

A commit moves it by what it changes. The same rows give the same digest, however they came to be. It recognises equal
tables; it is no defence against someone who wants two tables to look alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from xxhash import xxh3_128_intdigest

MODULUS = 1 << 128
Digests = Mapping[str, int]


def row_digest(key: str, row: bytes) -> int:
    """128 bits of one row under its key; canonical JSON has no NUL, so key and row cannot run into each other."""
    return xxh3_128_intdigest(key.encode(errors="surrogateescape") + b"\0" + row)


def moved(digests: Digests | None, by: Digests) -> Digests | None:
    """The digests of a slice's tables after a change; None, which is unknown, stays so."""
    if digests is None or not by:
        return digests
    after = dict(digests)
    for table, difference in by.items():
        after[table] = (after.get(table, 0) + difference) % MODULUS
    return after
