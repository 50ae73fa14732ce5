"""Given and then for versions: a public part of eventfold, with which a domain's own upcasters and schemas are tested.

given("flights.FlightArrived", 1, {..., "air_time_min": 227}).then({..., "air_time_s": 13620})
given("flights.FlightArrived", 1, {..., "air_time_min": None}).then({..., "air_time_s": None})
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pprint import pformat
from typing import Any

from eventfold.schemas import plugins
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.message import Message
from eventfold.schemas.writing import written


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A message in the bytes of one of its versions."""

    type: str
    version: int
    value: bytes
    codec: Codec

    def then(self, expected: Mapping[str, Any]) -> None:
        """Expect that it is read as this data of the newest version, nothing missing and nothing more.

        AssertionError shows the difference, or says why it cannot be read.
        """
        same(dict(expected), self._read(), f"{self.type} version {self.version} becomes other data")

    def then_fails(self, says: str) -> None:
        """Expect that it cannot be read, with this in the error's text; AssertionError says what came instead."""
        try:
            found = self.codec.decode(self.value).data
        except DecodeError as error:
            if says not in error.reason:
                raise AssertionError(f"{self.type} version {self.version} fails otherwise: {error.reason}") from error
        else:
            raise AssertionError(f"{self.type} version {self.version} can be read: {pformat(found)}")

    def _read(self) -> dict[str, Any]:
        try:
            found = self.codec.decode(self.value).data
            again = self.codec.decode(self.value).data
        except DecodeError as error:
            raise AssertionError(f"{self.type} version {self.version} cannot be read: {error.reason}") from error
        if again != found:
            raise AssertionError(f"read twice, {self.type} version {self.version} becomes different data: it is not pure")
        return found


def given(type: str, version: int, data: Mapping[str, Any], *, catalog: Catalog | None = None) -> Given:
    """A message written in one version of its type, of the installed domain that the type names, or of another catalog.

    data: as a message has it (see `schemas.message.Message`), in the form of that version. UsageError when there is no such
    version, or naming the field that does not fit it.
    """
    catalog = Catalog.installed([type.rpartition(".")[0]]) if catalog is None else catalog
    return Given(type=type, version=version, value=written(catalog, type, version, data), codec=Codec(catalog))


def same(expected: Any, found: Any, what: str) -> None:
    """AssertionError that says `what` and shows the difference, where there is one."""
    if expected != found:
        lines = difflib.ndiff(pformat(expected).splitlines(), pformat(found).splitlines())
        raise AssertionError("\n".join([f"{what} (- expected, + found):", *lines]))


@cache
def _codec(domain: str) -> Codec | None:
    """That of an installed domain; None where no such one is installed."""
    return Codec(Catalog.installed([domain])) if domain in plugins.domains(None) else None


def logged(event: Message) -> Message:
    """An event as the log gives it back, where its domain is installed and has its type; else as it is.

    WrongDataError names the field that does not fit to the schema.
    """
    domain = event.type.partition(".")[0]
    codec = _codec(domain)
    if codec is None or event.type not in codec.catalog.types(domain, "events"):
        return event
    return codec.decode(codec.encode(event.type, event.data)).by(event.actor)
