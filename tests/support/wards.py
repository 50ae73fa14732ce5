"""Parcels whose read models park: a variant of examples/parcels, its code before and after it was mended, and its log.

A parcel for the depot `Nowhere` cannot be folded, until the code is mended.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventfold.kafka.settings import KafkaSettings
from eventfold.processors.runtime import Runtime
from eventfold.projections.projection import Projection
from eventfold.projections.reader import Reader
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.names import Names
from eventfold.schemas.partitioner import partition_of
from eventfold.store.generations import Generations
from eventfold.store.parked import Mark, marks, shown
from eventfold.store.slice_store import SliceStore
from tests.support import log, truth
from tests.support.parcels import PACKAGE, install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

PARTITIONS = 2
PARK, STOP = "Park()", "Stop()"
_SOURCE = '''
"""Parcels, an index of them, and what each depot has."""

from pathlib import Path

from eventfold import Index, Param, Park, Projection, Retry, Stop, Table, sum_fields

MENDED = False
BROKEN = Path("broken")

parcels = Projection(
    name="parcels",
    version=1,
    topics=("parcels.events",),
    tables=(
        Table(name="parcels", indexes=(Index(name="by_depot", member=lambda key, row: row["depot"]),)),
        Table(name="depots", merge=sum_fields),
    ),
    on_failure=Park(),
)


@parcels.on("parcels.ParcelPosted")
def posted(row, event):
    if not MENDED and (event.data["depot"] == "Nowhere" or (event.data["depot"] == "Limbo" and BROKEN.exists())):
        raise ValueError("there is no such depot")
    return {"id": event.key, "status": "posted", "depot": event.data["depot"], "events": 1 + (row or {}).get("events", 0)}


@parcels.on("parcels.ParcelPosted", table="depots", key=lambda event: event.data["depot"])
def counted(row, event):
    return sum_fields(row or {}, {"parcels": 1, "weight_g": event.data["weight_g"]})


@parcels.on("parcels.ParcelDelivered", "parcels.ParcelReturned")
def ended(row, event):
    assert row is not None, "it was never posted"
    return {**row, "status": event.type.removeprefix("parcels.Parcel").lower(), "events": row["events"] + 1}


def parcel(reader, id):
    """One parcel by its id."""
    return reader.get("parcels", id)


parcels.answers(parcel, params=[Param(name="id", positional=True, aggregate=True)])

depots = Projection(
    name="depots",
    version=1,
    topics=("parcels.events",),
    tables=(Table(name="stock", merge=sum_fields),),
    on_failure=Park(),
)
depots.on("parcels.ParcelPosted", table="stock", key=lambda event: event.data["depot"])(counted)


def stock(reader):
    """Every depot."""
    return [{"depot": depot, **row} for depot, row in reader.all("stock").items()]


depots.answers(stock)

projections = [parcels, depots]
'''


def key_on(partition: int, number: int = 0) -> str:
    """The id of a parcel that belongs to a partition, another one for each number."""
    found = (f"P-{n}" for n in itertools.count(1) if partition_of(f"P-{n}", PARTITIONS) == partition)
    return next(itertools.islice(found, number, None))


class Wards:
    """A sandbox with such parcels; `mended` is the path to run the mended code by."""

    def __init__(self, sandbox: Sandbox, source: Path, mended: str) -> None:
        self.sandbox = sandbox
        self.mended = {"PYTHONPATH": mended}
        self.projection = _projection(source, mended=False)
        self.mended_projection = _projection(source, mended=True)
        self.topic = sandbox.topic("parcels.events")
        self.codec = Codec(Catalog({"parcels": PACKAGE / "parcels" / "schemas"}))
        self.generations = Generations(sandbox.redis, sandbox.prefix)
        self.store = SliceStore(sandbox.redis)

    # -- the log -------------------------------------------------------------------------------------------------------

    def post(self, key: str, depot: str = "Oslo", weight_g: int = 100) -> None:
        self._event("Posted", key, {"depot": depot, "weight_g": weight_g})

    def deliver(self, key: str) -> None:
        self._event("Delivered", key, {"delivered_at": 1_357_034_400_000})

    def returned(self, key: str, reason: str = "refused") -> None:
        self._event("Returned", key, {"reason": reason})

    def raw(self, key: bytes | None, value: bytes | None, partition: int) -> None:
        """A record that may not even be an event."""
        log.write(self.sandbox, "parcels.events", key, value, log.envelope("parcels.ParcelPosted", "x"), partition=partition)

    def posted(self, depot: str = "Oslo") -> bytes:
        """An event's bytes."""
        return self.codec.encode("parcels.ParcelPosted", {"depot": depot, "weight_g": 100})

    def _event(self, name: str, key: str, data: dict[str, Any]) -> None:
        type_ = f"parcels.Parcel{name}"
        log.write(self.sandbox, "parcels.events", key, self.codec.encode(type_, data), log.envelope(type_, key))

    # -- the read model ------------------------------------------------------------------------------------------------

    @property
    def runtime(self) -> Runtime:
        """What commands work with, of the mended code."""
        kafka = KafkaSettings.from_environ(self.sandbox.environ)
        return Runtime(
            kafka=kafka,
            redis=self.sandbox.redis,
            names=Names(prefix=kafka.prefix),
            codec=lambda: self.codec,
            registry=None,
            domains={},
            domain_names=["parcels"],
            projections={"parcels": self.mended_projection},
            process_managers={},
            protocol="consumer",
            instance="test",
        )

    @property
    def reader(self) -> Reader:
        live = self.generations.live("parcels")
        assert live is not None
        return Reader(self.store, self.projection, live, self.generations)

    def parked(self, projection: str = "parcels") -> dict[str, Mark]:
        """What is parked in the live generation, by key as it is shown."""
        live = self.generations.live(projection)
        slices = [] if live is None else live.slices()
        return {shown(key): mark for found in marks(self.store, slices) for key, mark in found.items()}

    def origins(self) -> dict[str, int]:
        return {key: mark.origin for key, mark in self.parked().items()}

    def tables(self) -> dict[str, dict[tuple[str, int, str], bytes]]:
        """Every row of the live generation, as tests.support.truth has them."""
        reader = self.reader
        return {
            table.name: {
                (slice_.topic, slice_.partition, key): row
                for slice_ in reader.generation.slices()
                for key, row in reader.rows(slice_, table.name)
            }
            for table in reader.projection.tables
        }

    def indexes(self) -> dict[tuple[str, int], set[str]]:
        """The members of the index, by topic and partition; no empty ones."""
        found = {
            (slice_.topic, slice_.partition): {
                m for members in SliceStore(self.sandbox.redis).scan(slice_, "by_depot", index=True) for m in members
            }
            for slice_ in self.reader.generation.slices()
        }
        return {place: members for place, members in found.items() if members}

    def assert_is(self, wanted: truth.Truth) -> None:
        """Rows, indexes and the digests in the slices are those."""
        assert self.tables() == wanted.tables
        assert self.indexes() == {place: of for place, of in wanted.indexes["by_depot"].items() if of}
        digests = truth.digests(wanted.tables)
        for slice_, progress in zip(
            self.reader.generation.slices(), self.store.progress(self.reader.generation.slices()), strict=True
        ):
            assert progress.digests is not None
            stored = {table: f"{digest:032x}" for table, digest in progress.digests.items() if digest}
            assert stored == digests.get((slice_.topic, slice_.partition), {})

    def plain(self, leave_out: Callable[[log.Record], bool] = lambda _: False, *, mended: bool = True) -> truth.Truth:
        """A plain fold of the log, of what is not to be left out."""
        kept = [record for record in log.read(self.sandbox, "parcels.events") if not leave_out(record)]
        events = truth._events(self.codec, kept)
        return truth.folded(self.mended_projection if mended else self.projection, self.topic, events)

    def letters(self) -> list[log.Record]:
        return log.read(self.sandbox, "parcels.dead-letters")


