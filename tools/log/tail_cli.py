"""`eventfold tail`: the records of a topic, decoded."""

from __future__ import annotations

import itertools
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import click
import orjson

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import TopicInfo, Topics
from eventfold.processors.runtime import Runtime
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.envelope import as_mapping
from eventfold.schemas.errors import UsageError
from eventfold.schemas.partitioner import partition_of
from eventfold.schemas.position import Position
from eventfold.schemas.record import Place, Record
from eventfold.schemas.terminal import line, say, say_json
from eventfold.schemas.times import millis
from eventfold.store.parked import shown
from eventfold.tools.log.foreign import foreign_records
from eventfold.tools.log.tail import Tail, Wanted
from eventfold.tools.log.told import told
from eventfold.tools.log.topic import found
from eventfold.tools.run_cli import json_option, pass_runtime

_LAST = 10
# Many partitions are read at once, each for itself.
_AHEAD_KB = 4_096
_HEX = 64
_IN_PARTITION = re.compile(r"(\d{1,9})@(\d{1,18})", re.ASCII)


@click.command()
@click.argument("topic")
@click.option(
    "--from",
    "begin",
    multiple=True,
    metavar="WHERE",
    help="beginning, end, a time (RFC 3339), or a position: topic/partition@offset or partition@offset, one a partition. "
    f"By default the last {_LAST} records.",
)
@click.option("--key", help="Only records of this key.")
@click.option("--type", "types", multiple=True, help="Only these: FlightDeparted, or flights.FlightDeparted.")
@click.option("-n", "--number", type=click.IntRange(1, 10**9), help="So many at most: the last ones, or with --from the first.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@json_option
@pass_runtime
def tail(
    runtime: Runtime,
    topic: str,
    begin: tuple[str, ...],
    key: str | None,
    types: tuple[str, ...],
    number: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the committed records of TOPIC (flights.events), a line each: position, when it was recorded, type, version of
    its schema, key, data.

    Partitions are merged by time. What cannot be decoded is shown as bytes, with the reason. --json shows all of a record.
    Of a topic that others write, records are shown as the projection that reads it declares them, under the event's key.
    """
    topics, codec = Topics(runtime.kafka), runtime.codec()
    info = found(topics, runtime.names, topic)
    raw = None if key is None else key.encode()
    foreign = foreign_records(runtime, codec, info.name)
    tell = partial(told, codec) if foreign is None else foreign.told
    wanted = Wanted(codec=codec, foreign=foreign, key=raw, types=_types(codec.catalog, types, info.name))
    reading = Tail(RangeReader(runtime.kafka, runtime.names.topic("eventfold.tail"), _AHEAD_KB), wanted)
    places = _places(runtime, info, raw)
    ends = topics.ends(places, committed=True)
    firsts = topics.starts(places)
    if begin:
        starts = _starts(topics, info, begin, firsts, ends)
        ends = {place: max(ends[place], start) for place, start in starts.items()}
        records: Iterable[Record] = itertools.islice(reading.between(starts, ends), number)
    else:
        records = reading.last(number or _LAST, firsts, ends)
    count = 0
    for count, record in enumerate(records, start=1):  # noqa: B007
        _show(tell(record), record, as_json)
    if follow:
        left = number - count if begin and number is not None else None
        for record in itertools.islice(reading.follow(ends), left):
            _show(tell(record), record, as_json)
    elif not count:
        say("nothing to show", err=True)


def _types(catalog: Catalog, given: Sequence[str], topic: str) -> frozenset[str] | None:
    """The full names of what is called so, fully or in short."""
    there = {message.type: message.domain for message in catalog.schemas}
    names: set[str] = set()
    for name in given:
        of = {type_ for type_ in there if name in (type_, type_.rpartition(".")[2])}
        if not of:
            fit = sorted(type_ for type_, domain in there.items() if f".{domain}." in f".{topic}")
            raise UsageError(f"no message is called {name!r}; there are: {', '.join(fit or sorted(there))}")
        names |= of
    return frozenset(names) if names else None


def _places(runtime: Runtime, info: TopicInfo, key: bytes | None) -> list[Place]:
    """Where to look: what handlers write lies where its key says, and nothing else is sure to."""
    own = {topic for domain in runtime.domains for topic in (runtime.names.events(domain), runtime.names.refusals(domain))}
    if key is not None and info.name in own:
        return [(info.name, partition_of(key, info.partitions))]
    return [(info.name, partition) for partition in range(info.partitions)]


def _starts(
    topics: Topics, info: TopicInfo, begin: Sequence[str], firsts: dict[Place, int], ends: dict[Place, int]
) -> dict[Place, int]:
    """Where to begin in each partition; those of which no position is given are left out."""
    if len(begin) == 1:
        if begin[0] == "beginning":
            return firsts
        if begin[0] == "end":
            return ends
        if _position(info, begin[0]) is None:
            return topics.at(ends, _time(begin[0]), ends)
    starts: dict[Place, int] = {}
    for text in begin:
        position = _position(info, text)
        if position is None:
            raise UsageError(f"--from {text!r}: only positions can be given several times, one a partition")
        place = (position.topic, position.partition)
        if place[0] != info.name or position.partition >= info.partitions:
            raise UsageError(f"--from {text!r}: {info.name} has no such partition; it has {info.partitions}")
        if place in starts:
            raise UsageError(f"--from {text!r}: another position of the partition {position.partition} is given too")
        if place in firsts:
            starts[place] = max(position.offset, firsts[place])
    return starts


def _position(info: TopicInfo, text: str) -> Position | None:
    if match := _IN_PARTITION.fullmatch(text):
        return Position(info.name, int(match[1]), int(match[2]))
    return Position.parse(text) if "/" in text else None


def _time(text: str) -> int:
    try:
        return millis(text)
    except UsageError as error:
        what = "beginning, end, topic/partition@offset, partition@offset nor a time"
        raise UsageError(f"--from {text!r} is neither {what}: {error}") from None


def _show(row: dict[str, Any], record: Record, as_json: bool) -> None:
    key: Any = row.get("key", record.key())
    row["key"] = shown(key) if isinstance(key, bytes) else key
    if as_json:
        row["headers"] = {name: shown(value) for name, value in as_mapping(record.headers()).items()}
        if "error" in row:
            value = record.value()
            row["value_base64"] = None if value is None else b64encode(value).decode()
        say_json(orjson.dumps(row))
        return
    type_ = "-" if row["type"] is None else row["type"]
    if row["schema_version"] is not None:
        type_ += f" v{row['schema_version']}"
    data = orjson.dumps(row["data"]).decode() if "error" not in row else f"{row['error']}{_hex(record.value())}"
    say("  ".join(map(line, (row["position"], row["recorded"], type_, row["key"] or "-", data))))


def _hex(value: bytes | None) -> str:
    if not value:
        return ""
    return f": {value[:_HEX].hex(' ')}" + (f" and {len(value) - _HEX} bytes more" if len(value) > _HEX else "")
