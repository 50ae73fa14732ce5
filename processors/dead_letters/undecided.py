"""The commands of a domain that could not be decoded: decoded with today's schemas they are sent again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from eventfold.kafka.publisher import Publisher
from eventfold.kafka.records import rebuilt
from eventfold.processors.dead_letters.letters import DISCARDED, RETRIED, Letter
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.dead_letters.owner import DISCARD, RETRY, Entry, Resolved
from eventfold.processors.handler.asked import CommandReader
from eventfold.processors.runtime import Runtime
from eventfold.schemas.envelope import Headers
from eventfold.schemas.errors import UsageError
from eventfold.schemas.ids import checked_id, derived_id

_ID = "ce_id"


class UndecidedCommands:
    """A domain's commands that its handler could not decode.

    They hold nobody up, so they are in no order with others: each is sent again, or thrown away, for itself. A command was
    refused under its id for good, so it is sent under one that is derived from that; to send it twice is harmless.
    """

    def __init__(self, runtime: Runtime, domain: str) -> None:
        self._runtime = runtime
        self._domain = domain

    def resolve(self, entry: Entry, letters: Sequence[Letter], how: str) -> Resolved:
        """Those that still cannot be decoded stay."""
        notices = Notices(self._runtime.kafka, self._runtime.names)
        if how != RETRY:
            dropped = letters[:1] if how == DISCARD else letters
            notices.write(replace(letter, state=DISCARDED) for letter in dropped)
            left = letters[len(dropped) :]
            return Resolved(key=entry.key, dropped=len(dropped), left=len(left), error=left[0].error if left else "")
        done, wrong, notes = 0, "", []
        for letter in letters:
            if why := self._wrong(letter):
                wrong = wrong or f"{letter.origin}: {why}"
                continue
            notes.append(self._send(letter))
            notices.write([replace(letter, state=RETRIED)])
            done += 1
        return Resolved(key=entry.key, done=done, left=len(letters) - done, error=wrong, note="; ".join(filter(None, notes)))

    def _wrong(self, letter: Letter) -> str:
        """Why the handler would refuse it again as what cannot be decoded."""
        if letter.left_out:
            return f"it was too large to be kept whole ({', '.join(letter.left_out)}): it can only be discarded"
        record = rebuilt(letter.origin, letter.key, letter.value, letter.headers)
        return CommandReader(self._runtime.codec(), self._domain, self._runtime.names.internal(self._domain)).read(record).wrong

    def _send(self, letter: Letter) -> str:
        """To the partition that it came on, as it came but for its id; what there is to know."""
        old = dict(letter.headers).get(_ID)
        new, note = old, ""
        with suppress(UsageError, UnicodeDecodeError):
            id_ = checked_id(old.decode() if isinstance(old, bytes) else old or "")
            new, note = derived_id(id_, "retried").encode(), ""
            note = f"the id {id_} stays refused: {letter.origin} was sent again as {derived_id(id_, 'retried')}"
        headers: Headers = [(name, new if name == _ID else value) for name, value in letter.headers]
        publisher = Publisher(self._runtime.kafka)
        publisher.send(letter.origin.topic, letter.key, letter.value, headers, partition=letter.origin.partition)
        publisher.flush()
        return note
