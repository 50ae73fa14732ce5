"""What a terminal obeys, by Unicode's own tables, and a text that has some of each kind."""

from __future__ import annotations

import sys
import unicodedata

_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_MARKS = "\u200e\u200f\u061c"


def _is_obeyed(character: str) -> bool:
    if character in "\t\n":
        return False
    control = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return control or character in _MARKS or unicodedata.bidirectional(character) in _TURNING


OBEYED = frozenset(filter(_is_obeyed, map(chr, range(sys.maxunicode + 1))))
# Clears the screen, sets the window's title, turns the line around, begins another one.
CRAFTED = "x\x1b[2J\x1b]0;title\x07\u202egnp\u2066\x9b31m\x7f\rFAKE\n\tok: all is well\u200f"


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal would obey; tabs and newlines are for the tests to judge."""
    return OBEYED & {*text}
