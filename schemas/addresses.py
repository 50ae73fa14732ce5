"""Addresses of servers as settings have them (URLs), which may hold a name and a password: what of them may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eventfold.schemas.errors import UsageError

# A port has digits, a password before an @ may have them too: that is none of these.
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?")
_ENDS = re.compile(r"[/?#]")
_BEHIND = re.compile(r"[?#].*", re.DOTALL)
HIDDEN = "***"


def shown(url: str) -> str:
    """An address without user, password, query and fragment.

    Of one that cannot be taken apart for sure, such as one with a `/` in its password, the scheme alone is shown, and a host
    without a scheme only where it is nothing else.
    """
    scheme, found, rest = url.partition("://")
    before, _, host = rest.rpartition("@")
    if not found or not scheme.isalnum():
        return url if _HOST.fullmatch(url) else HIDDEN
    if _ENDS.search(before):
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{_BEHIND.sub('', host)}"


def check_plain(name: str, url: str) -> None:
    """UsageError, which shows nothing of it, for an address that is taken apart otherwise than it was meant."""
    before, _, _ = url.partition("://")[2].rpartition("@")
    if _ENDS.search(before) or "#" in url:
        raise UsageError(
            f"{name}: write the characters / ? # @ & of a user's name or password as %2F %3F %23 %40 %26 (it is not shown)"
        )


def hidden(text: str, secrets: Iterable[str]) -> str:
    """A text of another program, without these values."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
