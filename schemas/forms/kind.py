"""What each kind of value can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from eventfold.schemas.faults import Faults


class Kind(Protocol):
    """The forms of one Avro type.

    words: what it must be, for people. json: the classes of Python that its JSON is parsed into. held: the class of what is
    read of it.
    """

    @property
    def words(self) -> str: ...
    @property
    def json(self) -> tuple[type, ...]: ...
    @property
    def held(self) -> type: ...

    def read(self, value: Any, at: str, faults: Faults) -> Any:
        """What came as JSON, as a message holds it; what is wrong with it is added to the faults, and then nothing is known of
        what is returned.
        """

    def take(self, value: Any, at: str, faults: Faults) -> Any:
        """Python's value as it is to be written, in Avro's underlying types; a pair of name and value for a branch of a union.
        Faults as for `read`.
        """

    def owns(self, value: Any) -> bool:
        """Whether a Python value is of a class that stands for this kind, as text does for no time and no decimal."""

    def holds(self, value: Any) -> bool:
        """Whether a message's value is of this kind, as far as it can be told."""

    def show(self, value: Any) -> Any:
        """The JSON of a message's value, or of a default as Avro writes it; what no text can show stays a number."""

    def schema(self, of: Callable[[Kind], dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema, draft 2020-12. of: that of a kind inside of it."""
