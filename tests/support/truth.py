"""What a read model must be: the log, folded in plain Python with nothing of eventfold but the codec and the declared steps."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xxhash import xxh3_128_intdigest

from eventfold.projections.projection import Projection
from eventfold.schemas.codec import Codec
from eventfold.schemas.event import Event
from tests.support import log
from tests.support.sandbox import Sandbox

Tables = Mapping[str, Mapping[tuple[str, int, str], bytes]]
_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Every row, by table and then by topic, partition and key; the members of each index, by index, topic and partition."""

    tables: dict[str, dict[tuple[str, int, str], bytes]]
    indexes: dict[str, dict[tuple[str, int], set[str]]]


def read_log(sandbox: Sandbox, domain: str = "flights") -> list[tuple[int, Event]]:
    """Every committed event with its partition, in the order of the log."""
    return list(_events(sandbox.installation.codec, log.read(sandbox, f"{domain}.events")))


def folded(projection: Projection, topic: str, events: Iterable[tuple[int, Event]]) -> Truth:
    """The fold of these events of one topic: a dict a row, one step after the other."""
    rows: dict[tuple[str, int, str], Any] = {}
    for partition, event in events:
        for route in projection.routes.get(event.type, ()):
            key = route.key_of(event)
            if key is not None:
                place = (route.table, partition, key)
                rows[place] = route.step(rows.get(place), event)
    truth = Truth(tables={table.name: {} for table in projection.tables}, indexes=defaultdict(lambda: defaultdict(set)))
    for (table, partition, key), row in rows.items():
        if row is None:
            continue
        truth.tables[table][topic, partition, key] = canonical(row)
        for index in projection.table(table).indexes:
            parts = index.member(key, row)
            if parts is not None:
                # As it lies in Redis where no part is empty or holds a control character.
                members = truth.indexes[index.name][topic, partition]
                members.add("\0".join((*((parts,) if isinstance(parts, str) else parts), "", key)))
    return truth


def canonical(row: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no blanks."""
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digests(tables: Tables) -> dict[tuple[str, int], dict[str, str]]:
    """What each slice must say of its tables: the sum of the digests of their rows, by topic and partition; no zeros."""
    sums: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for table, rows in tables.items():
        for (topic, partition, key), row in rows.items():
            sums[topic, partition][table] += xxh3_128_intdigest(key.encode() + b"\0" + row)
    return {place: {table: f"{total % _MODULUS:032x}" for table, total in of.items()} for place, of in sums.items()}


def counted(events: Iterable[tuple[int, Event]]) -> dict[str, Counter[str]]:
    """How many events of each kind (`departed`) every carrier has, by what the events say and without any step."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for _, event in events:
        counts[event.data["carrier"]][event.type.removeprefix("flights.Flight").lower()] += 1
    return counts


def _events(codec: Codec, records: Iterable[log.Record]) -> Iterable[tuple[int, Event]]:
    for record in records:
        message = codec.decode(record.value)
        assert record.key is not None
        yield record.partition, Event(message.type, record.key, message.data)
