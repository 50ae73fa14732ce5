"""Connections to Redis that are cut: a slice is written whole, on the state it was meant for, or not at all.

Check and write are one script, and Redis runs a script to its end whatever becomes of the connection that it came by.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from eventfold.producers.commands import Command
from eventfold.store.commits import Changes, Commit
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import Progress, SliceId
from tests.faults.kills import seeds
from tests.support import commands, flights, log
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

SLICE = SliceId(owner="flights", generation="g", topic="flights.events", partition=0)
TABLE = "rows"
ROWS = 40_000


@pytest.fixture(scope="module")
def corner(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    with open_sandbox(partitions=0) as sandbox:
        yield sandbox


def commit_of(before: Progress, offset: int, value: bytes, rows: int = 1) -> Commit:
    changes = Changes()
    for number in range(rows):
        changes.put(TABLE, str(number), value)
    return Commit(slice=SLICE, before=before, after=Progress(offset=offset, topic_id="T"), changes=changes)


def cut(redis: Redis, named: str) -> None:
    """Kill the connections of that name, if there are any."""
    for client in redis.client_list():
        if client["name"] == named:
            redis.client_kill_filter(_id=client["id"])


def test_who_was_cut_off_between_check_and_write_does_not_write_on_the_old_check(corner: Sandbox) -> None:
    corner.redis.flushdb()
    url = corner.environ["REDIS_URL"]
    late, other = SliceStore(Redis.from_url(url, client_name="late")), SliceStore(Redis.from_url(url))
    assert other.commit([commit_of(Progress(), 5, b"1")]) == [True]
    seen = late.progress([SLICE])[0]
    cut(corner.redis, "late")
    assert other.commit([commit_of(seen, 6, b"2")]) == [True]

    def written() -> bool:
        """Whether it was; a client that does not connect anew by itself is told to."""
        try:
            return late.commit([commit_of(seen, 6, b"late")])[0]
        except RedisConnectionError:
            return late.commit([commit_of(seen, 6, b"late")])[0]

    assert not written()
    assert SliceStore(corner.redis).table(SLICE, TABLE) == {b"0": b"2"}
    assert other.progress([SLICE])[0].revision == 2


@pytest.mark.parametrize("seed", seeds(5))
def test_a_connection_that_is_cut_at_any_moment_of_a_write_leaves_all_of_it_or_nothing(corner: Sandbox, seed: int) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    chance = random.Random(seed)
    corner.redis.flushdb()
    writer = Redis.from_url(corner.environ["REDIS_URL"], client_name="writer")
    store, looking = SliceStore(writer), SliceStore(corner.redis)
    came: Counter[str] = Counter()
    for offset in range(1, 26):
        before = looking.progress([SLICE])[0]
        wanted = commit_of(before, offset, b"%d" % offset, ROWS)
        # A cut of the round before may show only now: it shall not be taken for one of this round.
        writer.connection_pool.disconnect()
        writer.ping()
        # Not to wait for anything: the cut is to fall anywhere within the write.
        killer = threading.Timer(chance.random() * 0.12, cut, (corner.redis, "writer"))
        killer.start()
        try:
            told = "written" if store.commit([wanted])[0] else "refused"
        except RedisConnectionError:
            told = "unknown"
        killer.join()
        after, values = looking.progress([SLICE])[0], set(looking.table(SLICE, TABLE).values())
        is_written = after.revision == before.revision + 1
        assert is_written or after == before
        if is_written:
            assert (after.offset, values) == (offset, {b"%d" % offset})
        else:
            assert values == ({b"%d" % before.offset} if before.revision else set())
        assert told != "written" or is_written
        # A client that sends again what was written already is refused by the revision.
        assert told != "refused" or is_written
        came[told] += 1
    print(dict(came))
    assert set(came) != {"written"}, "no cut fell within a write"


@pytest.mark.parametrize("seed", seeds(5))
def test_daemons_whose_connections_are_cut_all_the_time_count_each_event_once(
    open_sandbox: OpenSandbox, sandbox: Sandbox, seed: int
) -> None:
    print(f"EVENTFOLD_SEED={seed}")
    daemons = [sandbox.handler(), sandbox.projector("flights", "punctuality")]
    with cutting(sandbox, daemons, random.Random(seed)) as cuts:
        ids = stream(sandbox, 1_500)
        sandbox.caught_up("flights.handler", "flights", "punctuality", timeout_s=90)
        # On a fast machine the work is done after some; the rest meets daemons at rest.
        eventually(lambda: cuts() > 20, "more than twenty connections are cut")
    events = log.read(sandbox, "flights.events")
    assert Counter(event.header("ce_causationid") for event in events) == Counter(ids)
    assert log.read(sandbox, "flights.refusals") == []
    assert not commands.schedule(sandbox, 1).accepted, "the handler goes on"
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    names = ("flights", "punctuality")
    with open_sandbox(topics_of=sandbox) as undisturbed:
        undisturbed.projector(*names)
        undisturbed.caught_up(*names)
        assert [sandbox.tables(name) for name in names] == [undisturbed.tables(name) for name in names]


def stream(sandbox: Sandbox, count: int) -> list[str]:
    """Schedule flights and let them depart; the ids of the commands."""
    sender = sandbox.installation.write_side.sender("/test")
    ids = []
    for number in range(1, count + 1):
        for type_, data in (
            ("flights.ScheduleFlight", flights.scheduled(number)),
            ("flights.DepartFlight", flights.departing()),
        ):
            command = Command(type=type_, key=flights.flight_id(number), data=data)
            sender.send(command)
            ids.append(command.id)
        if number % 20 == 0:
            sender.flush()
    sender.flush()
    return ids


@contextmanager
def cutting(sandbox: Sandbox, daemons: list[Daemon], chance: random.Random) -> Iterator[Callable[[], int]]:
    """Cut the daemons' connections to Redis again and again meanwhile; what is yielded tells how many were."""
    done, killed = threading.Event(), 0

    def run() -> None:
        nonlocal killed
        redis = Redis.from_url(sandbox.environ["REDIS_URL"])
        while not done.is_set():
            ports = {c.laddr.port for daemon in daemons for c in psutil.Process(daemon.pid).net_connections() if c.laddr}
            for client in redis.client_list():
                if int(client["addr"].rpartition(":")[2]) in ports:
                    killed += redis.client_kill_filter(_id=client["id"])
            time.sleep(chance.random() * 0.05)
        redis.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: killed
    finally:
        done.set()
        thread.join()
