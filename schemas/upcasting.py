"""Upcasters: what Avro's rules cannot say of the way from one version of a message to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eventfold.schemas.errors import UsageError

Function = Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Upcaster:
    """How data of one version of a type becomes data of the next one.

    type: the Avro full name (`flights.FlightArrived`). version: the one it begins at; it leads to `version + 1`.
    function: pure, data of `version` -> data of `version + 1`, both in the types of `schemas.message.Message`; it may change
    what it is given. What it gives is checked against the schema of `version + 1`: where it does not fit, or the function
    raises, the message is a DecodeError.
    UsageError for a version below 1, or a function that cannot be called.
    """

    type: str
    version: int
    function: Function

    def __post_init__(self) -> None:
        if self.version.__class__ is not int or self.version < 1:
            raise UsageError(f"an upcaster of {self.type} begins at the version {self.version!r}: write 1 or more")
        if not callable(self.function):
            raise UsageError(f"the upcaster of {self.type} version {self.version} cannot be called: {self.function!r}")

    @property
    def name(self) -> str:
        """The function's own name, for errors."""
        return str(getattr(self.function, "__name__", self.function))


def upcaster(type: str, version: int) -> Callable[[Function], Upcaster]:
    """Declare the function below it to be the upcaster of `type` from `version` to `version + 1`.

    It counts once it stands in `upcasters`, a list of the domain's package of schemas.
    """
    return lambda function: Upcaster(type, version, function)
