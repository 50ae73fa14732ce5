"""Records of the log: as a consumer reads them, and as they are handed to a producer."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from eventfold.schemas.envelope import Headers, RawHeaders

Place = tuple[str, int]
"""A partition: topic (with its prefix) and number."""


class Record(Protocol):
    """What a Kafka client's message tells of itself, and whatever stands for one; headers cost only when they are asked for."""

    def topic(self) -> Any: ...
    def partition(self) -> Any: ...
    def offset(self) -> Any: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> RawHeaders | None: ...
    def timestamp(self) -> Any: ...


class ProducerRecord(NamedTuple):
    """What to produce where; whoever produces it knows the partition. id: its `ce_id`, where it has one of its own."""

    topic: str
    key: str | bytes | None
    value: bytes | None
    headers: Headers
    id: str = ""
