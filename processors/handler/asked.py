"""From a record to a command: what it asks, under which id, and whether it can be read at all. Needs no ledger."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from eventfold.producers.commands import NO_REPLY
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import as_mapping
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.ids import checked_id, checked_key
from eventfold.schemas.message import Message
from eventfold.schemas.record import Record
from eventfold.schemas.times import millis

_NEEDED = ("ce_id", "ce_time", "ce_subject")


@dataclass(slots=True)
class Asked:
    """A command as it came. One that cannot be read has no message and says in `wrong` why.

    expected_version, expires (ms): where it says so. noreply: nobody waits for its outcome.
    """

    record: Record
    headers: Mapping[str, bytes]
    key: str = ""
    id: str = ""
    message: Message | None = None
    wrong: str = ""
    expected_version: int | None = None
    expires: int | None = None
    noreply: bool = False


def read(codec: Codec, types: Container[str], record: Record) -> Asked:
    """A command and its envelope; `types` are those that the domain takes."""
    headers = as_mapping(record.headers())
    asked = Asked(record, headers, noreply=NO_REPLY[0] in headers)
    try:
        raw = record.key()
        asked.key = raw.decode() if isinstance(raw, bytes) else (raw or "")
        for name in _NEEDED:
            if name not in headers:
                raise DecodeError(f"the record has no {name} header")
        asked.id = checked_id(headers["ce_id"].decode())
        checked_key(asked.key)
        if headers["ce_subject"].decode() != asked.key:
            raise DecodeError(f"key and ce_subject must be the same id: {asked.key!r}, {headers['ce_subject']!r}")
        millis(headers["ce_time"].decode())
        if "ce_expectedversion" in headers:
            asked.expected_version = int(headers["ce_expectedversion"])
        if "ce_expirytime" in headers:
            asked.expires = millis(headers["ce_expirytime"].decode())
        asked.message = codec.decode_wanted(record.value(), types)
        if asked.message is None:
            raise DecodeError("the value is no command of this domain")
    except DecodeError as error:
        asked.wrong = error.reason
    except (UsageError, ValueError) as error:
        asked.wrong = str(error)
    return asked
