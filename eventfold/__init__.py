"""Event sourcing and CQRS on Apache Kafka: what a domain is declared with, and the client that uses one.

`eventfold.testing` tests declarations without Kafka and Redis; `eventfold.producers.cli` has what a domain's commands are made
with. Whatever else is imported from the rooms below is not promised to stay. A name is loaded when it is first asked for, so
that importing this costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventfold.client import Client
    from eventfold.kafka.publisher import NotSentError, PublishError
    from eventfold.processors.lookup.changing import ConflictError
    from eventfold.processors.lookup.loading import Loaded
    from eventfold.producers.commands import Command
    from eventfold.producers.decider import Decider, Decision, Kind, Refusal, State, joined
    from eventfold.producers.domain import Domain
    from eventfold.producers.process_manager import Emit, ProcessManager, Refused
    from eventfold.projections.foreign import Bare, Foreign
    from eventfold.projections.paging import page_of, page_start
    from eventfold.projections.projection import Index, Projection, Table, sum_fields
    from eventfold.projections.query import Param
    from eventfold.projections.reader import Reader
    from eventfold.schemas.errors import EventfoldError, NotFoundError, ParkedError, TimedOutError, UsageError
    from eventfold.schemas.event import Event
    from eventfold.schemas.failure import Park, Retry, Stop
    from eventfold.schemas.message import Message
    from eventfold.schemas.position import Position
    from eventfold.schemas.upcasting import upcaster
    from eventfold.store.outcomes import Outcome, OutcomeUnknownError
    from eventfold.store.rows import Row

_HOMES = {
    "client": "Client",
    "kafka.publisher": "NotSentError PublishError",
    "processors.lookup.changing": "ConflictError",
    "processors.lookup.loading": "Loaded",
    "producers.commands": "Command",
    "producers.decider": "Decider Decision Kind Refusal State joined",
    "producers.domain": "Domain",
    "producers.process_manager": "Emit ProcessManager Refused",
    "projections.foreign": "Bare Foreign",
    "projections.paging": "page_of page_start",
    "projections.projection": "Index Projection Table sum_fields",
    "projections.query": "Param",
    "projections.reader": "Reader",
    "schemas.errors": "EventfoldError NotFoundError ParkedError TimedOutError UsageError",
    "schemas.event": "Event",
    "schemas.failure": "Park Retry Stop",
    "schemas.message": "Message",
    "schemas.position": "Position",
    "schemas.upcasting": "upcaster",
    "store.outcomes": "Outcome OutcomeUnknownError",
    "store.rows": "Row",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Bare",
    "Client",
    "Command",
    "ConflictError",
    "Decider",
    "Decision",
    "Domain",
    "Emit",
    "Event",
    "EventfoldError",
    "Foreign",
    "Index",
    "Kind",
    "Loaded",
    "Message",
    "NotFoundError",
    "NotSentError",
    "Outcome",
    "OutcomeUnknownError",
    "Param",
    "Park",
    "ParkedError",
    "Position",
    "ProcessManager",
    "Projection",
    "PublishError",
    "Reader",
    "Refusal",
    "Refused",
    "Retry",
    "Row",
    "State",
    "Stop",
    "Table",
    "TimedOutError",
    "UsageError",
    "joined",
    "page_of",
    "page_start",
    "sum_fields",
    "upcaster",
]


def __getattr__(name: str) -> Any:
    if name == "testing":
        return import_module("eventfold.testing")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
