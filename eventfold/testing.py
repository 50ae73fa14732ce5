"""Given, when, then for what a domain declares: no Kafka, no Redis, no mocks.

given(decider, *events).when(command).then(*events) / .then_refused(code)        see eventfold.producers.testing
given(projection, *events).then(table, key, row)                                 see eventfold.projections.testing
given(process_manager).when(event).then(Emit(...))                               see eventfold.processors.testing
given("parcels.ParcelKept", 1, data).then(data)                                  see eventfold.schemas.testing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from eventfold.processors import testing as reactions
from eventfold.producers import testing as decisions
from eventfold.producers.decider import Decider
from eventfold.producers.process_manager import ProcessManager
from eventfold.projections import testing as folds
from eventfold.projections.projection import Projection
from eventfold.projections.testing import assert_folds_alike, folded
from eventfold.schemas import testing as versions
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.event import Event
from eventfold.schemas.message import Message

__all__ = ["assert_folds_alike", "folded", "given"]


@overload
def given(of: Decider, /, *events: Message) -> decisions.Given: ...
@overload
def given(of: Projection, /, *events: Event) -> folds.Given: ...
@overload
def given(of: ProcessManager, codec: Codec | None = None, /) -> reactions.Given: ...
@overload
def given(of: str, version: int, data: Mapping[str, Any], /, *, catalog: Catalog | None = None) -> versions.Given: ...
def given(of: Any, /, *past: Any, **more: Any) -> Any:
    """What has happened so far to a decider's aggregate or in a projection's log; a process manager; a message of a version.

    TypeError for anything else.
    """
    if isinstance(of, Decider):
        return decisions.given(of, *past)
    if isinstance(of, Projection):
        return folds.given(of, *past)
    if isinstance(of, ProcessManager):
        return reactions.given(of, *past)
    if isinstance(of, str):
        return versions.given(of, *past, **more)
    raise TypeError(f"given() takes a Decider, a Projection, a ProcessManager or a message's type, not {of!r}")
