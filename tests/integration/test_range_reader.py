"""Reading partitions up to an end that lies behind transaction markers, or within a transaction that is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.topics import Topics
from eventfold.schemas.errors import EventfoldError, NoAnswer
from eventfold.schemas.record import Place
from tests.support.sandbox import Sandbox


@pytest.fixture
def places(sandbox: Sandbox) -> tuple[Place, Place]:
    topic = sandbox.topic("flights.events")
    return (topic, 0), (topic, 1)


@pytest.fixture
def reader(sandbox: Sandbox) -> RangeReader:
    return RangeReader(sandbox.installation.kafka, sandbox.topic("test"))


@contextmanager
def transaction(sandbox: Sandbox, place: Place, records: int) -> Iterator[Producer]:
    """So many records in a transaction, which is left open."""
    producer = sandbox.new_producer(**{"transactional.id": sandbox.topic("test")})
    producer.init_transactions(20)
    producer.begin_transaction()
    for _ in range(records):
        producer.produce(place[0], b"", partition=place[1])
    assert producer.flush(20) == 0
    yield producer


def spans(sandbox: Sandbox, *places: Place) -> dict[Place, tuple[int, int]]:
    """From the first offset up to the high watermark."""
    ends = Topics(sandbox.installation.kafka).ends(places, committed=False)
    return {place: (0, end) for place, end in ends.items()}


def test_an_end_is_reached_behind_the_markers_of_a_transaction(
    sandbox: Sandbox, places: tuple[Place, Place], reader: RangeReader
) -> None:
    with transaction(sandbox, places[0], 3) as producer:
        producer.commit_transaction(20)
    whole = spans(sandbox, *places)
    assert whole == {places[0]: (0, 4), places[1]: (0, 0)}
    batches = list(reader.batches(whole, 10))
    assert [record.offset() for batch in batches for record in batch.records.get(places[0], [])] == [0, 1, 2]
    assert batches[-1].ends == {places[0]: 4}
    markers = list(reader.batches({places[0]: (3, 4)}, 10))
    assert not any(batch.records for batch in markers)
    assert [record.offset() for record in reader.scan({places[0]: (1, 2)})] == [1]
    assert [record.offset() for record in reader.scan(whole)] == [0, 1, 2]


def test_a_transaction_that_is_open_is_waited_for(sandbox: Sandbox, places: tuple[Place, Place], reader: RangeReader) -> None:
    with transaction(sandbox, places[0], 3) as producer:
        found, committed = [], False
        for batch in reader.batches(spans(sandbox, *places), 60):
            if not committed and not batch.records:
                producer.commit_transaction(20)
                committed = True
            found += [record.offset() for records in batch.records.values() for record in records]
    assert committed
    assert found == [0, 1, 2]


def test_a_transaction_that_stays_open_is_an_error_that_names_its_partition(
    sandbox: Sandbox, places: tuple[Place, Place], reader: RangeReader
) -> None:
    sandbox.producer.produce(places[1][0], b"", partition=places[1][1])
    assert sandbox.producer.flush(20) == 0
    with transaction(sandbox, places[0], 1) as producer:
        with pytest.raises(EventfoldError) as raised:
            list(reader.batches(spans(sandbox, *places), 0.6))
        producer.abort_transaction(20)
    assert str(raised.value) == f"the log does not come to its end at [{places[0]}]: is a transaction stuck?"
    # A hand-over waits for it, as for a broker that went away in the midst of it.
    assert isinstance(raised.value, NoAnswer)
