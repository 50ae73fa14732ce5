"""The records that a handler writes: events and refusals."""

from __future__ import annotations

import time

from eventfold.processors.handler.decide import Decided
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import FIXED, Headers
from eventfold.schemas.ids import derived_id
from eventfold.schemas.names import Names
from eventfold.schemas.own import COMMAND_REFUSED
from eventfold.schemas.record import ProducerRecord
from eventfold.schemas.times import iso


class Records:
    """Makes the records of one domain's decisions. What only the command knows is handed on as it came."""

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
        time_, links = ("ce_time", asked.headers["ce_time"]), self._links(decided)
        found = []
        for index, event in enumerate(decided.events):
            id_ = derived_id(asked.id, str(index))
            headers: Headers = [
                *self._fixed(event.type),
                ("ce_id", id_.encode()),
                time_,
                ("ce_subject", asked.headers["ce_subject"]),
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
        id_ = derived_id(asked.id, "refused")
        headers: Headers = [
            *self._fixed(COMMAND_REFUSED),
            ("ce_id", id_.encode()),
            ("ce_time", iso(time.time_ns() // 1_000_000).encode()),
            ("ce_subject", asked.key.encode()),
            *self._links(decided),
        ]
        data = {
            "command_id": asked.id,
            "command_type": asked.message.type if asked.message else "",
            "code": refusal.code,
            "message": refusal.message,
            "version": decided.version,
        }
        return ProducerRecord(self._refusals, asked.key, self._codec.encode(COMMAND_REFUSED, data), headers, id_)

    @staticmethod
    def _links(decided: Decided) -> Headers:
        headers, id_ = decided.asked.headers, decided.asked.id.encode()
        links: Headers = [("ce_correlationid", headers.get("ce_correlationid") or id_), ("ce_causationid", id_)]
        if "traceparent" in headers:
            links.append(("traceparent", headers["traceparent"]))
        if "ce_processid" in headers:
            links.append(("ce_processid", headers["ce_processid"]))
        return links
