"""Ids that come out the same however often they are made, and what may come from outside in a record's key and headers.

Every door checks by these functions: the command line, HTTP, the client, `eventfold publish`, process managers, and the command
handler, which meets what any Kafka client wrote. A log that holds something else from before stays readable.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import uuid

from eventfold.schemas.errors import UsageError

KEY_LIMIT = 512
TEXT_LIMIT = 255
_SHOWN = 80
_USUAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# W3C Trace Context, 3.2: version, trace id, parent id, flags.
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def derived_id(parent: str, name: str) -> str:
    """uuid5(parent, name) as text (RFC 9562, version 5): the id of what follows from `parent`."""
    return derived_from(bytes.fromhex(parent.replace("-", "")), name)


def derived_from(parent: bytes, name: str) -> str:
    """As `derived_id`, of a parent's 16 bytes."""
    # The same as str(uuid.uuid5(...)), which takes nearly three times as long; it runs once an event.
    digest = bytearray(hashlib.sha1(parent + name.encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    h = digest[:16].hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def scoped_id(command_id: str, key: str, *, internal: bool = False) -> bytes:
    """What a command is known by within its domain: 16 bytes that follow from its id and the aggregate's (SHA-1, cut).

    The ids of its events are uuid5 of these and their index, so deciding twice never makes two ids of one event. A command of a
    domain's own processes (`internal`) is known by others than any that somebody else can send.
    """
    # No key has a control character.
    name = f"\n{key}" if internal else key
    return hashlib.sha1(bytes.fromhex(command_id.replace("-", "")) + name.encode(), usedforsecurity=False).digest()[:16]


def checked_key(text: str) -> str:
    """`text` as an aggregate's id, which becomes a record's key; UsageError when it cannot."""
    if not text or len(text) > KEY_LIMIT or not text.isprintable():
        raise UsageError(f"{shortened(text)} is not an aggregate's id: 1 to {KEY_LIMIT} printable characters")
    return text


def checked_text(text: str, what: str) -> str:
    """`text` as the value of a header: a correlation id, who asks; UsageError names `what` when it cannot be one."""
    if not text or len(text) > TEXT_LIMIT or not text.isprintable():
        raise UsageError(f"{shortened(text)} is not {what}: 1 to {TEXT_LIMIT} printable characters")
    return text


def is_traceparent(text: str) -> bool:
    """Whether it has the form of a W3C `traceparent`; what has not is passed over, as that standard wants it."""
    return _TRACE.fullmatch(text) is not None


def shortened(text: str) -> str:
    """A value as a message shows it: quoted, and its beginning alone where it is long."""
    return (
        repr(text) if not isinstance(text, str) or len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text):,} characters)"
    )


def new_id() -> str:
    """An id for a command that was given none: a UUID of version 7 (RFC 9562, 5.7), of the time (ms) and 74 random bits."""
    number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    return str(uuid.UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def made_at(id_: str) -> int | None:
    """When an id was made (ms since 1970), where it is one of version 7: also who sends a command again can tell by its id."""
    found = uuid.UUID(id_)
    return found.int >> 80 if found.version == 7 else None


def checked_id(text: str) -> str:
    """`text` as a UUID in its usual form; UsageError when it is none."""
    if _USUAL.fullmatch(text):
        return text
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise UsageError(f"{shortened(text)} is not a command id; it must be a UUID") from None
