"""What lies in the log that no writer may write any more: a text that is no UUID, a time that no calendar shows, a strange key.

It was written when less was checked, or by others, and is read and folded as it is. Code that takes such a field for what its
type says may fail on it, so somebody should know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from eventfold.kafka.range_reader import RangeReader, Span
from eventfold.kafka.topics import Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.ids import checked_key
from eventfold.schemas.record import Record

SAMPLE = 500
"""Of so many events at the beginning of a partition, and at its end, doctor looks at each one."""


def found_in(runtime: Runtime, domains: Sequence[str], every: bool) -> Iterator[str]:
    """A sentence for each event of these domains' logs that no writer may write any more.

    every: whether to look at all events; else at the first and last SAMPLE of each partition. What cannot be decoded at all is
    left to those who fold it.
    """
    topics, codec = Topics(runtime.kafka), runtime.codec()
    known = topics.existing([runtime.names.events(domain) for domain in domains])
    places = [(name, partition) for name, info in known.items() for partition in range(info.partitions)]
    starts, ends = topics.starts(places), topics.ends(places, committed=True)
    log = RangeReader(runtime.kafka, runtime.names.topic("eventfold.doctor"))
    spans = [(place, span) for place in places for span in _spans(starts[place], ends[place], every)]
    # A partition's second span is read by another consumer.
    first, second = dict(reversed(spans)), dict(spans)
    again = {place: span for place, span in second.items() if first[place] != span}
    for record in chain(log.scan(first), log.scan(again)):
        for wrong in wrong_in(codec, record):
            yield f"{record.topic()}/{record.partition()}@{record.offset()} key {record.key()!r}: {wrong}"


def _spans(start: int, end: int, every: bool) -> Iterable[Span]:
    if start >= end:
        return []
    if every or end - start <= 2 * SAMPLE:
        return [(start, end)]
    return [(start, start + SAMPLE), (end - SAMPLE, end)]


def wrong_in(codec: Codec, record: Record) -> list[str]:
    """What of an event, its key or its data, no writer may write any more, a sentence each."""
    found = []
    try:
        checked_key((record.key() or b"").decode())
    except (UsageError, UnicodeDecodeError) as error:
        found.append(str(error))
    try:
        codec.check(*codec.decode(record.value()))
    except DecodeError:
        pass
    except UsageError as error:
        found.append(str(error))
    return found
