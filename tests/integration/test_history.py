"""Looking back into the log: the same answers by a scan, by an index, and by an index that is behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from eventfold.processors.lookup.history import History, TooMuchError
from eventfold.projections.past import Point
from eventfold.schemas.errors import LogError, NotFoundError, UsageError
from eventfold.schemas.position import Position
from tests.support import flights, log
from tests.support.sandbox import OpenSandbox, Sandbox

LONG, OTHER, FACTS, FAR = (flights.flight_id(number) for number in (*flights.numbers_on(0, 2, 3), *flights.numbers_on(1, 2, 1)))
COUNT = 330
T0 = 1_357_034_400_000
# The tenth event of the long flight happened right after the fifth.
EARLY = 10


def happened(version: int) -> int:
    return T0 + flights.MINUTE_MS * version if version != EARLY else T0 + flights.MINUTE_MS * 5 + 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A log, and how it is looked at: `scan`, `index`, or `behind` (an index of its first third)."""

    sandbox: Sandbox
    by: str
    records: list[log.Record]

    @property
    def history(self) -> History:
        return self.sandbox.installation.history

    def of(self, key: str) -> list[log.Record]:
        return [record for record in self.records if record.key == key]

    def as_of(self, key: str = LONG, **point: Any) -> Any:
        return self.sandbox.installation.readers.query_as_of("flights", {"id": key}, Point(**point))

    def position(self, record: log.Record) -> Position:
        return Position(self.sandbox.topic("flights.events"), record.partition, record.offset)


