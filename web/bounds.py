"""How much a server takes on at once, and how long it waits for a client; read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventfold.schemas.errors import UsageError

_MOST = 1_000_000
_SETTINGS = {
    "connections": "EVENTFOLD_HTTP_CONNECTIONS",
    "client_s": "EVENTFOLD_HTTP_CLIENT_S",
    "send_s": "EVENTFOLD_HTTP_SEND_S",
    "waits": "EVENTFOLD_HTTP_WAITS",
    "streams": "EVENTFOLD_HTTP_STREAMS",
    "reads": "EVENTFOLD_HTTP_READS",
    "queue": "EVENTFOLD_HTTP_QUEUE",
    "queue_s": "EVENTFOLD_HTTP_QUEUE_S",
    "read_s": "EVENTFOLD_HTTP_READ_S",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Whole numbers; those that end in `_s` are seconds.

    connections: open at once; on further ones requests get 503. client_s: for the head of a request to come, and then for its
    body. send_s: for a client to take what waits for it. waits: requests at once that wait for a position or an outcome.
    streams: event streams at once. reads: reads of the log at once, each by a thread of its own. queue: requests that wait for
    such a thread, beyond which they get 503. queue_s: for a thread to be free. read_s: for one read of the log.
    """

    connections: int = 10_000
    client_s: int = 10
    send_s: int = 30
    waits: int = 1_000
    streams: int = 5_000
    reads: int = 4
    queue: int = 32
    queue_s: int = 10
    read_s: int = 60

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Bounds:
        """UsageError for a value that is no whole number from 1 to 1,000,000."""
        given = {field: (name, environ.get(name, "")) for field, name in _SETTINGS.items()}
        return cls(**{field: _number(name, text) for field, (name, text) in given.items() if text})


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(_MOST)) or not 1 <= int(text) <= _MOST:
        raise UsageError(f"{name} must be a whole number from 1 to {_MOST:,}, not {text[:40]!r}")
    return int(text)
