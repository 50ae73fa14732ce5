"""`eventfold publish`: pure facts straight into a domain's events, where there is nothing to decide."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import click
import orjson

from eventfold.kafka.domain_topics import LARGEST_EVENT
from eventfold.kafka.publisher import BULK_S, NotSentError, PublishError
from eventfold.producers.cli import SOURCE, pass_write_side
from eventfold.producers.commands import checked_time
from eventfold.producers.write_side import WriteSide
from eventfold.schemas import own
from eventfold.schemas.envelope import Envelope
from eventfold.schemas.errors import EventfoldError, UsageError
from eventfold.schemas.faults import told
from eventfold.schemas.ids import checked_id, checked_key, derived_id, new_id
from eventfold.schemas.json_text import parse_json
from eventfold.schemas.position import Position
from eventfold.schemas.terminal import say, say_json
from eventfold.schemas.times import millis

# JSON may spell each byte of an event as `\u00ff`.
_LONGEST_LINE = 6 * LARGEST_EVENT


@click.command()
@click.argument("type", metavar="TYPE")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--key", "key_field", required=True, help="The field whose value is the record's key; one of a record inside as `place.id`."
)
@click.option(
    "--time", "time_field", help="The field, likewise, that says when it happened (RFC 3339, or ms since 1970); else now."
)
@click.option("--batch-id", help="A UUID from which the events' ids follow: the same file sent again has the same ids.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_write_side
def publish(
    write_side: WriteSide,
    type: str,
    file: IO[bytes],
    key_field: str,
    time_field: str | None,
    batch_id: str | None,
    as_json: bool,
) -> None:
    """Publish events of TYPE (weather.Observed) from FILE or stdin, one JSON object a line.

    Only for domains without a decider: a log that has one is written by its handler alone. Every line is checked
    before the first one is sent when FILE is a file that can be read twice.
    """
    domain = type.partition(".")[0]
    if write_side.decides(domain):
        raise UsageError(f"{domain!r} has a decider: its events are written by its handler alone; send it commands")
    if type not in write_side.codec.catalog.types(domain, "events"):
        raise UsageError(f"{type!r} is no event of an enabled domain; there are: {_all_events(write_side)}")
    batch = checked_id(batch_id) if batch_id else new_id()
    if file.seekable():
        for number, data in _lines(file):
            _event(write_side, type, number, data, key_field, time_field, batch)
        file.seek(0)
    publisher = write_side.publisher(linger_ms=20)
    topic, sent, number = write_side.names.events(domain), 0, 0

    def delivered(_: Position) -> None:
        nonlocal sent
        sent += 1

    try:
        for number, data in _lines(file):
            envelope, value = _event(write_side, type, number, data, key_field, time_field, batch)
            publisher.send(topic, envelope.subject, value, envelope.to_headers(), delivered)
        publisher.flush(BULK_S)
    except (NotSentError, PublishError, UsageError) as error:
        # A line from a pipe is not looked at before those ahead of it are sent.
        with suppress(EventfoldError):
            publisher.flush()
        error.args = (f"{error} (read up to line {number}; published: {sent:,} events of the batch {batch})",)
        raise
    if as_json:
        say_json(orjson.dumps({"topic": topic, "published": sent, "batch_id": batch}))
    else:
        say(f"{sent:,} events published to {topic}, batch {batch}")


def _all_events(write_side: WriteSide) -> str:
    return ", ".join(
        sorted(s.type for s in write_side.codec.catalog.schemas if s.kind == "events" and s.domain not in own.NAMES)
    )


def _lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
        if len(line) > _LONGEST_LINE:
            raise UsageError(f"{file.name} line {number}: it has more than {_LONGEST_LINE:,} bytes, which no event has")
        if not line.strip():
            continue
        try:
            data = parse_json(line)
        except ValueError as error:
            raise UsageError(f"{file.name} line {number}: not JSON: {error}") from None
        if not isinstance(data, dict):
            raise UsageError(f"{file.name} line {number}: not a JSON object")
        yield number, data


def _event(
    write_side: WriteSide,
    type_: str,
    number: int,
    data: dict[str, Any],
    key_field: str,
    time_field: str | None,
    batch: str,
) -> tuple[Envelope, bytes]:
    try:
        key = _key(_inside(data, key_field))
        at = _time(_inside(data, time_field)) if time_field else time.time_ns() // 1_000_000
        value = write_side.codec.encode(type_, write_side.codec.from_json(type_, data))
    except UsageError as error:
        raise UsageError(f"line {number}: {error}") from None
    envelope = Envelope(
        id=derived_id(batch, str(number)),
        type=type_,
        source=SOURCE,
        time=at,
        subject=key,
        correlation_id=batch,
    )
    return envelope, value


def _inside(data: Any, path: str) -> Any:
    """What the data has under `a`, or of `a.b` what lies under `b` there. No field of Avro has a dot in its name."""
    at = ""
    for name in path.split("."):
        if not isinstance(data, dict):
            raise UsageError(f"there is no field {path!r}: {at!r} is {told(data)}")
        at = f"{at}.{name}" if at else name
        if name not in data:
            raise UsageError(f"there is no field {at!r}")
        data = data[name]
    return data


def _key(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f"{value!r} cannot be a key: text or a whole number can")
    return checked_key(str(value))


def _time(value: Any) -> int:
    return checked_time(value) if isinstance(value, int) else millis(str(value))
