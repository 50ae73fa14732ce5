"""Text for people, as it may be printed: what others sent moves no cursor, colours nothing and does not reorder a line.

Everything that a command prints for people goes through `say`, or through `visible` where another library prints it.
"""

from __future__ import annotations

import re
import sys

import click

# Control characters (C0 but for tab and newline, DEL, C1), what ends a line or turns its direction (the characters of
# Unicode's property Bidi_Control among them), and halves of characters, which cannot be printed at all.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_OBEYED_IN_A_LINE = re.compile(f"[\t\n{_OBEYED.pattern[1:]}")


def visible(text: str) -> str:
    """The text with everything that a terminal would obey as Python would write it (`\\x1b`, `\\u202e`); tabs and newlines,
    which a layout is made of, stay.
    """
    return _OBEYED.sub(_escape, text)


def line(value: object) -> str:
    """As `visible`, and in one line: for a value inside of a text, which must not begin a line of its own."""
    return _OBEYED_IN_A_LINE.sub(_escape, str(value))


def say(text: str = "", *, err: bool = False) -> None:
    """Print a text for people, on stdout or stderr."""
    click.echo(visible(text), err=err)  # noqa: TID251


def say_json(body: bytes, *, err: bool = False) -> None:
    """Print JSON for programs, byte by byte; on a terminal with `\\uXXXX` for what that would obey, which is the same JSON."""
    if (sys.stderr if err else sys.stdout).isatty():
        body = _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", body.decode()).encode()
    click.echo(body, err=err)  # noqa: TID251


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
