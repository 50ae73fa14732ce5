"""Records that nobody can read, and the skips by which a person lets every reader pass over them.

A batch whose body is broken cannot be read by any client: Kafka's client reports it again and again, and its position stays. A
skip is a record of the dead-letter topic of the same domain, in the partition of its origin, without key and value, with the
headers `eventfold-state` (`skipped`), `eventfold-origin` (`topic/partition@offset`, the first offset), `eventfold-until` (the
offset behind the last), `eventfold-error` (why) and `eventfold-owner` (`every-reader`). A reader looks for one only once its
client has reported that it cannot read a record, so a record that can be read is never passed over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from eventfold.kafka.clients import made
from eventfold.kafka.errors import Kind, kind_of, no_topic, said, told
from eventfold.kafka.publisher import Publisher
from eventfold.kafka.settings import KafkaSettings
from eventfold.schemas.envelope import Headers, as_mapping
from eventfold.schemas.errors import EventfoldError, NoAnswer, NotFoundError, UsageError
from eventfold.schemas.names import Names
from eventfold.schemas.own import NAME
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place

SKIPPED = "skipped"
_STATE, _ORIGIN, _UNTIL, _ERROR, _OWNER = (f"{NAME}-{name}" for name in ("state", "origin", "until", "error", "owner"))
_EVERY_READER = b"every-reader"
_LONGEST = 1_000
_SILENT_S = 10.0
_WAIT_S = 0.25


class UnreadableError(NoAnswer):
    """A record that nobody can read, and that no skip lets readers pass over; asked again, it may be skipped by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """The offsets from that of `origin` up to `until`, which is not included, and why nobody can read them."""

    origin: Position
    until: int
    why: str

    def __str__(self) -> str:
        last = self.until - 1
        return str(self.origin) if last <= self.origin.offset else f"{self.origin} to {last}"


def is_unreadable(error: KafkaError) -> bool:
    """Whether an error in place of a record says that the record cannot be read, now or later."""
    return kind_of(error) in (Kind.UNREADABLE, Kind.TOO_LARGE)


def where(message: Message) -> Position:
    """The position that an error in place of a record names."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    return Position(topic or "", -1 if partition is None else partition, -1 if offset is None else offset)


def nobody_can_read(at: Position, error: KafkaError) -> str:
    """The sentence about a record that cannot be read."""
    return (
        f"nobody can read the records from {at} on: {said(error)}; if the log cannot be restored (docs/backup.md), give them "
        f"up: `eventfold dead-letters skip {at}`"
    )


class Skips:
    """Reads and writes skips. It remembers what it has read, and reads only what was written since."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._names = Names(prefix=settings.prefix)
        self._next: dict[Place, int] = {}
        self._found: dict[Place, list[Skip]] = {}

    def until(self, at: Position) -> int | None:
        """The offset from which on a reader goes on; None where no skip has this offset. Errors as `of`."""
        found = self.of((at.topic, at.partition))
        return next((skip.until for skip in found if skip.origin.offset <= at.offset < skip.until), None)

    def of(self, place: Place) -> list[Skip]:
        """Every skip in a partition, in the order in which they were asked for.

        EventfoldError when the dead-letter topic cannot be read; where there is none, nothing was skipped.
        """
        box = self._names.letters_of(place[0]), place[1]
        self._read(box)
        return [skip for skip in self._found.get(box, ()) if skip.origin[:2] == place]

    def write(self, skip: Skip) -> None:
        """Return once Kafka has it; errors as `eventfold.kafka.publisher.Publisher`."""
        headers: Headers = [
            (_OWNER, _EVERY_READER),
            (_ORIGIN, str(skip.origin).encode()),
            (_UNTIL, b"%d" % skip.until),
            (_ERROR, skip.why[:_LONGEST].encode(errors="replace")),
            (_STATE, SKIPPED.encode()),
        ]
        publisher = Publisher(self._settings)
        topic = self._names.letters_of(skip.origin.topic)
        publisher.send(topic, None, None, headers, partition=skip.origin.partition)
        publisher.flush()

    def _read(self, box: Place) -> None:
        """Read on in a dead-letter partition up to its end."""
        with _consumer(self._settings) as consumer:
            try:
                topic = consumer.list_topics(box[0], timeout=_SILENT_S).topics[box[0]]
            except KafkaException as fault:
                raise NoAnswer(f"the skips in {box[0]} cannot be read: Kafka says: {told(fault)}") from fault
            if topic.error is not None or box[1] not in topic.partitions:
                return
            consumer.assign([TopicPartition(*box, self._next.get(box, OFFSET_BEGINNING))])
            for message in _heard(consumer):
                error = message.error()
                if error is None:
                    self._note(box, message)
                    self._next[box] = where(message).offset + 1
                elif kind_of(error) is Kind.PARTITION_END:
                    return
                elif is_unreadable(error):
                    # Of a letter that cannot be read nothing depends on but that a reader stands still.
                    beyond = unreadable_at(self._settings, where(message))
                    consumer.seek(TopicPartition(*box, where(message).offset + 1 if beyond is None else beyond.until))
                elif kind_of(error) is Kind.OFFSET_GONE:
                    # The topic was made anew.
                    self._next.pop(box, None)
                    self._found.pop(box, None)
                    consumer.assign([TopicPartition(*box, OFFSET_BEGINNING)])
                elif kind_of(error) is not Kind.PASSES:
                    raise EventfoldError(f"the skips in {box[0]}/{box[1]} cannot be read: Kafka says: {told(error)}")

    def _note(self, box: Place, message: Message) -> None:
        headers = as_mapping(message.headers())
        if headers.get(_STATE) != SKIPPED.encode():
            return
        try:
            origin, until = Position.parse(headers[_ORIGIN].decode()), int(headers[_UNTIL])
        except (KeyError, ValueError, UsageError):
            # No skip of ours; whoever wrote it lets nobody pass.
            return
        why = headers.get(_ERROR, b"").decode(errors="replace")
        self._found.setdefault(box, []).append(Skip(origin=origin, until=until, why=why))


