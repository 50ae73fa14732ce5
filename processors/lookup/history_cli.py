"""`logfold history` and `logfold event`: events as they lie in the log, with when, where, and who caused what."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import click
from confluent_kafka import Message

from processors.lookup.history import History
from projections.show import show
from schemas.codec import Codec
from schemas.envelope import as_mapping
from schemas.errors import DecodeError, UsageError
from schemas.ids import checked_id, checked_key
from schemas.position import Position
from schemas.times import iso, millis

META = "logfold.history"
pass_history = click.decorators.pass_meta_key(META)
_IDS = ("event_id", "causation_id", "correlation_id", "source")
_COLUMNS = ("version", "type", "schema_version", "happened", "recorded", "position", *_IDS)
_WIDE = 240


@click.command()
@click.argument("domain")
@click.argument("id", metavar="ID")
@click.option("--data", "with_data", is_flag=True, help="Show the events' data too; JSON has it always.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_history
def history(past: History, domain: str, id: str, with_data: bool, as_json: bool) -> None:
    """List the events of an aggregate of DOMAIN in the log's order: when each happened (ce_time), when the log took it,
    where it lies, which command caused it (causation_id).
    """
    rows = [_row(past.codec, record) for record in past.of_domain(domain, checked_key(id)).records]
    if not as_json and (with_data or _narrow()):
        columns = (*_COLUMNS, "data", "error") if with_data else _COLUMNS
        for number, row in enumerate(rows):
            click.echo("", nl=number > 0)
            show({name: row[name] for name in columns if name in row}, False)
    else:
        show(rows, as_json, _COLUMNS)


@click.command()
@click.argument("id", metavar="ID")
@click.option("--domain", help="Look only there; by default in every enabled domain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_history
def event(past: History, id: str, domain: str | None, as_json: bool) -> None:
    """Show the event whose own id is ID (a UUID), wherever it lies."""
    record = past.event(_checked(id), domain)
    key = record.key()
    row = {"key": key.decode(errors="replace") if isinstance(key, bytes) else key, **_row(past.codec, record)}
    show(row, as_json)


def _checked(id_: str) -> str:
    try:
        return checked_id(id_)
    except UsageError:
        raise UsageError(f"{id_!r} is not an event's id; it must be a UUID") from None


def _row(codec: Codec, record: Message) -> dict[str, Any]:
    """What a record tells; what a foreign one lacks is None. An event that cannot be decoded has no data but an `error`.

    `schema_version` is the one it was written with; the data is in the form of the newest.
    """
    headers = {name: value.decode(errors="replace") for name, value in as_mapping(record.headers()).items()}
    place: Any = (record.topic(), record.partition(), record.offset())
    row: dict[str, Any] = {
        "version": _number(headers.get("ce_sequence")),
        "type": headers.get("ce_type"),
        "schema_version": None,
        "happened": _time(headers.get("ce_time")),
        "recorded": iso(record.timestamp()[1]),
        "position": str(Position(*place)),
        "event_id": headers.get("ce_id"),
        "causation_id": headers.get("ce_causationid"),
        "correlation_id": headers.get("ce_correlationid"),
        "source": headers.get("ce_source"),
        "data": None,
    }
    try:
        row["schema_version"] = codec.written(record.value()).version
        row["type"], row["data"] = codec.shown(record.value())
    except DecodeError as error:
        row["error"] = str(error)
    return row


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text


def _time(text: str | None) -> str | None:
    """In UTC, whatever zone a foreign producer wrote it in; as it stands where it is no time."""
    try:
        return None if text is None else iso(millis(text))
    except UsageError:
        return text


def _narrow() -> bool:
    """Whether a terminal would cut the table."""
    return sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE
