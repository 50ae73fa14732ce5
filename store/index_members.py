"""Members of an index: the parts that a row is found under, and the row's key, as one text that sorts as they do.

Each part ends with NUL, one more NUL ends the parts, and the key follows. In a part NUL is written as `\\x01\\x01` and `\\x01`
as `\\x01\\x02`, and an empty part is `\\x01`, so no part has a NUL of its own or is empty. Members therefore sort, byte by
byte, as the tuples of their parts do (each part by its bytes in UTF-8, a shorter tuple before the longer ones that it begins),
rows of equal parts by their key; and one begins like another exactly when its parts do.
"""

from __future__ import annotations

Parts = str | tuple[str, ...]
"""What a row is found under; a text is one part."""
ESCAPED_MEMBERS = 2
"""The form of members that is written now. In form 1 they were a text, a tab, the key, and nothing was escaped."""
_END = "\0"


def member(parts: Parts, key: str) -> str:
    """The member of a row; TypeError for parts that are no texts, UnicodeEncodeError for a text that is not Unicode."""
    try:
        # Most parts need no escape; this is done once an event or so.
        joined = _END.join(parts) if parts.__class__ is tuple else ""
        if joined.isascii() and joined.count(_END) < len(parts) and "\1" not in joined and joined and "" not in parts:
            return f"{joined}{_END}{_END}{key}"
    except TypeError:
        return beginning(parts)  # which says what is wrong with them
    return f"{beginning(parts)}{_END}{key}"


def beginning(parts: Parts) -> str:
    """How the members of all rows begin whose first parts are these; the same errors."""
    if parts.__class__ is str:
        parts = (parts,)
    try:
        joined = _END.join(parts)
    except TypeError:
        raise TypeError(f"a row is found in an index under a text or a tuple of texts, not under {parts!r}") from None
    joined.encode()
    return "".join(_escaped(part) + _END for part in parts)


def last_until(first: str) -> str:
    """What sorts behind every member whose first part is at most this text, and before all others."""
    return _escaped(first) + "\1"


def parts_and_key(member: str) -> tuple[str, str]:
    """Of a member: its parts as `beginning` writes them, and the row's key."""
    head, _, key = f"{_END}{member}".partition(_END + _END)
    return f"{head}{_END}"[1:], key


def _escaped(part: str) -> str:
    return part.replace("\1", "\1\2").replace(_END, "\1\1") or "\1"
