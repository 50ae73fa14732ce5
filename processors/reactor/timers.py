"""The deadlines of a process manager as a read model: which ones run, by when they are due.

A table a deadline, a row a key: `due` (ms), and of the event that started it `id`, `correlation`, `process`, `trace`, `type`,
`data` (as `schemas.forms.kept` has it) and, where somebody is known to have asked for it, `actor` (id and kind). An event that
ends it deletes the row; one that starts it again replaces it. A pure fold: after a loss of Redis the log gives back what still
runs.
"""

from __future__ import annotations

from functools import partial

from eventfold.producers.process_manager import Deadline, ProcessManager
from eventfold.projections.projection import Index, Projection, Table
from eventfold.schemas.envelope import actor_of, as_mapping, correlation_of, trace_of
from eventfold.schemas.event import Event
from eventfold.schemas.forms.kept import kept
from eventfold.store.rows import Row


def timers_of(manager: ProcessManager) -> Projection | None:
    """`<process manager>-timers`, or None where it declares no deadline."""
    if not manager.deadlines:
        return None
    timers = Projection(
        name=timers_name(manager.name),
        version=manager.version,
        topics=tuple(f"{domain}.events" for domain in manager.domains),
        tables=tuple(Table(name=name, indexes=(Index(name=index_name(name), member=_due),)) for name in manager.deadlines),
        on_failure=manager.on_failure,
    )
    for deadline in manager.deadlines.values():
        # An event that is named as both begins it anew.
        ends = [type_ for type_ in deadline.ends if type_ not in deadline.starts]
        if ends:
            timers.on(*ends, table=deadline.name, reads=())(_ended)
        timers.on(*deadline.starts, table=deadline.name, reads=deadline.reads)(partial(_started, manager.name, deadline))
    return timers


def timers_name(manager: str) -> str:
    return f"{manager}-timers"


def index_name(deadline: str) -> str:
    """Of the index by due time; no table can be called so."""
    return f"{deadline}.due"


def due_text(ms: int) -> str:
    """A time as the index orders it, its only part; what is due before 1970 is due at once anyway."""
    return f"{max(ms, 0):015d}"


def _due(key: str, row: Row) -> str:
    return due_text(row["due"])


def _started(manager: str, deadline: Deadline, row: Row | None, event: Event) -> Row | None:
    due = event.data[deadline.due]
    if due is None:
        return None
    if due.__class__ is not int:
        raise TypeError(f"{deadline.due!r} must be a timestamp-millis, not {due!r}")
    headers = {} if event.record is None else as_mapping(event.record.headers())
    mine, _, process = headers.get("ce_processid", b"").decode(errors="replace").partition("/")
    actor = actor_of(headers)
    return {
        "due": due,
        "id": headers.get("ce_id", b"").decode(errors="replace"),
        "correlation": correlation_of(headers),
        "process": process if mine == manager and process else event.key,
        "trace": trace_of(headers) or "",
        "type": event.type,
        "data": kept(event.data),
        **({} if actor is None else {"actor": [*actor]}),
    }


def _ended(row: Row | None, event: Event) -> None:
    return None
