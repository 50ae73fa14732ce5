"""What each kind of value can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from eventfold.schemas.faults import Faults


class Kind(Protocol):
    """The JSON form of one Avro type.

    words: what it must be, for people. json: the classes of Python that its JSON is parsed into. written: the classes that
    fastavro tells a branch of a union by. pairs: whether there is a union inside whose branches it cannot tell apart so (see
    `eventfold.schemas.json_form.union`).
    """

    @property
    def words(self) -> str: ...
    @property
    def json(self) -> tuple[type, ...]: ...
    @property
    def written(self) -> frozenset[type]: ...
    @property
    def pairs(self) -> bool: ...

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        """The value as a message holds it; what is wrong with it is added to the faults, and then nothing is known of what is
        returned.
        """

    def holds(self, value: Any) -> bool:
        """Whether a message's value is of this kind, as far as it can be told."""

    def show(self, value: Any) -> Any:
        """The JSON of a message's value, or of a default as Avro writes it; what no text can show stays a number."""

    def schema(self, of: Callable[[Kind], dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema, draft 2020-12. of: that of a kind inside of it."""