Open = Callable[..., Any]


def opener(open_sandbox: OpenSandbox, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Open wards: `with opened(policy="Stop()") as wards`; with a path of one's own for each policy."""
    paths: dict[tuple[str, bool], str] = {}
    source = tmp_path_factory.mktemp("source") / "wards.py"
    source.write_text(_SOURCE)

    def path(policy: str, mended: bool) -> str:
        if (policy, mended) not in paths:
            code = _SOURCE.replace("on_failure=Park()", f"on_failure={policy}").replace("MENDED = False", f"MENDED = {mended}")

            def edit(folder: Path) -> None:
                (folder / "parcels" / "projections.py").write_text(code)

            paths[policy, mended] = python_path(install_parcels(tmp_path_factory.mktemp("wards"), edit))
        return paths[policy, mended]

    @contextmanager
    def opened(policy: str = PARK) -> Iterator[Wards]:
        with open_sandbox(partitions=PARTITIONS, PYTHONPATH=path(policy, False), EVENTFOLD_DOMAINS="parcels") as sandbox:
            yield Wards(sandbox, source, path(PARK, True))

    opened.path = path  # type: ignore[attr-defined]
    return opened


def _projection(source: Path, *, mended: bool) -> Projection:
    spec = importlib.util.spec_from_file_location(f"wards_{mended}", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.MENDED = mended
    found: Projection = module.parcels
    return found
