"""Topics of Avro records that others write: how a projection is told the type and the key of an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from eventfold.schemas.envelope import RawHeaders


class ForeignRecord(Protocol):
    """A record as its producer wrote it (a confluent_kafka.Message)."""

    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> RawHeaders | None: ...


class Bare(NamedTuple):
    """What a value without a marker was written with: a version of a type of the catalog."""

    type: str
    version: int


def text_key(key: bytes | None) -> str | None:
    """The record's key as UTF-8 text, as eventfold writes it itself."""
    return None if key is None else key.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A topic without `ce_` headers, which a projection reads all the same.

    topic: one of the projection's, without the prefix.
    bare: what its values, bodies alone, were written with, always or by the record (a header, say). Without it a value says
    so itself: single-object encoding, or Confluent's where a schema registry is set.
    types: of values that say it themselves, the full names of their records as the owner calls them, and the types of the
    catalog that they are: `{"com.acme.Order": "orders.Ordered"}`. In single-object encoding the owner's schema must be that of
    a version but for these names.
    key: the record's key -> the event's key, text.
    data_key: the event's data, every field of it, in the newest version -> the event's key, in place of `key`.
    only: which records are events; the others (tombstones, other messages) are left out without a look at their value.

    All of them are pure. A record whose type or key cannot be told, is None, or is not text cannot be decoded. When one of
    these functions changes, raise the projection's version.
    """

    topic: str
    bare: Bare | Callable[[ForeignRecord], Bare | None] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    key: Callable[[bytes | None], str | None] = text_key
    data_key: Callable[[dict[str, Any]], str | None] | None = None
    only: Callable[[ForeignRecord], bool] | None = None
