"""Decoding against bare fastavro on the same bytes: the same version, an older one by Avro's rules, one by an upcaster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import cycle, islice
from typing import Any

from fastavro import schemaless_reader

from bench.baselines import schemas_by_header
from bench.report import Figure, against
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.framing import SingleObject
from eventfold.schemas.message import Message
from eventfold.schemas.parsed import parse
from eventfold.schemas.writing import Writer
from flights.dataset import flights
from flights.decider import decider
from flights.importer import commands
from flights.projections import projections

LEAST_RATIO = 0.9
_HEADER = 10
_DEPARTED, _DIVERTED, _ARRIVED = "flights.FlightDeparted", "flights.FlightDiverted", "flights.FlightArrived"
Way = Callable[[bytes], Any]


def measure(events: int, rounds: int) -> Iterator[Figure]:
    """Rates of one thread in this process, each way in turn, over the events of January, again and again until enough.

    The baseline is fastavro alone, which reads each body in the version that it was written in: no header, no choice of a
    schema, no resolution, nothing checked. Times are ints for both.
    """
    catalog = Catalog.installed(["flights"])
    codec, real = Codec(catalog), list(_events())
    newest = _repeated([codec.encode(*event) for event in real], events)
    resolved = _repeated(list(_first(catalog, _DIVERTED, [_diverted(e) for e in real if e.type == _DEPARTED])), events)
    upcast = _repeated(list(_first(catalog, _ARRIVED, [_arrived(e) for e in real if e.type == _ARRIVED])), events)
    everything = codec.reader(dict.fromkeys(catalog.types("flights", "events")))
    (some,) = [codec.reader(projection.reads) for projection in projections if projection.name == "flights"]
    schemas = schemas_by_header(times=False)
    to = next(schemas[codec.encode(*event)[:_HEADER]] for event in real if event.type == _DIVERTED)

    def by_fastavro(value: bytes) -> Any:
        return schemaless_reader(BytesIO(value[_HEADER:]), schemas[value[:_HEADER]], to)

    yield from _compare("same version", newest, schemas, {"": codec.decode, "a reader of all": everything}, rounds, LEAST_RATIO)
    yield from _compare("same version", newest, schemas, {"what `flights` reads": some}, rounds)
    ways = {"": codec.decode, "what `flights` reads": some, "fastavro's own resolution": by_fastavro}
    yield from _compare("older version by resolution", resolved, schemas, ways, rounds)
    yield from _compare(
        "older version by an upcaster", upcast, schemas, {"": codec.decode, "what `flights` reads": some}, rounds
    )


def _compare(
    what: str,
    values: Sequence[bytes],
    schemas: Mapping[bytes, Any],
    ways: Mapping[str, Way],
    rounds: int,
    least: float | None = None,
) -> Iterator[Figure]:
    bodies = [(value[_HEADER:], schemas[value[:_HEADER]]) for value in values]
    bare: list[float] = []
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3 * rounds):
        started = time.perf_counter()
        for body, schema in bodies:
            schemaless_reader(BytesIO(body), schema, None)
        bare.append(len(values) / (time.perf_counter() - started))
        for name, decode in ways.items():
            started = time.perf_counter()
            for value in values:
                decode(value)
            rates[name].append(len(values) / (time.perf_counter() - started))
    for name, found in rates.items():
        yield against(f"decode, {what}{', ' if name else ''}{name}", "events/s", found, bare, least)


def _repeated(values: Sequence[bytes], count: int) -> list[bytes]:
    return list(islice(cycle(values), count))


def _events() -> Iterator[Message]:
    """What becomes of the flights of January."""
    states: dict[str, Any] = {}
    for command in commands(flights([1])):
        state = states.get(command.key, decider.initial())
        decided = decider.decide(state, Message(command.type, dict(command.data)))
        assert isinstance(decided, list), decided
        for event in decided:
            state = decider.evolve(state, event)
        states[command.key] = state
        yield from decided


def _first(catalog: Catalog, type_: str, data: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Messages in the first version of their type."""
    message = catalog.versions(type_)[0]
    header, writer = SingleObject(catalog).header(message), Writer(parse(message))
    return (writer.write(header, of) for of in data)


def _diverted(departed: Message) -> dict[str, Any]:
    """The first version of a diversion of a flight that departed; the real ones are too few to be no repetition."""
    data = dict(departed.data)
    return {name: of for name, of in data.items() if not name.startswith("depart")} | {"diverted_at": data["departed_at"]}


def _arrived(event: Message) -> dict[str, Any]:
    """The first version of an arrival."""
    data = dict(event.data)
    seconds = data.pop("air_time_s")
    return {**data, "air_time_min": None if seconds is None else seconds // 60}
