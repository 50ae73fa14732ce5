"""The projector: every event counts once, whatever happens to it, to Redis or to its fellows."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from redis import Redis

from eventfold.projections.digest import digest
from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.expected import NUMBERS, month
from tests.support.numbers import assert_flights, assert_punctuality
from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture
def empty(open_sandbox: OpenSandbox, january: Sandbox) -> Iterator[Sandbox]:
    """January's log beside a Redis in which nothing is folded yet."""
    with open_sandbox(topics_of=january) as sandbox:
        yield sandbox


def test_a_fold_from_zero_equals_the_data_and_the_first_fold(empty: Sandbox, january: Sandbox) -> None:
    projector = empty.projector("flights", "punctuality")
    empty.caught_up("flights", "punctuality")
    assert projector.stop() == 0
    assert_flights(empty)
    assert_punctuality(empty)
    for name in ("flights", "punctuality"):
        assert empty.tables(name) == january.tables(name)
        assert digest(empty.reader(name)) == digest(january.reader(name))


def test_a_restart_goes_on_where_the_rows_are(empty: Sandbox) -> None:
    """Killed as soon as some of it is written, and then again and again."""
    for _ in range(3):
        projector = empty.start("run", "projector", "punctuality")
        before = _scheduled(empty)
        eventually(lambda before=before: _scheduled(empty) > before, "some more is folded", pause_s=0.002)
        projector.kill()
    assert _scheduled(empty) < 27_004, "killed too late to prove anything"
    empty.projector("punctuality")
    empty.caught_up("punctuality")
    assert_punctuality(empty)


def test_two_projectors_on_the_same_partitions_leave_exact_numbers(empty: Sandbox) -> None:
    first = empty.start("run", "projector", "punctuality", "--partitions", "0,1,2,3,4,5", EVENTFOLD_INSTANCE="left")
    # Stopped in the midst of its fold until the other one begins, so that neither is done before.
    eventually(lambda: _scheduled(empty) > 0, "the first one folds", pause_s=0.002)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        second = empty.start("run", "projector", "punctuality", "--partitions", "5,4,3,2,1,0", EVENTFOLD_INSTANCE="right")
        second.wait_for_log("projector runs")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    empty.caught_up("punctuality")
    assert_punctuality(empty)
    refused = [daemon.log.count("another writer was there") for daemon in (first, second)]
    assert sum(refused) > 0, "they never met"
    assert [daemon.stop() for daemon in (first, second)] == [0, 0]


def test_pinned_beside_a_group_leaves_exact_numbers(empty: Sandbox) -> None:
    daemons = [empty.start("run", "projector", "punctuality", EVENTFOLD_INSTANCE="group")]
    daemons.append(empty.start("run", "projector", "punctuality", "--partitions", "0,1,2,3,4,5", EVENTFOLD_INSTANCE="pinned"))
    empty.caught_up("punctuality")
    assert_punctuality(empty)
    assert [daemon.stop() for daemon in daemons] == [0, 0]


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_two_projectors_of_a_group_share_the_partitions(open_sandbox: OpenSandbox, january: Sandbox, protocol: str) -> None:
    with open_sandbox(topics_of=january, EVENTFOLD_GROUP_PROTOCOL=protocol) as sandbox:
        sandbox.projector("flights", EVENTFOLD_INSTANCE="left")
        right = sandbox.projector("flights", EVENTFOLD_INSTANCE="right")

        eventually(lambda: sandbox.partitions_of("projector") == [3, 3], "each has three of six partitions", 60)
        assert right.stop() == 0
        eventually(lambda: sandbox.partitions_of("projector") == [6], "the one that is left takes over", 60)
        sandbox.caught_up("flights")
        assert_flights(sandbox)


def test_an_emptied_redis_is_noticed_at_rest_and_folded_anew(empty: Sandbox) -> None:
    projector = empty.projector("flights", "punctuality")
    empty.caught_up("flights", "punctuality")
    before = {name: digest(empty.reader(name)) for name in ("flights", "punctuality")}
    empty.empty_redis("flights", "punctuality")
    empty.caught_up("flights", "punctuality")
    assert {name: digest(empty.reader(name)) for name in before} == before
    assert projector.stop() == 0


