"""`eventfold history` and `eventfold event`: events as they lie in the log, with when, where, and who caused what."""

from __future__ import annotations

import shutil
import sys

import click

from eventfold.processors.lookup.history import History
from eventfold.producers.handed import HISTORY, handed
from eventfold.schemas.errors import UsageError
from eventfold.schemas.ids import checked_id, checked_key
from eventfold.schemas.terminal import say
from eventfold.tools.log.told import told
from eventfold.tools.show import show

pass_history = handed(HISTORY)
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
    rows = [told(past.codec, record) for record in past.of_domain(domain, checked_key(id)).records]
    if not as_json and (with_data or _narrow()):
        columns = (*_COLUMNS, "data", "error") if with_data else _COLUMNS
        for number, row in enumerate(rows):
            if number:
                say()
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
    row = {"key": key.decode(errors="replace") if isinstance(key, bytes) else key, **told(past.codec, record)}
    show(row, as_json)


def _checked(id_: str) -> str:
    try:
        return checked_id(id_)
    except UsageError:
        raise UsageError(f"{id_!r} is not an event's id; it must be a UUID") from None


def _narrow() -> bool:
    """Whether a terminal would cut the table."""
    return sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE
