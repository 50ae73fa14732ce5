"""Rebuilding a read model as an operator does: replay, verify, generations, rollback."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eventfold.projections.digest import digest
from eventfold.schemas.partitioner import partition_of
from eventfold.store.slice_store import SliceStore
from eventfold.store.slices import STAMP
from tests.support import commands, flights, log
from tests.support.daemon import Daemon
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

LATER = "2099-01-01T00:00:00Z"


@contextmanager
def folding(open_sandbox: OpenSandbox, january: Sandbox, **settings: str) -> Iterator[Sandbox]:
    """January's log, folded into `flights` and `punctuality` in a Redis of its own, with no daemon running."""
    with open_sandbox(topics_of=january, **settings) as sandbox:
        projector = sandbox.projector("flights", "punctuality")
        sandbox.caught_up("flights", "punctuality")
        assert projector.stop() == 0
        yield sandbox


@pytest.fixture
def folded(open_sandbox: OpenSandbox, january: Sandbox) -> Iterator[Sandbox]:
    with folding(open_sandbox, january) as sandbox:
        yield sandbox


def table_key(sandbox: Sandbox, projection: str, table: str, partition: int = 0) -> str:
    """The Redis key of one slice's table in the live generation."""
    generation = sandbox.reader(projection).generation
    topic = next(iter(generation.partitions))
    return generation.slice(topic, partition).key(table)


def row_keys(sandbox: Sandbox, table: str) -> list[str]:
    """The keys of a slice's rows, in their order, without the slice's stamp."""
    return sorted(key.decode() for key in sandbox.redis.hkeys(table) if key != STAMP)


def generations(sandbox: Sandbox, projection: str) -> dict[str, dict[str, Any]]:
    return {row["generation"]: row for row in sandbox.json("generations", projection)}


def in_state(sandbox: Sandbox, projection: str, state: str) -> list[str]:
    return [id_ for id_, row in generations(sandbox, projection).items() if row["state"] == state]


def keys(sandbox: Sandbox) -> set[bytes]:
    return set(sandbox.redis.keys())


def contents(sandbox: Sandbox) -> dict[bytes, object]:
    """All that Redis holds."""
    read = {
        b"hash": sandbox.redis.hgetall,
        b"stream": sandbox.redis.xrange,
        b"string": sandbox.redis.get,
        b"zset": lambda key: sandbox.redis.zrange(key, 0, -1),
    }
    return {key: read[sandbox.redis.type(key)](key) for key in keys(sandbox)}


def interrupted(sandbox: Sandbox, *args: str) -> Daemon:
    """A replay that was killed in the midst of folding."""
    replay = sandbox.start("replay", "flights", "--max-events-per-second", "4000", *args)
    eventually(lambda: any(_built(sandbox, id_) for id_ in in_state(sandbox, "flights", "building")), "it has begun to fold")
    replay.kill()
    return replay


def _built(sandbox: Sandbox, id_: str) -> int:
    return sum(generations(sandbox, "flights")[id_]["offsets"].values())


# -- replay ----------------------------------------------------------------------------------------------------------------


def test_a_replay_is_equal_goes_live_and_moves_nothing_but_the_read_model(folded: Sandbox, january: Sandbox) -> None:
    before, rows = folded.generation("flights"), folded.tables("flights")
    topics = {row["topic"]: row["offsets"] for row in folded.json("topics", "list")}
    others = {key: of for key, of in contents(folded).items() if not key.startswith(b"{flights:")}
    others = {key: of for key, of in others.items() if f"{folded.prefix}flights}}".encode() not in key}
    found = folded.json("replay", "flights")
    assert (found["events"], found["switched"], found["whole"]) == (80_491, True, True)
    assert found["compared"]["equal"] and found["compared"]["equal_by_digest"] == 6
    assert folded.generation("flights") == found["generation"] != before
    assert folded.tables("flights") == rows
    assert digest(folded.reader("flights")) == digest(january.reader("flights"))
    assert {row["topic"]: row["offsets"] for row in folded.json("topics", "list")} == topics
    after = contents(folded)
    assert others and {key: after[key] for key in others} == others
    listed = generations(folded, "flights")
    assert {row["state"] for row in listed.values()} == {"live", "kept"} and len(listed) == 2


@pytest.mark.parametrize("projection", ["flights", "punctuality"])
def test_two_workers_build_the_same(folded: Sandbox, projection: str) -> None:
    rows = folded.tables(projection)
    found = folded.json("replay", projection, "--workers", "2")
    assert found["switched"] and found["compared"]["equal"] and found["events"] == 80_491
    assert folded.tables(projection) == rows


def test_daemons_follow_the_switch_while_commands_flow(sandbox: Sandbox) -> None:
    """No event is missed or doubled, no query finds a row gone, and what was live is kept as fresh as the live one."""
    sandbox.start("run", "handler", "flights")
    projector = sandbox.projector("flights", "punctuality")
    for number in range(1, 60):
        commands.post(sandbox, "ScheduleFlight", number, flights.scheduled(number))
    sandbox.caught_up("flights.handler", "flights", "punctuality")
    ended, failed, flown = threading.Event(), [], []

    def fly() -> None:
        try:
            for number in range(1, 60):
                if ended.is_set():
                    return
                position = commands.depart(sandbox, number).positions[0]
                row = sandbox.installation.readers.query("flights", {"id": flights.flight_id(number)}, [position], 30)
                assert row["status"] == "departed", row
                flown.append(number)
        except BaseException as error:
            failed.append(error)

    flying = threading.Thread(target=fly)
    flying.start()
    switched = 0
    while flying.is_alive() and switched < 8:
        switched += sandbox.json("replay", "flights")["switched"] + sandbox.json("replay", "punctuality")["switched"]
    ended.set()
    flying.join(60)
    assert not failed, failed
    assert switched >= 2
    sandbox.caught_up("flights", "punctuality")
    assert sum(row["status"] == "departed" for row in sandbox.rows("flights").values()) == len(flown)
    shown = sandbox.json("query", "punctuality")[0]
    assert (shown["scheduled"], shown["departed"]) == (59, len(flown))
    for name in ("flights", "punctuality"):
        (kept,) = in_state(sandbox, name, "kept")
        eventually(lambda kept=kept, name=name: generations(sandbox, name)[kept]["behind"] == 0, "the kept one is fed")
        assert digest(sandbox.installation.readers.open(name, kept)) == digest(sandbox.reader(name))
        assert sandbox.json("verify", name)["equal"]
    assert projector.stop() == 0


def test_progress_for_programs_and_for_people(folded: Sandbox) -> None:
    done = folded.run("replay", "flights", "--json", "--per-partition", "--max-events-per-second", "40000")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    progress = [event for event in events if event["event"] == "progress"]
    assert progress and len(progress[-1]["partitions"]) == 6 and progress[-1]["end"] >= progress[-1]["offset"]
    assert json.loads(done.stdout)["switched"]
    done = folded.run("replay", "flights")
    assert "the live slices were held for" in done.stdout and "equal by their digests (6 slices" in done.stdout
    assert "the new generation will take about" in done.stderr


# -- differences -----------------------------------------------------------------------------------------------------------


def test_verify_finds_an_edited_a_deleted_and_an_extra_row(folded: Sandbox) -> None:
    table = table_key(folded, "flights", "flights")
    edited, deleted = row_keys(folded, table)[:2]
    row = json.loads(folded.redis.hget(table, edited))
    folded.redis.hset(table, edited, json.dumps({**row, "origin": "XXX"}, sort_keys=True, separators=(",", ":")))
    folded.redis.hdel(table, deleted)
    folded.redis.hset(table, "nobody", b"{}")
    before = contents(folded)
    done = folded.run("verify", "flights", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["counts"] == {"flights": {"changed": 1, "extra": 1, "missing": 1}}
    assert {(d["key"], d["difference"]) for d in found["differences"]} == {
        (edited, "changed"),
        (deleted, "missing"),
        ("nobody", "extra"),
    }
    (changed,) = [d for d in found["differences"] if d["difference"] == "changed"]
    assert changed["fields"] == {"origin": {"is": "XXX", "should": row["origin"]}}
    assert found["rows_read"] == 27_004
    shown = folded.run("verify", "flights", "--show", "1")
    assert shown.returncode == 1 and "and 2 more (--show)" in shown.stdout
    assert contents(folded) == before, "it left something behind, or touched what is live"


def test_whatever_someone_wrote_is_found_and_shown(folded: Sandbox) -> None:
    table = table_key(folded, "flights", "flights")
    marked, broken = row_keys(folded, table)[:2]
    row = json.loads(folded.redis.hget(table, marked))
    folded.redis.hset(table, marked, json.dumps({**row, "status": "[/b]", "origin": "x" * 300}, sort_keys=True))
    folded.redis.hset(table, broken, b"not json")
    folded.redis.hset(table, b"\xfe\x00", b"{}")
    shown = folded.run("verify", "flights")
    assert shown.returncode == 1 and "Traceback" not in shown.stderr
    assert "[/b]" in shown.stdout and marked in shown.stdout and "\\xfe" in shown.stdout and '"not json"' in shown.stdout
    differences = json.loads(folded.run("verify", "flights", "--json").stdout)["differences"]
    assert {d["key"]: d["difference"] for d in differences} == {marked: "changed", broken: "changed", "\\xfe\x00": "extra"}
    absent = next(key for n in range(99) if partition_of(key := f"ZZ{n}:2013-01-01:JFK", 6) == 0)
    # With a row too many the slice is torn: that a row is absent cannot be relied on, nor can others be mended one by one.
    assert "is torn: its part 'flights'" in folded.fails(1, "query", "flights", absent)
    assert "is torn: its part 'flights'" in folded.fails(1, "replay", "flights", "--key", broken)
    folded.redis.hdel(table, b"\xfe\x00")
    assert "is not what eventfold wrote (b'not json')" in folded.fails(1, "query", "flights", broken)
    assert folded.json("replay", "flights", "--key", broken)["mended"][0]["difference"] == "changed"
    assert folded.json("query", "flights", broken)["id"] == broken


def test_verify_reads_the_members_of_indexes(open_sandbox: OpenSandbox, january: Sandbox) -> None:
    with open_sandbox(topics_of=january) as sandbox:
        sandbox.projector("board")
        sandbox.caught_up("board")
        assert sandbox.json("verify", "board")["equal"]
        index = table_key(sandbox, "board", "by_time")
        member = sandbox.redis.zrange(index, 0, 0)[0]
        sandbox.redis.zrem(index, member)
        sandbox.redis.zadd(index, {"JFK\0002013-01-01\0x\0\0nobody": 0})
        done = sandbox.run("verify", "board", "--json")
        assert (done.returncode, json.loads(done.stdout)["counts"]) == (1, {"by_time": {"extra": 1, "missing": 1}})


def test_verify_of_what_moves_meanwhile(sandbox: Sandbox) -> None:
    """With the daemons at work, equal is equal, and a wrong row is found although others change all the time."""
    sandbox.start("run", "handler", "flights")
    sandbox.projector("flights", "punctuality")
    importing = sandbox.start("flights", "import", "--months", "2-6")
    eventually(lambda: sum(log.committed(sandbox, "flights.handler", "flights.commands").values()) > 5_000, "it has begun")
    assert sandbox.json("verify", "flights")["equal"]
    assert sandbox.json("verify", "punctuality")["equal"]
    # Of January, so no event touches it any more.
    spoiled = row_keys(sandbox, table_key(sandbox, "flights", "flights"))[0]
    sandbox.redis.hset(table_key(sandbox, "flights", "flights"), spoiled, b"{}")
    found = sandbox.run("verify", "flights", "--json")
    assert importing.runs, "it ended too early to prove anything"
    assert (found.returncode, json.loads(found.stdout)["counts"]) == (1, {"flights": {"changed": 1}})
    importing.kill()


# -- interrupted, refused ----------------------------------------------------------------------------------------------------


def test_a_killed_replay_goes_on_where_it_was(folded: Sandbox) -> None:
    interrupted(folded)
    (building,) = in_state(folded, "flights", "building")
    done = _built(folded, building)
    assert 0 < done < 80_000
    refused = folded.fails(1, "replay", "flights")
    assert building in refused and "--resume" in refused and "--abort" in refused
    found = folded.json("replay", "flights", "--resume")
    assert found["generation"] == building and found["switched"] and found["compared"]["equal"]
    assert found["events"] < 80_491
    assert "no replay of 'flights' was interrupted" in folded.fails(1, "replay", "flights", "--resume")


def own_groups(sandbox: Sandbox) -> set[str]:
    """The consumer groups of the sandbox, and none of what other tests do meanwhile."""
    found = sandbox.admin.list_consumer_groups().result(30).valid
    return {group.group_id for group in found if group.group_id.startswith(sandbox.prefix)}


def test_an_aborted_replay_leaves_nothing_behind(folded: Sandbox) -> None:
    before = keys(folded)
    groups = own_groups(folded)
    interrupted(folded, "--workers", "2")
    assert keys(folded) > before
    folded.ok("replay", "flights", "--abort")
    eventually(lambda: keys(folded) == before, "all is as before")
    assert own_groups(folded) <= groups
    assert "nothing to drop" in folded.run("replay", "flights", "--abort").stderr


def test_ctrl_c_ends_a_replay_and_its_workers_and_says_how_to_go_on(folded: Sandbox) -> None:
    replay = folded.start("replay", "flights", "--workers", "2", "--max-events-per-second", "4000")
    eventually(lambda: any(_built(folded, id_) for id_ in in_state(folded, "flights", "building")), "it has begun to fold")
    assert replay.stop(signal.SIGINT) == 130
    assert "--resume" in replay.log and "Traceback" not in replay.log
    (building,) = in_state(folded, "flights", "building")
    before = _built(folded, building)
    assert before == _built(folded, building)
    assert folded.json("replay", "flights", "--resume")["switched"]


def test_a_second_replay_is_refused_with_who_holds_it(folded: Sandbox) -> None:
    replay = folded.start("replay", "flights", "--max-events-per-second", "4000")
    eventually(lambda: in_state(folded, "flights", "building"), "it has begun")
    for args in (["replay", "flights"], ["replay", "flights", "--resume"], ["replay", "flights", "--abort"]):
        refused = folded.fails(1, *args)
        assert f"runs already, on {socket.gethostname()} with pid {replay.pid}" in refused
    assert folded.json("replay", "punctuality")["switched"], "another projection is free"
    assert replay.stop() == 130


def test_too_little_memory_is_refused_before_anything_is_built(
    open_sandbox: OpenSandbox, january: Sandbox, own_redis: str
) -> None:
    with folding(open_sandbox, january, REDIS_URL=own_redis) as folded:
        before, used = keys(folded), folded.redis.info("memory")["used_memory"]
        folded.redis.config_set("maxmemory", used + (1 << 20))
        assert "not enough memory: the new generation will take about" in folded.fails(1, "replay", "flights")
        assert "not enough memory" in folded.fails(1, "verify", "flights")
        assert keys(folded) == before
        folded.redis.config_set("maxmemory", 0)
        assert folded.json("replay", "flights", "--ignore-memory")["switched"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["replay", "nothing"], "no projection is called 'nothing'"),
        (["verify", "nothing"], "no projection is called 'nothing'"),
        (["generations", "nothing"], "no projection is called 'nothing'"),
        (["rollback", "nothing"], "no projection is called 'nothing'"),
        (["replay", "flights", "--resume", "--abort"], "only one of"),
        (["replay", "flights", "--from-offset", "10"], "can only be folded from the first event"),
        (["replay", "punctuality", "--from-offset", "x"], "write OFFSET, PARTITION:OFFSET, or beginning"),
        (["replay", "punctuality", "--from-offset", "77:1"], "there is no partition 77"),
        (["replay", "punctuality", "--from-offset", "1", "--from-time", LATER], "either"),
        (["replay", "punctuality", "--from-time", "yesterday"], "is not a time"),
        (["replay", "punctuality", "--to-time", LATER, "--switch", "always"], "cannot go live"),
        (["replay", "flights", "--keep", "soon"], "is no duration"),
        (["replay", "flights", "--keep", "99999999d"], "is more than 3650 days"),
        (["replay", "flights", "--max-events-per-second", "nan"], "above zero"),
        (["replay", "flights", "--max-events-per-second", "0"], "above zero"),
        (["replay", "flights", "--workers", "0"], "workers"),
    ],
)
def test_wrong_input(january: Sandbox, args: list[str], says: str) -> None:
    before = keys(january)
    assert says in january.fails(2, *args)
    assert keys(january) == before


def test_what_was_never_built(open_sandbox: OpenSandbox, january: Sandbox) -> None:
    with open_sandbox(topics_of=january) as sandbox:
        assert "was never built" in sandbox.fails(1, "verify", "flights")
        assert "was never built" in sandbox.fails(1, "rollback", "flights")
        assert sandbox.json("generations", "flights") == []
        found = sandbox.json("replay", "flights")
        assert (found["events"], found["switched"], found["compared"]) == (80_491, True, None)
        assert sandbox.tables("flights") == january.tables("flights")


# -- rollback, a part of the history -----------------------------------------------------------------------------------------


def test_rollback_goes_back_and_forth_with_nothing_lost(sandbox: Sandbox) -> None:
    sandbox.start("run", "handler", "flights")
    sandbox.projector("flights")
    commands.schedule(sandbox, 1)
    first = sandbox.generation("flights")
    assert "nothing to go back to" in sandbox.fails(1, "rollback", "flights")
    second = sandbox.json("replay", "flights")["generation"]
    commands.schedule(sandbox, 2)
    sandbox.caught_up("flights")
    assert sandbox.json("rollback", "flights")["generation"] == first == sandbox.generation("flights")
    assert len(sandbox.rows("flights")) == 2, "the kept one was not fed"
    outcome = commands.schedule(sandbox, 3)
    shown = sandbox.json("query", "flights", flights.flight_id(3), "--after", str(outcome.positions[0]))
    assert shown["status"] == "scheduled"
    assert sandbox.json("rollback", "flights")["generation"] == second
    assert len(sandbox.rows("flights")) == 3


def test_rollback_to_what_nobody_feeds_takes_a_word(sandbox: Sandbox) -> None:
    handler = sandbox.handler()
    projector = sandbox.projector("flights")
    commands.schedule(sandbox, 1)
    sandbox.caught_up("flights")
    sandbox.json("replay", "flights")
    assert projector.stop() == 0
    (kept,) = in_state(sandbox, "flights", "kept")
    commands.schedule(sandbox, 2)
    assert handler.stop() == 0
    live = sandbox.reader("flights").generation
    projector = sandbox.start("run", "projector", "flights", "--partitions", "0,1")
    sandbox.caught_up("flights")
    eventually(lambda: generations(sandbox, "flights")[kept]["behind"] == 0, "the kept one is fed by a pinned one, too")
    assert projector.stop() == 0
    store = SliceStore(sandbox.redis)
    generation = sandbox.installation.readers.open("flights", kept).generation
    for slice_ in generation.slices():
        sandbox.redis.hset(slice_.key("slice"), "offset", 0)
    assert all(progress.offset == 0 for progress in store.progress(generation.slices()))
    assert "is not fed" in sandbox.fails(1, "rollback", "flights")
    assert sandbox.reader("flights").generation == live
    assert sandbox.json("rollback", "flights", "--stale")["generation"] == kept


def test_what_is_kept_goes_when_its_time_has_come(sandbox: Sandbox) -> None:
    sandbox.handler()
    sandbox.projector("flights")
    commands.schedule(sandbox, 1)
    first = sandbox.generation("flights")
    sandbox.json("replay", "flights", "--keep", "1s")
    eventually(lambda: not sandbox.redis.keys(f"*{first}*"), "its keys are gone")
    assert [row["state"] for row in sandbox.json("generations", "flights")] == ["live"]
    commands.schedule(sandbox, 2)
    sandbox.caught_up("flights")
    assert not sandbox.redis.keys(f"*{first}*"), "something wrote to it after it was dropped"
    assert len(sandbox.rows("flights")) == 2


def test_a_part_of_the_history_is_built_to_be_looked_at(folded: Sandbox) -> None:
    live = folded.generation("punctuality")
    found = folded.json("replay", "punctuality", "--from-offset", "5000", "--from-offset", "3:0")
    assert (found["whole"], found["switched"]) == (False, False)
    assert folded.generation("punctuality") == live
    whole = sum(row["scheduled"] for row in folded.json("query", "punctuality"))
    part = sum(row["scheduled"] for row in folded.json("query", "punctuality", "--generation", found["generation"]))
    records = [record for record in log.read(folded, "flights.events") if record.partition == 3 or record.offset >= 5_000]
    assert part == log.count_by_type(records)["flights.FlightScheduled"] < whole == 27_004
    assert found["events"] == len(records)
    folded.ok("replay", "punctuality", "--abort")
    shown = folded.run("replay", "punctuality", "--from-time", "2013-01-01T00:00:00Z", "--to-time", LATER)
    assert shown.returncode == 0 and "not the whole history" in shown.stdout + shown.stderr
    (building,) = in_state(folded, "punctuality", "building")
    assert folded.json("query", "punctuality", "--generation", building) == folded.json("query", "punctuality")
    folded.ok("replay", "punctuality", "--abort")
    # Once a part is live, the whole history takes its place without being compared with it.
    part = folded.json("replay", "punctuality", "--from-offset", "5000", "--switch", "always")
    assert part["switched"] and folded.generation("punctuality") == part["generation"]
    assert "is not of the whole history" in folded.fails(1, "verify", "punctuality")
    done = folded.run("replay", "punctuality", "--switch", "if-equal")
    assert done.returncode == 1 and "not live, the live generation is not of the whole history" in done.stdout
    whole_again = folded.json("replay", "punctuality", "--resume")
    assert whole_again["switched"] and whole_again["whole"]
    assert "nothing was recorded before" in folded.fails(2, "replay", "punctuality", "--to-time", "2013-01-01T00:00:00Z")


def test_a_bad_event_stops_a_replay_and_the_live_model_stays(sandbox: Sandbox) -> None:
    handler = sandbox.handler()
    sandbox.projector("flights")
    commands.schedule(sandbox, 1)
    sandbox.caught_up("flights")
    assert handler.stop() == 0
    live = sandbox.generation("flights")
    log.write(sandbox, "flights.events", flights.flight_id(1), b"\xc3\x01nonsense", partition=0)
    eventually(lambda: any(row["stalled"] for row in sandbox.status()), "the projector stands still")
    found = sandbox.json("replay", "flights", "--switch", "never")
    assert not found["switched"] and found["compared"]["equal"], "up to the bad event both are the same"
    sandbox.ok("replay", "flights", "--abort")
    failed = sandbox.fails(1, "replay", "flights")
    assert "flights.events/0@" in failed and "--resume" in failed
    assert sandbox.generation("flights") == live


