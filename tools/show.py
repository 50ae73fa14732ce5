"""Rows for people (a table) and for programs (JSON)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.jsonable import json_bytes
from eventfold.schemas.terminal import line, say, say_json


def show(answer: Any, as_json: bool, columns: Sequence[str] = (), empty: str = "nothing to show") -> None:
    """Print one row or a list of them: JSON, or fields below each other, or a table; of `columns`, or else of all.

    EventfoldError names a field that cannot be shown.
    """
    if as_json:
        say_json(_json(answer, orjson.OPT_INDENT_2 if sys.stdout.isatty() else None))
    elif isinstance(answer, Mapping):
        width = max((len(name) for name in answer), default=0)
        for name in _present(columns, [answer]):
            say(f"{line(name):<{width}}  {_text(answer[name])}")
    elif not answer:
        say(empty, err=True)
    else:
        _table(answer, _present(columns, answer))


def _present(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    there = dict.fromkeys(name for row in rows for name in row)
    return [name for name in columns if name in there] or list(there)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    # One row, or JSON, does without rich, which takes as long to import as a query to answer.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(Text(line(column)), justify="right" if numeric else "left", no_wrap=column != columns[-1])
    for row in rows:
        # Not as text with markup: a row may hold anything.
        table.add_row(*(Text(_text(row.get(column))) for column in columns))
    # Through a pipe nothing is cut to a terminal's width, and on one the last column is broken into lines.
    Console(width=None if sys.stdout.isatty() else 4_000).print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return line(value if isinstance(value, str) else _json(value).decode())


def _json(value: Any, option: int | None = None) -> bytes:
    try:
        return json_bytes(value, option)
    except TypeError as error:
        raise EventfoldError(f"the answer cannot be shown: {error}") from error
