"""The life of a worker: in which order a turn goes, what makes it start over, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as Record
from redis.exceptions import NoPermissionError, OutOfMemoryError

from eventfold.kafka.batches import Batch
from eventfold.kafka.consumer import Gone, Starts
from eventfold.processors import patience, trouble
from eventfold.processors.worker import Worker
from eventfold.schemas.errors import LogError, Transient
from eventfold.schemas.record import Place

PLACE: Place = ("flights.events", 0)


class Log:
    """A consumer of one partition without an end, a record a batch. `polled` is told the offset in each poll."""

    def __init__(self, starts: Starts, gone: Gone, polled: Callable[[int], None]) -> None:
        self._starts, self._gone, self._polled = starts, gone, polled
        self.offset = self.changes = 0
        self.closed = False
        self.trouble = ""
        self.stalled: dict[Place, str] = {}
        self.owned = frozenset({PLACE})

    def join(self) -> None:
        self.seek(self._starts([PLACE]))

    def rejoin(self) -> None:
        """The partition goes and comes again."""
        self._gone([PLACE])
        self.join()
        self.changes += 2

    def metadata(self) -> str:
        return f"after {self.changes} changes"

    def seek(self, starts: Mapping[Place, int]) -> None:
        self.offset = starts[PLACE]

    def poll(self, limit: int, timeout_s: float) -> Batch:
        offset = self.offset
        self._polled(offset)
        self.offset = offset + 1
        return Batch(records={PLACE: [Record(topic=PLACE[0], partition=PLACE[1], offset=offset)]})

    def close(self) -> None:
        self.closed = True


class Copy:
    """Stores the offsets that it reads, each once, whatever happens. `reads` is told each before it is stored."""

    batch = 1
    wait_s = 0.0

    def __init__(self, log: Log, reads: Callable[[int], None]) -> None:
        self._log, self._reads = log, reads
        self.stored: list[int] = []
        self.told: list[str] = []
        self.metadata: list[Any] = []
        self.ill: list[Exception] = []

    @contextmanager
    def session(self) -> Iterator[None]:
        self.told.append("opened")
        try:
            yield
            self.told.append("finished")
        finally:
            self.told.append("closed")

    def assigned(self, places: list[Place]) -> dict[Place, int]:
        self.told.append("assigned")
        if self.ill:
            raise self.ill.pop()
        return {place: len(self.stored) for place in places}

    def revoked(self, places: list[Place]) -> None:
        self.told.append("revoked")

    def process(self, batch: Batch, metadata: Any | None) -> int:
        self.metadata.append(metadata)
        if metadata is None:
            self._log.seek({PLACE: len(self.stored)})
            return 0
        for record in batch.records[PLACE]:
            offset: Any = record.offset()
            self._reads(offset)
            self.stored.append(offset)
        return len(batch)

    def look(self, metadata: Any | None) -> int:
        self.told.append(f"looked at {len(self.stored)}")
        return 10

    def give_up(self, fault: Exception) -> None:
        self.told.append(f"gave up: {fault}")

    def start_over(self) -> None:
        self._log.seek(self.assigned([PLACE]))

    def status(self) -> dict[str, Any]:
        return {"stored": len(self.stored)}


class Pulse:
    """Due in each third turn."""

    def __init__(self) -> None:
        self.beats: list[tuple[int, int]] = []
        self.troubles: list[str] = []

    def due(self) -> bool:
        return len(self.beats) % 3 == 2

    def beat(self, events: int, status: Callable[[], dict[str, Any]]) -> None:
        said = status()
        self.beats.append((events, said["stored"]))
        self.troubles.append(said.get("trouble", ""))


class Life:
    """A worker over such a log. What is to happen while it polls, or reads, is said by offset, each once."""

    def __init__(
        self, *, polls: dict[int, Callable[[Life], None]] | None = None, reads: dict[int, Callable[[Life], None]] | None = None
    ) -> None:
        self.stop = threading.Event()
        self.pulse = Pulse()
        self._polls, self._reads = polls or {}, reads or {}
        self._worker = Worker(self._copy, open_consumer=self._open, pulse=self.pulse, told=str, stop=self.stop)

    def run(self) -> None:
        self._worker.run(lambda _: self.log.join())

    def _open(self, starts: Starts, gone: Gone) -> Any:
        self.log = Log(starts, gone, lambda offset: self._happens(self._polls, offset))
        return self.log

    def _copy(self, consumer: Any) -> Copy:
        self.copy = Copy(consumer, lambda offset: self._happens(self._reads, offset))
        return self.copy

    def _happens(self, what: dict[int, Callable[[Life], None]], offset: int) -> None:
        if happening := what.pop(offset, None):
            happening(self)


def strange(text: str) -> KafkaException:
    """A fault of which nobody has said whether it passes."""
    return KafkaException(KafkaError(KafkaError.UNKNOWN, text))


def stops(life: Life) -> None:
    life.stop.set()


def fails(*faults: Exception) -> Callable[[Life], None]:
    """The first fault now, the others as it starts over."""

    def happening(life: Life) -> None:
        life.copy.ill = list(faults[:0:-1])
        raise faults[0]

    return happening


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_S", (0, 0))


def test_a_stop_ends_it_after_the_batch_at_hand() -> None:
    life = Life(reads={3: stops})
    life.run()
    assert life.copy.stored == [0, 1, 2, 3]
    assert life.copy.told == ["assigned", "opened", "looked at 3", "finished", "closed"]
    assert life.pulse.beats == [(1, 1), (1, 2), (11, 3), (1, 4)]
    assert life.log.closed


def test_after_a_fault_that_passes_it_starts_over_until_that_works_and_goes_on() -> None:
    life = Life(reads={1: fails(Transient("away"), Transient("still away"), Transient("not yet")), 2: stops})
    life.run()
    assert life.copy.stored == [0, 1, 2]
    started_over = ["gave up: away", "assigned", "assigned", "assigned"]
    assert life.copy.told == ["assigned", "opened", *started_over, "looked at 2", "finished", "closed"]
    assert life.pulse.beats == [(1, 1), (0, 1), (0, 1), (0, 1), (0, 1), (11, 2), (1, 3)]
    assert life.pulse.troubles == ["", "", "still away", "not yet", "not yet", "", ""]


def test_any_other_fault_ends_it_with_nothing_more_done() -> None:
    life = Life(reads={1: fails(LogError("the log was cut short"))})
    with pytest.raises(LogError, match="cut short"):
        life.run()
    assert life.copy.stored == [0]
    assert life.copy.told == ["assigned", "opened", "closed"]
    assert life.log.closed


def test_a_fault_that_outlasts_its_patience_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", -1)
    life = Life(reads={1: fails(Transient("away"), strange("still away"), strange("not yet"))})
    with pytest.raises(KafkaException, match="still away"):
        life.run()
    assert life.copy.told == ["assigned", "opened", "gave up: away", "assigned", "closed"]
    assert life.log.closed


def test_what_is_known_to_pass_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", -1)
    full = [OutOfMemoryError(f"full {n}") for n in range(9)]
    life = Life(reads={1: fails(Transient("away"), *full), 2: stops})
    life.run()
    assert life.copy.stored == [0, 1, 2]
    assert life.pulse.troubles == ["", "", *map(str, full), "full 8", "", ""]


@pytest.mark.parametrize(
    "fault", [NoPermissionError("not you"), KafkaException(KafkaError(KafkaError.INVALID_GROUP_ID, "not you"))]
)
def test_what_lasts_ends_it_at_once(fault: Exception) -> None:
    life = Life(reads={1: fails(fault)})
    with pytest.raises(type(fault), match="not you"):
        life.run()
    assert life.copy.told == ["assigned", "opened", "closed"]
    life = Life(reads={1: fails(Transient("away"), fault)})
    with pytest.raises(type(fault), match="not you"):
        life.run()
    assert life.copy.told == ["assigned", "opened", "gave up: away", "assigned", "closed"]


def test_what_nobody_knows_ends_it_when_it_comes_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "_PAUSE_S", 0)

    def again(life: Life) -> None:
        life._reads[1] = again
        raise strange("no such thing")

    life = Life(reads={1: again})
    with pytest.raises(KafkaException, match="no such thing"):
        life.run()
    assert life.copy.stored == [0]
    assert life.copy.told.count("gave up: " + str(strange("no such thing"))) == trouble.MOST_UNKNOWN


def test_a_fault_while_it_stops_is_no_failure() -> None:
    def told_to_stop(life: Life) -> None:
        life.stop.set()
        fails(Transient("away"), Transient("still away"))(life)

    life = Life(reads={1: told_to_stop})
    life.run()
    assert life.copy.stored == [0]
    assert life.copy.told == ["assigned", "opened", "gave up: away", "assigned", "closed"]
    assert life.log.closed


def test_a_fault_of_the_poll_itself_ends_it() -> None:
    """The consumer has no partitions to start over with when it could not take them."""
    life = Life(polls={1: fails(Transient("the partitions could not be taken"))})
    with pytest.raises(Transient, match="could not be taken"):
        life.run()
    assert life.copy.told == ["assigned", "opened", "closed"]


def test_metadata_is_of_before_the_poll_and_fences_no_batch_across_a_change_of_partitions() -> None:
    life = Life(polls={1: lambda life: life.log.rejoin()}, reads={2: stops})
    life.run()
    assert life.copy.metadata == ["after 0 changes", None, "after 2 changes", "after 2 changes"]
    assert life.copy.stored == [0, 1, 2]
    assert life.copy.told == ["assigned", "opened", "revoked", "assigned", "looked at 2", "finished", "closed"]


def test_partitions_are_taken_patiently() -> None:
    life = Life(reads={0: stops})
    life.copy.ill = [Transient("away"), Transient("still away")]
    life.run()
    assert life.copy.told[:4] == ["assigned", "assigned", "assigned", "opened"]
    assert life.copy.stored == [0]