def test_an_emptied_redis_in_the_middle_of_a_fold(empty: Sandbox) -> None:
    empty.start("run", "projector", "punctuality")
    eventually(lambda: _scheduled(empty) > 0, "something is folded", pause_s=0.002)
    empty.empty_redis("punctuality")
    empty.caught_up("punctuality")
    assert_punctuality(empty)


def test_after_an_emptied_redis_partitions_that_were_empty_go_on_in_the_new_build(sandbox: Sandbox) -> None:
    """A slice that was never written looks the same before and after: its partition must change builds too."""
    on_0, on_1 = (flights.numbers_on(partition, 2, 1)[0] for partition in (0, 1))
    sandbox.projector("flights")
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(on_0), flights.scheduled(on_0))
    sandbox.caught_up("flights")
    sandbox.empty_redis("flights")
    sandbox.caught_up("flights")
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(on_1), flights.scheduled(on_1))
    sandbox.caught_up("flights")
    assert sandbox.rows("flights").keys() == {flights.flight_id(on_0), flights.flight_id(on_1)}


def test_a_redis_that_lost_its_last_writes_is_folded_on_from_where_it_stands(sandbox: Sandbox) -> None:
    """Rows and offset go back together; the projector notices that they did."""
    numbers = flights.numbers_on(0, 2, 20)
    projector = sandbox.projector("flights")
    for number in numbers[:10]:
        log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))
    sandbox.caught_up("flights")
    keys = {key: sandbox.redis.dump(key) for key in sandbox.redis.keys("{flights:*")}
    for number in numbers[10:]:
        log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))
    sandbox.caught_up("flights")
    for key, value in keys.items():
        sandbox.redis.restore(key, 0, value, replace=True)
    projector.wait_for_log("slices changed in Redis")
    sandbox.caught_up("flights")
    assert sandbox.rows("flights").keys() == {flights.flight_id(number) for number in numbers}


def test_a_redis_without_the_script_is_survived(sandbox: Sandbox) -> None:
    projector = sandbox.projector("flights")
    first, second = flights.numbers_on(0, 2, 2)
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(first), flights.scheduled(first))
    sandbox.caught_up("flights")
    sandbox.redis.script_flush()
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(second), flights.scheduled(second))
    sandbox.caught_up("flights")
    assert len(sandbox.rows("flights")) == 2
    assert projector.stop() == 0


def test_the_group_s_offsets_follow_for_lag_tools(empty: Sandbox, january: Sandbox) -> None:
    projector = empty.projector("board")
    empty.caught_up("board")
    assert projector.stop() == 0
    committed = log.committed(empty, "board", "flights.events")
    reader = empty.reader("board")
    assert committed == {
        slice_.partition: int(empty.redis.hget(slice_.key("slice"), "offset")) for slice_ in reader.generation.slices()
    }


def test_a_redis_that_may_evict_is_refused(sandbox: Sandbox, own_redis: str) -> None:
    with Redis.from_url(own_redis) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
    for args in (("run", "projector", "flights"), ("run", "handler", "flights")):
        assert "noeviction" in sandbox.fails(1, *args, environ={"REDIS_URL": own_redis})


def test_a_redis_that_is_set_to_evict_ends_the_daemons_that_write_to_it(sandbox: Sandbox, own_redis: str) -> None:
    with Redis.from_url(own_redis) as redis:
        daemons = [sandbox.handler(REDIS_URL=own_redis), sandbox.projector("flights", REDIS_URL=own_redis)]
        redis.config_set("maxmemory-policy", "allkeys-lru")
        for daemon in daemons:
            assert daemon.ended() == 1
            assert "Redis may evict keys (maxmemory-policy allkeys-lru): set it to noeviction" in daemon.log


def _scheduled(sandbox: Sandbox) -> int:
    """How many flights `punctuality` counts by now."""
    if sandbox.generation("punctuality") is None:
        return 0
    return sum(row["scheduled"] for row in sandbox.reader("punctuality").all("origin").values())


def test_the_numbers_compared_are_those_of_the_read_model() -> None:
    assert set(NUMBERS) == set(month(1).by["carrier"]["UA"]) | {"diverted"}
