"""Dead letters: the records of `<domain>.dead-letters`, each in the partition that its origin has.

A letter is a record as it came, key, value and headers, and these headers more: `eventfold-owner` (the projection, the process
manager, or `<domain>.handler`), `eventfold-generation` (of a projection), `eventfold-origin` (`topic/partition@offset`),
`eventfold-error`, and `eventfold-state`: `parked`. One with the state `retried` or `discarded` has no value and ends the
letter of the same owner and origin; one with the state `skipped` is none (see `eventfold.kafka.skips`). What is too large to be
written again is left out, and named in `eventfold-left-out`.
Who parks may do it twice (its write is not atomic with Redis): owner, generation and origin say that it is the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eventfold.kafka.domain_topics import LARGEST_RECORD
from eventfold.schemas.envelope import Headers, as_mapping
from eventfold.schemas.own import NAME, unprefixed
from eventfold.schemas.position import Position
from eventfold.schemas.record import ProducerRecord, Record

PARKED, RETRIED, DISCARDED = "parked", "retried", "discarded"
_OWN = f"{NAME}-"
_LONGEST = 4_000
# Together they leave room for the rest of a record of eventfold.kafka.domain_topics.LARGEST_RECORD.
_LARGEST_VALUE, _LARGEST_HEADERS = LARGEST_RECORD - (1 << 20), 500_000
_SHOWN, _NAMED = 100, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter.

    owner: who could not work on it. generation: of an owner that is a projection, else empty. origin: where the record
    lies, key and value as they are there. headers: those of the record. error: what went wrong. left_out: what of the record is
    missing here, `key`, `value` or a header by its name.
    """

    owner: str
    generation: str = ""
    origin: Position
    key: bytes | None
    value: bytes | None
    headers: Headers
    error: str
    state: str = PARKED
    left_out: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, Position]:
        """By which two records are of one letter."""
        return self.owner, self.generation, self.origin

    def to_record(self, topic: str) -> ProducerRecord:
        """What to write to the dead-letter topic, into the partition of the origin."""
        headers: Headers = [
            *((name, value) for name, value in self.headers if unprefixed(name, "-") is None),
            (f"{_OWN}owner", self.owner.encode()),
            (f"{_OWN}origin", str(self.origin).encode()),
            (f"{_OWN}error", self.error[:_LONGEST].encode(errors="replace")),
            (f"{_OWN}state", self.state.encode()),
        ]
        if self.generation:
            headers.append((f"{_OWN}generation", self.generation.encode()))
        if self.left_out:
            headers.append((f"{_OWN}left-out", " ".join(self.left_out).encode()))
        return ProducerRecord(topic, self.key, self.value if self.state == PARKED else None, headers)


def handler_name(domain: str) -> str:
    """Who owns the commands of a domain that could not be decoded."""
    return f"{domain}.handler"


def parked(owner: str, record: Record, error: str, generation: str = "") -> Letter:
    """The letter of a record that `owner` could not work on."""
    topic, partition, offset, key = record.topic(), record.partition(), record.offset(), record.key()
    key, value, left_out = key.encode() if isinstance(key, str) else key, record.value(), []
    if key is not None and len(key) > _LONGEST:
        key, left_out = None, ["key"]
    if value is not None and len(value) > _LARGEST_VALUE:
        value, left_out = None, [*left_out, "value"]
    headers: Headers = []
    room = _LARGEST_HEADERS
    for name, of in as_mapping(record.headers()).items():
        room -= len(name.encode()) + len(of)
        if room < 0:
            left_out.append(name.encode()[:_SHOWN].decode(errors="replace").replace(" ", "_"))
            room += len(name.encode()) + len(of)
        else:
            headers.append((name, of))
    return Letter(
        owner=owner,
        generation=generation,
        origin=Position(topic, partition, offset),
        key=key,
        value=value,
        headers=headers,
        error=error,
        left_out=tuple(left_out[:_NAMED]),
    )


def own_headers(record: Record) -> dict[str, bytes]:
    """What a record of a dead-letter topic says of itself as a letter: `owner`, `origin` and so on."""
    return {own: value for name, value in as_mapping(record.headers()).items() if (own := unprefixed(name, "-")) is not None}


def read(record: Record, handler: str) -> Letter:
    """The letter in a record of a dead-letter topic; `handler` owns those that name no owner."""
    headers, found = as_mapping(record.headers()), own_headers(record)

    def own(name: str, default: str = "") -> str:
        return found.get(name, default.encode()).decode(errors="replace")

    key = record.key()
    return Letter(
        owner=own("owner", handler),
        generation=own("generation"),
        origin=Position.parse(own("origin")),
        key=key.encode() if isinstance(key, str) else key,
        value=record.value(),
        headers=[(name, value) for name, value in headers.items() if unprefixed(name, "-") is None],
        error=own("error"),
        state=own("state", PARKED),
        left_out=tuple(own("left-out").split()),
    )


def open_letters(letters: Iterable[Letter]) -> list[Letter]:
    """Those of one partition, in their order, that were not retried or discarded since; each once."""
    found: dict[tuple[str, str, Position], Letter] = {}
    for letter in letters:
        if letter.state == PARKED:
            found.setdefault(letter.identity, letter)
        else:
            found.pop(letter.identity, None)
    return list(found.values())
