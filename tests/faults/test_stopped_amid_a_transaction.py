"""A handler that is stopped (SIGSTOP) between producing and committing, while its partitions go to another, and resumed."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from eventfold.kafka.topics import Topics
from eventfold.producers.commands import Command
from tests.support import flights, log
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

PARTITIONS = 2
GIVEN_UP = "batch given up, handing over anew"
FENCED = "eventfold: another instance took the transactional id"


@pytest.fixture(params=["consumer", "classic"])
def grouped(open_sandbox: OpenSandbox, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Under either protocol of consumer groups."""
    with open_sandbox(partitions=PARTITIONS, EVENTFOLD_GROUP_PROTOCOL=request.param) as sandbox:
        yield sandbox


class Stream:
    """Schedules one flight after another until it is told to end. ids: of the commands, once it has ended."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.ids: list[str] = []
        self._sender = sandbox.installation.write_side.sender("/test", linger_ms=5)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for _ in range(100):
                key = f"F-{len(self.ids)}"
                command = Command(type="flights.ScheduleFlight", key=key, data=flights.scheduled(1))
                self._sender.send(command)
                self.ids.append(command.id)
            self._sender.flush()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)


@pytest.mark.parametrize("resumed", ["when its partitions are another's", "when its transaction is aborted"])
def test_what_it_had_produced_is_committed_by_nobody_and_decided_by_another(grouped: Sandbox, resumed: str) -> None:
    stopped = grouped.handler("stopped")
    zombie = set(grouped.members("flights.handler"))
    stream = Stream(grouped)
    try:
        stop_amid_a_transaction(grouped, stopped, offsets_added=False)
    finally:
        stream.end()
    other = grouped.start("--instance", "other", "run", "handler", "flights")
    try:
        if resumed == "when its transaction is aborted":
            other.wait_for_log("event=assigned domain=flights", 1, 90)
        else:
            eventually(lambda: zombie.isdisjoint(grouped.members("flights.handler")), "the stopped one is expelled", 60)
            eventually(lambda: [*grouped.members("flights.handler").values()] == [PARTITIONS], "the other has all", 60)
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    grouped.caught_up("flights.handler", timeout_s=90)

    events = log.read(grouped, "flights.events")
    assert Counter(event.header("ce_causationid") for event in events) == Counter(stream.ids), "each command made one event"
    assert {event.header("ce_sequence") for event in events} == {"1"}
    assert log.read(grouped, "flights.refusals") == []
    assert len(log.read(grouped, "flights.events", committed=False)) > len(events), "what it had produced was aborted"
    assert other.runs
    # It learns that its transaction was aborted and ends, for a supervisor to start it anew; or, before that, that it was
    # expelled, or that its request has no answer since so long: then it takes a new producer and goes on.
    eventually(lambda: not stopped.runs or GIVEN_UP in stopped.log, "the stopped one learns what became of it")
    if GIVEN_UP not in stopped.log:
        assert stopped.ended() == 1
        assert FENCED in stopped.log
    else:
        eventually(lambda: sorted(grouped.members("flights.handler").values()) == [1, 1], "it takes part again", 60)
        assert stopped.stop() == 0
    assert "Traceback" not in stopped.log
    assert other.stop() == 0


def test_a_transaction_that_holds_its_offsets_already_is_waited_for_and_counts_whole(grouped: Sandbox) -> None:
    """It was a member when it added them. So it may still commit, and the new owner decides nothing before it knows."""
    stopped = grouped.handler("stopped")
    zombie = set(grouped.members("flights.handler"))
    stream = Stream(grouped)
    try:
        stop_amid_a_transaction(grouped, stopped, offsets_added=True)
    finally:
        stream.end()
    other = grouped.start("--instance", "other", "run", "handler", "flights")
    try:
        eventually(lambda: zombie.isdisjoint(grouped.members("flights.handler")), "the stopped one is expelled", 60)
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    grouped.caught_up("flights.handler", timeout_s=90)
    causes = [event.header("ce_causationid") for event in log.read(grouped, "flights.events")]
    assert Counter(causes) == Counter(stream.ids), "each command made one event"
    assert log.read(grouped, "flights.refusals") == []
    assert other.stop() == 0


def stop_amid_a_transaction(sandbox: Sandbox, handler: Daemon, *, offsets_added: bool) -> None:
    """Stop it while events of its lie in the log that are not committed, before or after it added the offsets it consumed.

    Else let it go on, and try again.
    """
    topics = Topics(sandbox.installation.kafka)

    def caught() -> bool:
        if not open_transactions(sandbox, topics):
            return False
        os.kill(handler.pid, signal.SIGSTOP)
        # What was on its way to the broker is done by the time that this has answered a few times more.
        if all(open_transactions(sandbox, topics) for _ in range(20)) and offsets_are_added(sandbox) is offsets_added:
            return True
        os.kill(handler.pid, signal.SIGCONT)
        return False

    eventually(caught, "the handler is stopped amid a transaction", 90, pause_s=0)


def offsets_are_added(sandbox: Sandbox) -> bool:
    """Whether the group's offsets wait for a transaction: who asks for stable ones then gets no answer."""
    group = sandbox.topic("flights.handler")
    config = {"bootstrap.servers": sandbox.stack.bootstrap, "group.id": group, "isolation.level": "read_committed"}
    with closing(Consumer(config)) as reader:
        try:
            reader.committed([TopicPartition(sandbox.topic("flights.commands"), p) for p in range(PARTITIONS)], timeout=1)
        except KafkaException:
            return True
    return False


def open_transactions(sandbox: Sandbox, topics: Topics) -> bool:
    """Whether the log ends behind what is committed."""
    places = [(sandbox.topic("flights.events"), partition) for partition in range(PARTITIONS)]
    stable, high = topics.ends(places, committed=True), topics.ends(places, committed=False)
    return any(stable[place] < high[place] for place in places)