def unreadable_at(settings: KafkaSettings, at: Position) -> Skip | None:
    """What nobody can read at a position, as far as it goes; None where a reader can read on.

    It tries to read from one offset after another, further and further on, and then halves the distance. NotFoundError for
    an offset that the log does not have, NoAnswer when Kafka is silent.
    """
    with _consumer(settings) as consumer:
        found = _tried(consumer, at)
        if found is None:
            return None
        first, error = min(found[0], at.offset), found[1]

        def within(offset: int) -> bool:
            """Whether the offset is unreadable for the same reason: the client names the first offset of a batch."""
            try:
                tried = _tried(consumer, at._replace(offset=offset))
            except NotFoundError:
                return False
            return tried is not None and (tried[0] <= first or (tried[0] == offset and not _names_batch(error)))

        last, step = at.offset, 1
        while within(last + step):
            last += step
            # Where the client names no batch, each offset is tried: there may be one between two that can be read.
            step = step * 2 if _names_batch(error) else 1
        behind = last + step
        while behind - last > 1:
            middle = (last + behind) // 2
            last, behind = (middle, behind) if within(middle) else (last, middle)
    return Skip(origin=at._replace(offset=first), until=behind, why=said(error))


def _names_batch(error: KafkaError) -> bool:
    return bool(error.code() == KafkaError._BAD_COMPRESSION)


def _tried(consumer: Consumer, at: Position) -> tuple[int, KafkaError] | None:
    """The offset that an error names where there is one; None where there is a record, or the end."""
    consumer.assign([TopicPartition(*at)])
    for message in _heard(consumer):
        error = message.error()
        if error is None or kind_of(error) is Kind.PARTITION_END:
            return None
        if is_unreadable(error):
            return where(message).offset, error
        if kind_of(error) is Kind.OFFSET_GONE:
            raise NotFoundError(f"the log has nothing at {at}: see `eventfold doctor`")
        if kind_of(error) in (Kind.TOPIC_MISSING, Kind.TOPIC_UNKNOWN):
            raise NotFoundError(no_topic(at.topic))
        if kind_of(error) is not Kind.PASSES:
            raise EventfoldError(f"Kafka says: {told(error)}")
    return None


def _heard(consumer: Consumer) -> Iterator[Message]:
    """What comes; NoAnswer when nothing does for ten seconds."""
    deadline = time.monotonic() + _SILENT_S
    while time.monotonic() < deadline:
        message = consumer.poll(_WAIT_S)
        if message is not None:
            yield message
            deadline = time.monotonic() + _SILENT_S
    raise NoAnswer(f"Kafka has sent nothing for {_SILENT_S:g} s")


@contextmanager
def _consumer(settings: KafkaSettings) -> Iterator[Consumer]:
    few = {"fetch.error.backoff.ms": 10, "queued.min.messages": 1, "max.partition.fetch.bytes": 65_536}
    consumer = made(Consumer, settings, settings.consumer(f"{settings.prefix}{NAME}.skips", **few))
    try:
        yield consumer
    finally:
        consumer.close()
