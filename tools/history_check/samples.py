"""A recorded history: a folder of Avro object container files, one a partition, as `eventfold export` writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from eventfold.schemas import container
from eventfold.schemas.envelope import Headers
from eventfold.schemas.errors import EventfoldError, UsageError

Slice = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record of it, with what a Kafka client's message tells."""

    file: Path
    slice: Slice
    record: container.Record

    def topic(self) -> str:
        return self.slice[0]

    def partition(self) -> int:
        return self.slice[1]

    def offset(self) -> int:
        return self.record.offset

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value

    def headers(self) -> Headers:
        return list(self.record.headers)

    def timestamp(self) -> tuple[int, int]:
        return (1 if self.record.timestamp_type == "create" else 2), self.record.timestamp

    def __str__(self) -> str:
        return f"offset {self.record.offset}"


@dataclass(frozen=True, slots=True)
class History:
    """The samples of each partition in their order.

    schemas: those that the files hold beside the records, by what messages begin with, in hex.
    """

    folder: Path
    slices: Mapping[Slice, Sequence[Sample]]
    schemas: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, prefix: str = "") -> History:
        """All files of a folder. prefix: of the topics that were exported, which is left out.

        EventfoldError names a file that is none, or holds a partition that another one holds too; UsageError for no folder.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder of recorded samples")
        slices: dict[Slice, list[Sample]] = {}
        schemas: dict[str, Any] = {}
        for path in sorted(folder.glob("*.avro")):
            with container.opened(path) as (about, records):
                slice_ = about["topic"].removeprefix(prefix), container.number(path, about, "partition")
                if slice_ in slices:
                    raise EventfoldError(f"{path} and {slices[slice_][0].file} hold the same partition")
                schemas |= container.schemas_of(path, about)
                if found := [Sample(path, slice_, record) for record in records]:
                    slices[slice_] = found
        return cls(folder, dict(sorted(slices.items())), schemas)

    def of(self, domains: Iterable[str]) -> History:
        """Only the topics of these domains."""
        topics = {f"{domain}.{kind}" for domain in domains for kind in ("commands", "events", "refusals")}
        slices = {slice_: samples for slice_, samples in self.slices.items() if slice_[0] in topics}
        return History(self.folder, slices, self.schemas)

    def partitions(self, topic: str) -> int:
        """How many partitions of a topic there are, at least one."""
        return 1 + max((partition for name, partition in self.slices if name == topic), default=0)

    def path(self, slice_: Slice) -> Path:
        """Where the samples of a partition lie, or are to lie."""
        if slice_ in self.slices:
            return self.slices[slice_][0].file
        return self.folder / f"{slice_[0]}-{slice_[1]}.avro"

    def write(self, slices: Iterable[Slice]) -> None:
        """Write the files of these partitions anew, each at once."""
        for slice_ in slices:
            records = (sample.record for sample in self.slices[slice_])
            container.save(self.path(slice_), records, partial(self._about, slice_))

    def _about(self, slice_: Slice) -> dict[str, str]:
        samples = self.slices[slice_]
        return {
            "topic": slice_[0],
            "partition": str(slice_[1]),
            "partitions": str(self.partitions(slice_[0])),
            "first_offset": str(samples[0].offset()),
            "next_offset": str(samples[-1].offset() + 1),
            **({"schemas": container.noted(self.schemas)} if self.schemas else {}),
        }