# -- one aggregate -----------------------------------------------------------------------------------------------------------


def test_one_aggregate_is_mended_in_place_and_a_running_projector_goes_on(sandbox: Sandbox) -> None:
    sandbox.handler()
    projector = sandbox.projector("flights", "board")
    for number in (1, 2):
        commands.schedule(sandbox, number)
        commands.depart(sandbox, number)
    sandbox.caught_up("flights", "board")
    live, rows = sandbox.generation("flights"), sandbox.rows("flights")
    id_ = flights.flight_id(1)
    found = sandbox.json("replay", "flights", "--key", id_)
    assert (found["events"], found["mended"]) == (2, [])

    generation = sandbox.reader("flights").generation
    partition = sandbox.json("history", "flights", id_)[0]["position"].partition("/")[2].partition("@")[0]
    table = generation.slice(next(iter(generation.partitions)), int(partition)).key("flights")
    sandbox.redis.hset(table, id_, json.dumps({**rows[id_], "status": "lost"}))
    (mended,) = sandbox.json("replay", "flights", "--key", id_)["mended"]
    assert mended["fields"] == {"status": {"is": "lost", "should": "departed"}}
    assert sandbox.rows("flights") == rows
    # A row that is missing makes the slice torn, and the projector folds it anew.
    sandbox.redis.hdel(table, id_)
    projector.wait_for_log("a slice was torn: it is folded anew")
    sandbox.caught_up("flights")
    assert sandbox.rows("flights") == rows
    # Its digest is that of its rows again, until a row is mended.
    sandbox.redis.hset(table, id_, json.dumps({**rows[id_], "status": "lost"}))
    assert len(sandbox.json("replay", "flights", "--key", id_)["mended"]) == 1

    # What the projector held of the row is out of date; it must not write it back.
    position = str(commands.arrive(sandbox, 1).positions[0])
    assert sandbox.json("query", "flights", id_, "--after", position)["status"] == "arrived"
    assert sandbox.json("verify", "flights")["equal"]
    assert sandbox.generation("flights") == live
    # The digest of that slice is not known any more, so its rows are read before a switch.
    compared = sandbox.json("replay", "flights")["compared"]
    assert compared["equal"] and compared["equal_by_digest"] == 1 and compared["rows_read"] > 0
    assert projector.stop() == 0


def test_the_index_of_one_aggregate_is_mended_with_its_row(sandbox: Sandbox) -> None:
    handler, projector = sandbox.handler(), sandbox.projector("board")
    commands.schedule(sandbox, 1)
    sandbox.caught_up("board")
    assert (handler.stop(), projector.stop()) == (0, 0)
    generation, id_ = sandbox.reader("board").generation, flights.flight_id(1)
    shown = sandbox.json("query", "board", "JFK", "--date", "2013-02-08")
    for slice_ in generation.slices():
        for member in sandbox.redis.zrangebylex(slice_.key("by_time"), "-", b"(\xff"):
            sandbox.redis.zrem(slice_.key("by_time"), member)
            sandbox.redis.zadd(slice_.key("by_time"), {f"LAX\0002013-02-08\0x\0\0{id_}": 0})
    sandbox.fails(1, "query", "board", "JFK", "--date", "2013-02-08")
    mended = sandbox.json("replay", "board", "--key", id_)["mended"]
    assert sorted(row["difference"] for row in mended) == ["extra", "missing"]
    assert sandbox.json("query", "board", "JFK", "--date", "2013-02-08") == shown
    assert sandbox.json("verify", "board")["equal"]


def test_what_cannot_be_mended(january: Sandbox) -> None:
    assert "no table of 'punctuality' is keyed by the aggregate" in january.fails(2, "replay", "punctuality", "--key", "UA1")
    assert "has neither events nor rows" in january.fails(1, "replay", "flights", "--key", "UA0:2013-01-01:EWR")
    assert "only one of" in january.fails(2, "replay", "flights", "--key", "UA1", "--resume")