@pytest.fixture(scope="module", params=["scan", "index", "behind"])
def looked(request: pytest.FixtureRequest, open_sandbox: OpenSandbox) -> Iterator[Looked]:
    """Of partition 0: a flight of 330 events, between those of another flight and facts without a version or an id."""
    with open_sandbox(partitions=2, EVENTFOLD_INDEXES="" if request.param == "scan" else "flights") as sandbox:
        write(sandbox, 1, COUNT // 3)
        if request.param == "behind":
            index(sandbox)
        write(sandbox, COUNT // 3 + 1, COUNT)
        if request.param == "index":
            index(sandbox)
        yield Looked(sandbox=sandbox, by=request.param, records=log.read(sandbox, "flights.events"))


def write(sandbox: Sandbox, first: int, last: int) -> None:
    for version in range(first, last + 1):
        kind, data = ("Scheduled", flights.scheduled(1)) if version == 1 else ("Departed", flights.departed(1, version))
        log.write_event(sandbox, f"flights.Flight{kind}", LONG, data, sequence=version, time=happened(version))
        if version % 50 in (0, 1):
            log.write_event(sandbox, "flights.FlightScheduled", OTHER, flights.scheduled(2), sequence=version // 50 + 1)
            log.write_event(sandbox, "flights.FlightScheduled", FACTS, flights.scheduled(3), sequence=None)
            log.write(
                sandbox, "flights.events", FACTS, sandbox.installation.codec.encode("flights.FlightCancelled", cancelled())
            )
            log.write_event(sandbox, "flights.FlightScheduled", FAR, flights.scheduled(4), sequence=version // 50 + 1)


def cancelled() -> dict[str, Any]:
    identity = ("carrier", "flight_number", "flight_date", "origin", "destination", "tail_number")
    return {**{name: flights.scheduled(3)[name] for name in identity}, "cancelled_at": flights.DEPARTURE}


def index(sandbox: Sandbox) -> None:
    projector = sandbox.projector("flights-index")
    sandbox.caught_up("flights-index")
    assert projector.stop() == 0


@pytest.mark.parametrize("key", [LONG, OTHER, FACTS, FAR])
def test_every_record_of_an_aggregate_in_the_log_s_order(looked: Looked, key: str) -> None:
    found = looked.history.of_domain("flights", key)
    written = looked.of(key)
    assert len(written) >= 13
    assert [record.offset() for record in found.records] == [record.offset for record in written]
    assert [record.value() for record in found.records] == [record.value for record in written]
    assert found.place == (looked.sandbox.topic("flights.events"), written[0].partition)


def test_the_whole_aggregate_is_as_it_is_now(looked: Looked) -> None:
    row = looked.as_of(happened=T0 + COUNT * flights.MINUTE_MS)
    assert (row["version"], row["departure_delay_min"]) == (COUNT, COUNT)


@pytest.mark.parametrize("version", [1, 2, 100, 101, COUNT // 3, COUNT // 3 + 1, COUNT])
def test_as_of_a_version(looked: Looked, version: int) -> None:
    row = looked.as_of(version=version)
    assert row["version"] == version
    assert row["departure_delay_min"] == (None if version == 1 else version)


@pytest.mark.parametrize("version", [1, 109, 110, 111, 112, COUNT])
def test_as_of_a_position_inclusive(looked: Looked, version: int) -> None:
    position = looked.position(looked.of(LONG)[version - 1])
    assert looked.as_of(position=position)["version"] == version
    if version > 1:
        assert looked.as_of(position=position._replace(offset=position.offset - 1))["version"] == version - 1


@pytest.mark.parametrize("version", [1, 60, 200, COUNT])
def test_as_the_log_knew_it_at_a_time(looked: Looked, version: int) -> None:
    recorded = looked.of(LONG)[version - 1].timestamp
    known = sum(record.timestamp <= recorded for record in looked.of(LONG))
    assert looked.as_of(recorded=recorded)["version"] == known >= version
    before = sum(record.timestamp < recorded for record in looked.of(LONG))
    if before:
        assert looked.as_of(recorded=recorded - 1)["version"] == before


def test_as_it_was_at_a_time_whatever_order_it_was_recorded_in(looked: Looked) -> None:
    """At the seventh minute seven events had happened in order, and the tenth, which is folded last."""
    row = looked.as_of(happened=happened(7))
    assert (row["version"], row["departure_delay_min"]) == (8, EARLY)
    assert looked.as_of(happened=happened(5))["version"] == 5


def test_before_the_first_event_there_was_nothing(looked: Looked) -> None:
    first = looked.of(LONG)[0]
    for point in ({"happened": happened(1) - 1}, {"recorded": first.timestamp - 1}):
        with pytest.raises(NotFoundError, match="had no event as"):
            looked.as_of(**point)
    other = looked.of(OTHER)[0]
    assert other.offset > 0
    with pytest.raises(NotFoundError, match="had no event as of"):
        looked.as_of(OTHER, position=looked.position(other)._replace(offset=0))


def test_a_version_and_a_position_that_are_not_there_yet(looked: Looked) -> None:
    with pytest.raises(NotFoundError, match=f"has no version {COUNT + 1} yet: it is at version {COUNT}"):
        looked.as_of(version=COUNT + 1)
    last = max(record.offset for record in looked.records if record.partition == 0)
    position = Position(looked.sandbox.topic("flights.events"), 0, last)
    assert looked.as_of(position=position)["version"] == COUNT
    with pytest.raises(NotFoundError, match=f"is not in the log yet: it ends at offset {last + 1}"):
        looked.as_of(position=position._replace(offset=last + 1))


def test_a_position_of_another_partition_says_nothing(looked: Looked) -> None:
    with pytest.raises(UsageError, match=r"lie in .*flights\.events/0, of which"):
        looked.as_of(position=looked.position(looked.of(FAR)[0]))


def test_an_aggregate_that_the_log_does_not_know(looked: Looked) -> None:
    with pytest.raises(NotFoundError, match="'UA1' has no event in"):
        looked.history.of_domain("flights", "UA1")
    with pytest.raises(NotFoundError, match="'UA1' has no event in"):
        looked.as_of("UA1", version=1)


@pytest.mark.parametrize(("key", "number"), [(LONG, 0), (LONG, 150), (LONG, -1), (OTHER, 3), (FAR, 0), (FAR, -1)])
def test_an_event_by_its_id(looked: Looked, key: str, number: int) -> None:
    wanted = looked.of(key)[number]
    for domain in (None, "flights"):
        found = looked.history.event(wanted.header("ce_id"), domain)
        assert (found.partition(), found.offset()) == (wanted.partition, wanted.offset)


def test_an_event_that_is_not_there(looked: Looked) -> None:
    id_ = str(uuid.uuid4())
    with pytest.raises(NotFoundError, match=f"no event has the id {id_} in {looked.sandbox.prefix}flights.events"):
        looked.history.event(id_)
    with pytest.raises(UsageError, match="no domain is called 'weather'; there are: flights"):
        looked.history.event(id_, "weather")


def test_only_with_an_index_is_redis_asked(looked: Looked, open_sandbox: OpenSandbox) -> None:
    """With its index emptied, an answer is as before: it comes from a scan."""
    with open_sandbox(topics_of=looked.sandbox, EVENTFOLD_INDEXES="flights") as emptied:
        assert len(emptied.installation.history.of_domain("flights", LONG).records) == COUNT
        assert emptied.installation.history.event(looked.of(FAR)[-1].header("ce_id")).key() == FAR.encode()


@pytest.fixture
def indexed(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """Three events of one flight and one of another, all in the index."""
    with open_sandbox(partitions=2, EVENTFOLD_INDEXES="flights") as sandbox:
        for version in (1, 2, 3):
            log.write_event(sandbox, "flights.FlightScheduled", LONG, flights.scheduled(1), sequence=version)
        log.write_event(sandbox, "flights.FlightScheduled", OTHER, flights.scheduled(2))
        index(sandbox)
        yield sandbox


def slice_key(sandbox: Sandbox, part: str) -> str:
    return sandbox.reader("flights-index").generation.slice(sandbox.topic("flights.events"), 0).key(part)


def test_the_index_is_what_is_read(indexed: Sandbox) -> None:
    """What the index leaves out is not found, so it was no scan."""
    events = log.read(indexed, "flights.events")
    indexed.redis.hset(slice_key(indexed, "offsets"), f"{LONG}#0", b'{"offsets":[0,2]}')
    assert [r.offset() for r in indexed.installation.history.of_domain("flights", LONG).records] == [0, 2]
    indexed.redis.hset(slice_key(indexed, "events"), events[0].header("ce_id"), b'{"offset":1000}')
    with pytest.raises(NotFoundError):
        indexed.installation.history.event(events[0].header("ce_id"))


@pytest.mark.parametrize(
    ("offset", "says"), [(3, "is not an event of"), (4, "has no record at offset 4"), (4_000_000, "does not have the offset")]
)
def test_an_index_that_is_not_of_this_log_is_an_error(indexed: Sandbox, offset: int, says: str) -> None:
    """As if offset and rows were of another log, which the topic's id did not tell."""
    indexed.redis.hset(slice_key(indexed, "slice"), "offset", 5_000_000)
    indexed.redis.hset(slice_key(indexed, "offsets"), f"{LONG}#0", b'{"offsets":[%d]}' % offset)
    with pytest.raises(LogError, match=says):
        indexed.installation.history.of_domain("flights", LONG)


def test_an_index_of_a_topic_that_was_made_anew_is_not_used(indexed: Sandbox) -> None:
    indexed.redis.hset(slice_key(indexed, "slice"), "topic_id", "another")
    indexed.redis.hset(slice_key(indexed, "offsets"), f"{LONG}#0", b'{"offsets":[3]}')
    indexed.redis.hset(slice_key(indexed, "events"), "1b4e28ba-2fa1-11d2-883f-0016d3cca427", b'{"offset":3}')
    assert [r.offset() for r in indexed.installation.history.of_domain("flights", LONG).records] == [0, 1, 2]
    with pytest.raises(NotFoundError):
        indexed.installation.history.event("1b4e28ba-2fa1-11d2-883f-0016d3cca427")


def test_events_far_apart_are_each_read_at_their_place(indexed: Sandbox) -> None:
    """Thousands of records lie between, and aborted ones behind: nothing of one place is taken for the next."""
    producer = indexed.new_producer(**{"transactional.id": f"{indexed.prefix}aborted"})
    value = indexed.installation.codec.encode("flights.FlightScheduled", flights.scheduled(1))
    producer.init_transactions(30)
    for version in range(4, 8):
        for committed, key, count in ((True, OTHER, 1_500), (False, LONG, 10), (True, LONG, 1)):
            producer.begin_transaction()
            for _ in range(count):
                headers = log.envelope("flights.FlightScheduled", key, sequence=version)
                producer.produce(indexed.topic("flights.events"), key=key, value=value, headers=headers)
            # What was not sent yet when a transaction is aborted never is.
            assert producer.flush(30) == 0
            producer.commit_transaction(30) if committed else producer.abort_transaction(30)
    by_scan = [record.offset for record in log.read(indexed, "flights.events") if record.key == LONG]
    assert len(by_scan) == 7
    assert by_scan[-1] - by_scan[-2] > 1_000
    assert [r.offset() for r in indexed.installation.history.of_domain("flights", LONG).records] == by_scan
    index(indexed)
    assert [r.offset() for r in indexed.installation.history.of_domain("flights", LONG).records] == by_scan


class NobodyWaitsError(Exception):
    """Ends a read between two batches."""


def test_a_read_ends_when_nobody_waits_for_it(looked: Looked) -> None:
    def check() -> None:
        raise NobodyWaitsError

    for key in (LONG, "nobody") if looked.by != "index" else (LONG,):
        with pytest.raises(NobodyWaitsError):
            looked.history.bounded(check, 1_000_000).records("flights.events", key)


def test_an_aggregate_of_very_many_bytes_is_refused_by_a_bounded_read_alone(looked: Looked) -> None:
    size = sum(len(record.value() or b"") for record in looked.history.records("flights.events", LONG).records)
    with pytest.raises(TooMuchError, match=f"more than {size - 1:,} bytes: read them with `eventfold history`"):
        looked.history.bounded(lambda: None, size - 1).records("flights.events", LONG)
    assert len(looked.history.bounded(lambda: None, size).records("flights.events", LONG).records) == len(looked.of(LONG))
