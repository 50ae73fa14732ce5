"""Orders that another system writes: the projection of them as its users install it, and records as that system writes them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import fastavro
from confluent_kafka.admin import NewTopic

from tests.support.parcels import install_parcels, python_path
from tests.support.sandbox import OpenSandbox, Sandbox

PARTITIONS = 3
ORDERED = {
    "type": "record",
    "namespace": "orders",
    "name": "Ordered",
    "doc": "An order of the old shop.",
    "fields": [{"name": "item", "type": "string", "doc": "What."}, {"name": "count", "type": "int", "doc": "How many."}],
}
SOURCE = '''
"""`orders`: what the old shop writes, under the key of a long, with the type in a header."""

import struct

from eventfold import Bare, Foreign, Param, Park, Projection, Table, sum_fields

MENDED = False

orders = Projection(
    name="orders",
    version=1,
    topics=("orders.legacy",),
    foreign=(
        Foreign(
            topic="orders.legacy",
            bare=Bare("orders.Ordered", 1),
            key=lambda key: f"O-{struct.unpack('>q', key)[0]}",
            only=lambda record: record.value() is not None,
        ),
    ),
    tables=(Table(name="orders"), Table(name="items", merge=sum_fields)),
    on_failure=Park(),
)


@orders.on("orders.Ordered", reads=("item", "count"))
def ordered(row, event):
    if not MENDED and event.data["item"] == "nothing":
        raise ValueError("there is no such item")
    return {"id": event.key, "item": event.data["item"], "orders": 1 + (row or {}).get("orders", 0)}


@orders.on("orders.Ordered", table="items", key=lambda event: event.data["item"], reads=("item", "count"))
def counted(row, event):
    return sum_fields(row or {}, {"count": event.data["count"]})


def order(reader, id):
    """One order."""
    return reader.get("orders", id)


orders.answers(order, params=[Param(name="id", positional=True, aggregate=True)])

projections = [orders]
'''

_JOINED = 'return {**left, "item": max(left["item"], right["item"]), "orders": left["orders"] + right["orders"]}'
MERGED = (
    SOURCE.replace('Table(name="orders")', 'Table(name="orders", merge=joined)')
    .replace("orders = Projection(", "def joined(left, right):\n    " + _JOINED + "\n\n\norders = Projection(")
    .replace("version=1,\n    topics", "version=2,\n    topics")
    .replace('"item": event.data["item"], "orders"', '"item": max(event.data["item"], (row or {}).get("item", "")), "orders"')
)
"""Its rows can lie in several partitions."""


def fields() -> list[dict[str, object]]:
    return list(ORDERED["fields"])  # type: ignore[call-overload, no-any-return]


@contextmanager
def shop_of(open_sandbox: OpenSandbox, path: str, **settings: str) -> Iterator[Sandbox]:
    """A sandbox with the projection that was installed at the path, and the old shop's topic."""
    with open_sandbox(partitions=PARTITIONS, PYTHONPATH=path, EVENTFOLD_DOMAINS="orders", **settings) as sandbox:
        new = NewTopic(sandbox.topic("orders.legacy"), num_partitions=PARTITIONS, replication_factor=1)
        sandbox.admin.create_topics([new])[new.topic].result(30)
        yield sandbox


def install(folder: Path, *, mended: bool = False, source: str = SOURCE, aliases: Sequence[str] = ()) -> str:
    def edit(parcels: Path) -> None:
        (points,) = parcels.glob("*.dist-info/entry_points.txt")
        points.write_text(points.read_text().replace("sightings = ", "orders = "))
        (parcels / "sightings" / "projections.py").write_text(source.replace("MENDED = False", f"MENDED = {mended}"))
        events = parcels / "sightings" / "schemas" / "events"
        (events / "BirdSeen.v1.avsc").unlink()
        (events / "Ordered.v1.avsc").write_text(json.dumps({**ORDERED, "aliases": list(aliases)}))

    return python_path(install_parcels(folder, edit))


def write(sandbox: Sandbox, number: int, value: bytes | None, partition: int | None = None) -> None:
    """As the old shop does: a long as the key, and a partitioner of its own."""
    key, partition = struct.pack(">q", number), number % PARTITIONS if partition is None else partition
    sandbox.producer.produce(sandbox.topic("orders.legacy"), key=key, value=value, partition=partition)
    assert sandbox.producer.flush(30) == 0


def ordered(item: str, count: int = 1) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(ORDERED)), {"item": item, "count": count})
    return body.getvalue()
