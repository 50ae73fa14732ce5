"""The records that a handler writes: events and refusals."""

from __future__ import annotations

import time

from eventfold.processors.handler.asked import Asked
from eventfold.processors.handler.decide import Decided
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import FIXED, Headers, headers_of
from eventfold.schemas.ids import derived_from
from eventfold.schemas.names import Names
from eventfold.schemas.own import COMMAND_REFUSED
from eventfold.schemas.record import ProducerRecord
from eventfold.schemas.times import iso


class Records:
    """Makes the records of one domain's decisions, with what eventfold.processors.handler.asked let in of the command."""

    def __init__(self, domain: str, names: Names, codec: Codec) -> None:
        self._codec = codec
        self._events = names.events(domain)
        self._refusals = names.refusals(domain)
        self._source = f"/eventfold/{domain}/handler".encode()
        self._by_type: dict[str, Headers] = {}

    def events(self, decided: Decided) -> list[ProducerRecord]:
        """The events of an accepted command, their versions counted up to the aggregate's."""
        asked, version = decided.asked, decided.version
        assert version is not None
        first = version - len(decided.events) + 1
        time_, links = ("ce_time", asked.time), self._links(asked)
        links.append(("ce_fingerprint", asked.fingerprint.hex().encode()))
        subject = asked.key.encode()
        found = []
        for index, event in enumerate(decided.events):
            id_ = derived_from(asked.scoped, str(index))
            headers: Headers = [
                *self._fixed(event.type),
                ("ce_id", id_.encode()),
                time_,
                ("ce_subject", subject),
                ("ce_sequence", b"%d" % (first + index)),
                *links,
            ]
            found.append(ProducerRecord(self._events, asked.key, event.value, headers, id_))
        return found

    def _fixed(self, type_: str) -> Headers:
        """The headers that every record of a type has."""
        headers = self._by_type.get(type_)
        if headers is None:
            headers = self._by_type[type_] = [*FIXED, ("ce_type", type_.encode()), ("ce_source", self._source)]
        return headers

    def refusal(self, decided: Decided) -> ProducerRecord:
        """The lasting proof of a refusal."""
        asked, refusal = decided.asked, decided.refusal
        assert refusal is not None
        id_ = derived_from(asked.scoped, f"refused:{asked.fingerprint.hex()}" if decided.reused else "refused")
        headers: Headers = [
            *self._fixed(COMMAND_REFUSED),
            ("ce_id", id_.encode()),
            ("ce_time", iso(time.time_ns() // 1_000_000).encode()),
            ("ce_subject", asked.key.encode()),
            *self._links(asked),
        ]
        data = {
            "command_id": asked.id,
            "command_type": asked.message.type if asked.message else "",
            "code": refusal.code,
            "message": refusal.message,
            "version": decided.version,
            "fingerprint": asked.fingerprint.hex(),
            "reused": decided.reused,
        }
        return ProducerRecord(self._refusals, asked.key, self._codec.encode(COMMAND_REFUSED, data), headers, id_)

    @staticmethod
    def _links(asked: Asked) -> Headers:
        id_ = asked.id.encode()
        correlation = asked.correlation_id.encode() if asked.correlation_id else id_
        links: Headers = [("ce_correlationid", correlation), ("ce_causationid", id_)]
        if asked.traceparent is not None:
            links.append(("traceparent", asked.traceparent.encode()))
        if asked.process_id:
            links.append(("ce_processid", asked.process_id))
        return links if asked.actor is None else links + headers_of(asked.actor)
