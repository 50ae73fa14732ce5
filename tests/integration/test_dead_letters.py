"""`eventfold dead-letters`: what is parked or could not be decoded is looked at, tried again in its order, thrown away."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventfold.processors.dead_letters.owner import RETRY
from eventfold.processors.dead_letters.parked import ParkedEvents
from eventfold.schemas.errors import NotFoundError
from eventfold.schemas.writing import written
from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.wards import Open, Wards, key_on, opener

A, B, C = (key_on(0, number) for number in range(3))
OTHER = key_on(1)
GARBAGE = b"garbage of an event"


@pytest.fixture(scope="module")
def open_wards(open_sandbox: OpenSandbox, tmp_path_factory: pytest.TempPathFactory) -> Open:
    return opener(open_sandbox, tmp_path_factory)


@pytest.fixture
def wards(open_wards: Open) -> Iterator[Wards]:
    with open_wards() as opened:
        yield opened


@pytest.fixture
def parked(wards: Wards) -> Wards:
    """Of A three events are parked from offset 1 on, of B one that cannot be decoded; C is folded. No projector runs."""
    wards.post(A)
    wards.post(A, "Nowhere")
    wards.post(C)
    wards.deliver(A)
    wards.raw(B.encode(), GARBAGE, 0)
    wards.post(A, "Bergen")
    caught_up(wards)
    assert {key: (mark.origin, mark.count) for key, mark in wards.parked().items()} == {A: (1, 3), B: (4, 1)}
    return wards


def caught_up(wards: Wards, **environ: str) -> None:
    """Fold all that is there, and stop."""
    projector = wards.sandbox.projector("parcels", **environ)
    wards.sandbox.caught_up_by_command("parcels")
    assert projector.stop() == 0


def mended(wards: Wards, *args: str, code: int = 0) -> Any:
    """What `eventfold dead-letters <args> --json` of the mended code prints."""
    done = wards.sandbox.run("dead-letters", *args, "--json", environ=wards.mended)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def without(*positions: tuple[str, int]) -> Callable[[log.Record], bool]:
    return lambda record: (record.key, record.offset) in positions


def states(wards: Wards) -> list[tuple[str, str]]:
    """Of each letter, in order, where it is from and its state."""
    return [(r.header("eventfold-origin").rpartition("@")[2], r.header("eventfold-state")) for r in wards.letters()]


# -- looking -----------------------------------------------------------------------------------------------------------------


def test_list_and_show(parked: Wards) -> None:
    rows = parked.sandbox.json("dead-letters", "list")
    assert [(r["owner"], r["domain"], r["key"], r["origin"], r["events"]) for r in rows] == [
        ("parcels", "parcels", A, f"{parked.topic}/0@1", 3),
        ("parcels", "parcels", B, f"{parked.topic}/0@4", 1),
    ]
    assert "there is no such depot" in rows[0]["error"] and rows[0]["since"].endswith("Z")
    assert parked.sandbox.json("dead-letters", "list", "--owner", "parcels") == rows
    assert parked.sandbox.json("dead-letters", "list", "--owner", "parcels.handler") == []
    assert A in parked.sandbox.ok("dead-letters", "list")

    shown = parked.sandbox.json("dead-letters", "show", "parcels", A)
    records = shown["records"]
    assert [r["position"] for r in records] == [f"{parked.topic}/0@{offset}" for offset in (1, 3, 5)]
    assert records[0]["type"] == "parcels.ParcelPosted" and records[0]["data"] == {"depot": "Nowhere", "weight_g": 100}
    assert records[0]["headers"]["ce_type"] == "parcels.ParcelPosted" and records[0]["schema_version"] == 1
    assert (records[1]["type"], records[1]["schema_version"]) == ("parcels.ParcelDelivered", 2)
    (bad,) = parked.sandbox.json("dead-letters", "show", "parcels", B)["records"]
    assert bad["bytes"] == GARBAGE.hex() and "not Avro" in bad["undecodable"]
    assert GARBAGE.hex() in parked.sandbox.ok("dead-letters", "show", "parcels", B)


def test_what_is_parked_is_shown_in_the_newest_form_and_says_which_version_it_has(parked: Wards) -> None:
    parked.raw(A.encode(), written(parked.codec.catalog, "parcels.ParcelDelivered", 1, {"delivered_at": 0}), 0)
    caught_up(parked)
    record = parked.sandbox.json("dead-letters", "show", "parcels", A)["records"][-1]
    assert record["schema_version"] == 1
    assert record["data"] == {"delivered_at": "1970-01-01T00:00:00Z", "signed_by": None}


def test_a_query_shows_what_is_parked(parked: Wards) -> None:
    parked.raw(OTHER.encode(), parked.posted("Nowhere"), 1)
    caught_up(parked)
    shown = parked.sandbox.json("query", "parcels", A)
    assert shown["status"] == "posted"
    assert shown["parked"]["since"] == f"{parked.topic}/0@1" and shown["parked"]["events"] == 3
    assert "there is no such depot" in shown["parked"]["error"]
    assert "are parked (3)" in parked.sandbox.run("query", "parcels", A).stderr
    fine = parked.sandbox.run("query", "parcels", C, "--json")
    assert "parked" not in json.loads(fine.stdout)
    assert "are parked" in parked.sandbox.fails(1, "query", "parcels", OTHER)

    assert f"{parked.topic}/0@3 is parked" in parked.sandbox.fails(1, "query", "parcels", A, "--after", f"{parked.topic}/0@3")
    after = ("--after", f"{parked.topic}/0@2", "--after", f"{parked.topic}/0@0")
    assert parked.sandbox.json("query", "parcels", C, *after)["id"] == C


def test_a_query_of_many_rows_says_that_some_are_parked(wards: Wards) -> None:
    wards.post(A)
    wards.raw(B.encode(), GARBAGE, 0)
    projector = wards.sandbox.projector("depots")
    wards.sandbox.caught_up_by_command("depots")
    assert projector.stop() == 0
    done = wards.sandbox.run("query", "depots", "--json")
    assert json.loads(done.stdout) == [{"depot": "Oslo", "parcels": 1, "weight_g": 100}]
    assert "1 key is parked" in done.stderr and "dead-letters list --owner depots" in done.stderr


# -- trying again ------------------------------------------------------------------------------------------------------------


def test_a_retry_with_the_same_code_changes_nothing(parked: Wards) -> None:
    before, tables = parked.parked(), parked.tables()
    done = parked.sandbox.run("dead-letters", "retry", "parcels", A)
    assert done.returncode == 1 and "3 still wait" in done.stdout and "there is no such depot" in done.stdout
    assert parked.parked() == before and parked.tables() == tables
    assert [state for _, state in states(parked)] == ["parked"] * 4


def test_a_retry_with_mended_code_folds_all_in_order(parked: Wards) -> None:
    (done,) = mended(parked, "retry", "parcels", A)
    assert (done["done"], done["left"]) == (3, 0)
    assert parked.origins() == {B: 4}
    parked.assert_is(parked.plain(lambda record: record.key == B))
    assert states(parked)[4:] == [("1", "retried"), ("3", "retried"), ("5", "retried")]
    # What comes is folded again, also by a projector that never heard of the retry.
    parked.deliver(A)
    caught_up(parked, **parked.mended)
    parked.assert_is(parked.plain(lambda record: record.key == B))


def test_what_is_folded_before_another_failure_stays_folded(parked: Wards) -> None:
    parked.raw(A.encode(), GARBAGE, 0)
    parked.deliver(A)
    caught_up(parked)
    rows = mended(parked, "retry", "parcels", "--all", code=1)
    assert [(row["key"], row["done"], row["left"]) for row in rows] == [(A, 3, 2), (B, 0, 1)]
    assert f"{parked.topic}/0@6" in rows[0]["error"]
    assert {key: (mark.origin, mark.count) for key, mark in parked.parked().items()} == {A: (6, 2), B: (4, 1)}
    assert "not Avro" in parked.parked()[A].error
    parked.assert_is(parked.plain(lambda record: record.key == B or record.offset >= 6))


def test_a_retry_while_events_of_the_key_arrive_and_a_projector_runs(parked: Wards) -> None:
    projector = parked.sandbox.projector("parcels", **parked.mended)
    enough = threading.Event()
    sent = []

    def send() -> None:
        while not enough.is_set():
            for key in (A, C, A):
                parked.post(key, f"Depot {len(sent) % 3}")
                sent.append(key)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        eventually(lambda: parked.parked()[A].count > 30, "more of the key is parked")
        (done,) = mended(parked, "retry", "parcels", A)
    finally:
        enough.set()
        sender.join()
    assert done["left"] == 0 and done["done"] > 30
    parked.sandbox.caught_up_by_command("parcels")
    assert projector.stop() == 0
    assert parked.origins() == {B: 4}
    parked.assert_is(parked.plain(lambda record: record.key == B))
    print(f"{done['done']} of {len(sent)} events folded by the retry")


def test_four_that_retry_one_key_at_once_fold_each_event_once(parked: Wards) -> None:
    """Each of their writes makes the others' be refused."""
    for _ in range(4_000):
        parked.sandbox.producer.produce(parked.topic, parked.posted("Lillehammer"), A, 0)
    parked.sandbox.producer.flush(20)
    caught_up(parked)
    done: list[int] = []

    def retry() -> None:
        owner = ParkedEvents(parked.runtime, parked.mended_projection)
        (entry,) = [entry for entry in owner.entries() if entry.key == A.encode()]
        barrier.wait()
        try:
            done.append(owner.resolve(entry, RETRY).done)
        except NotFoundError:
            done.append(0)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=retry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4 and sum(done) == 4_003, done
    assert parked.origins() == {B: 4}
    parked.assert_is(parked.plain(lambda record: record.key == B))


def test_a_kill_in_the_midst_of_a_retry_loses_and_doubles_nothing(parked: Wards) -> None:
    for _ in range(2_500):
        parked.sandbox.producer.produce(parked.topic, parked.posted("Lillehammer"), A, 0)
    parked.sandbox.producer.flush(20)
    caught_up(parked)
    retry = parked.sandbox.start("dead-letters", "retry", "parcels", A, **parked.mended)
    eventually(lambda: parked.parked()[A].origin > 1, "some of it is folded", pause_s=0.001)
    retry.kill()
    left = parked.parked()[A].count
    assert left > 0, "killed too late to prove anything"
    (done,) = mended(parked, "retry", "parcels", A)
    assert done["done"] == left
    parked.assert_is(parked.plain(lambda record: record.key == B))


# -- throwing away -----------------------------------------------------------------------------------------------------------


def test_discard_drops_the_first_and_folds_the_rest(parked: Wards) -> None:
    assert "--yes" in parked.sandbox.fails(2, "dead-letters", "discard", "parcels", A)
    (done,) = parked.sandbox.json("dead-letters", "discard", "parcels", A, "--yes")
    assert (done["dropped"], done["done"], done["left"]) == (1, 2, 0)
    parked.assert_is(parked.plain(lambda record: record.key == B or (record.key, record.offset) == (A, 1), mended=False))
    assert states(parked)[4:] == [("1", "discarded"), ("3", "retried"), ("5", "retried")]


def test_discard_of_one_behind_which_another_fails(parked: Wards) -> None:
    parked.post(A, "Nowhere")
    parked.deliver(A)
    caught_up(parked)
    done = parked.sandbox.run("dead-letters", "discard", "parcels", A, "--yes")
    assert done.returncode == 1 and "1 thrown away, 2 worked on, 2 still wait" in done.stdout
    assert {key: (mark.origin, mark.count) for key, mark in parked.parked().items()} == {A: (6, 2), B: (4, 1)}


def test_skip_key_drops_all_and_goes_on(parked: Wards) -> None:
    (done,) = parked.sandbox.json("dead-letters", "skip-key", "parcels", A, "--yes")
    assert (done["dropped"], done["left"]) == (3, 0)
    parked.post(A, "Bodø")
    caught_up(parked)
    parked.assert_is(parked.plain(without((A, 1), (A, 3), (A, 5), (B, 4)), mended=False))
    assert [state for _, state in states(parked)[4:]] == ["discarded"] * 3


def test_a_key_that_is_not_utf_8_is_named_as_it_is_shown(wards: Wards) -> None:
    wards.raw(b"\xff\xfe", wards.posted(), 0)
    wards.raw(None, wards.posted(), 0)
    caught_up(wards)
    assert [row["key"] for row in wards.sandbox.json("dead-letters", "list")] == ["\\xff\\xfe", ""]
    assert wards.sandbox.json("dead-letters", "show", "parcels", "\\xff\\xfe")["records"][0]["data"]["depot"] == "Oslo"
    assert wards.sandbox.run("dead-letters", "retry", "parcels", "").returncode == 1
    for key in ("\\xff\\xfe", ""):
        assert wards.sandbox.json("dead-letters", "discard", "parcels", key, "--yes")[0]["dropped"] == 1
    assert not wards.parked()


# -- a replay ----------------------------------------------------------------------------------------------------------------


def test_a_replay_with_the_same_code_parks_the_same_and_is_equal(parked: Wards) -> None:
    before, tables = parked.parked(), parked.tables()
    done = parked.sandbox.json("replay", "parcels")
    assert done["switched"] and done["compared"]["equal"] and done["compared"]["parked_apart"] == []
    assert parked.sandbox.generation("parcels") == done["generation"]
    assert parked.parked() == before
    assert {t: {k[1:]: row for k, row in rows.items()} for t, rows in parked.tables().items()} == {
        t: {k[1:]: row for k, row in rows.items()} for t, rows in tables.items()
    }
    verified = parked.sandbox.json("verify", "parcels")
    assert verified["equal"] and verified["parked_apart"] == []
    generations = [letter.header("eventfold-generation") for letter in parked.letters()]
    assert generations.count(done["generation"]) == 4 and len(generations) == 8


def test_a_replay_with_mended_code_parks_what_still_fails_alone_and_says_why_rows_differ(parked: Wards) -> None:
    old = parked.sandbox.generation("parcels")
    done = parked.sandbox.run("replay", "parcels", environ=parked.mended)
    assert done.returncode == 1, done.stderr
    assert f"1 key is parked in the live generation and not in the new one, so rows may differ: {A}" in done.stdout
    assert parked.sandbox.generation("parcels") == old and parked.parked().keys() == {A, B}
    done = parked.sandbox.run("replay", "parcels", "--resume", "--switch", "always", environ=parked.mended)
    assert done.returncode == 0 and "live now" in done.stdout
    assert parked.origins() == {B: 4}
    parked.assert_is(parked.plain(lambda record: record.key == B))
    # Back again, to what was parked there.
    feeder = parked.sandbox.start("run", "projector", "parcels")
    feeder.wait_for_log("assigned")
    parked.sandbox.ok("rollback", "parcels")
    assert parked.sandbox.generation("parcels") == old and parked.origins() == {A: 1, B: 4}


def test_a_repair_leaves_what_is_parked_alone(parked: Wards) -> None:
    slice_ = parked.reader.generation.slice(parked.topic, 0)
    parked.sandbox.redis.hset(slice_.key("parcels"), A, b'{"id":"spoiled"}')
    found = parked.sandbox.json("replay", "parcels", "--key", A)
    assert len(found["mended"]) == 1 and found["events"] == 1
    rows = parked.tables()["parcels"]
    assert json.loads(rows[parked.topic, 0, A]) == {"id": A, "status": "posted", "depot": "Oslo", "events": 1}
    assert parked.origins() == {A: 1, B: 4}


# -- wrong input -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("list", "--owner", "nobody"), 2, "nobody called 'nobody' owns dead letters; there are:"),
        (("show", "nobody", A), 2, "nobody called 'nobody'"),
        (("show", "parcels", "no-such-key"), 1, "nothing of the key 'no-such-key' waits for 'parcels'"),
        (("retry", "parcels"), 2, "name the keys to try again, or --all"),
        (("retry", "parcels", A, "--all"), 2, "name the keys to try again, or --all"),
        (("retry", "parcels", "no-such-key"), 1, "nothing of the key"),
        (("discard", "parcels", "no-such-key", "--yes"), 1, "nothing of the key"),
        (("skip-key", "parcels", A), 2, "Say so with --yes"),
        (("show", "parcels"), 2, "Missing argument 'KEY'"),
    ],
)
def test_wrong_input(open_parked: Wards, args: tuple[str, ...], code: int, says: str) -> None:
    assert says in open_parked.sandbox.fails(code, "dead-letters", *args)


@pytest.fixture(scope="module")
def open_parked(open_wards: Open) -> Iterator[Wards]:
    with open_wards() as wards:
        wards.post(A, "Nowhere")
        caught_up(wards)
        yield wards


# -- commands that cannot be decoded -----------------------------------------------------------------------------------------


@pytest.fixture
def refused(sandbox: Sandbox) -> tuple[Sandbox, str, str]:
    """A handler that could not decode a command, with the command's key and id."""
    sandbox.handler()
    key, id_ = flights.flight_id(1), str(uuid.uuid4())
    log.write(sandbox, "flights.commands", key, GARBAGE, log.envelope("flights.ScheduleFlight", key, id=id_))
    eventually(lambda: log.read(sandbox, "flights.dead-letters"), "it is parked")
    return sandbox, key, id_


def test_a_command_that_still_cannot_be_decoded_stays_until_it_is_discarded(refused: tuple[Sandbox, str, str]) -> None:
    sandbox, key, _ = refused
    (row,) = sandbox.json("dead-letters", "list", "--owner", "flights.handler")
    assert (row["owner"], row["key"], row["events"]) == ("flights.handler", key, 1) and "not Avro" in row["error"]
    assert sandbox.json("dead-letters", "show", "flights.handler", key)["records"][0]["bytes"] == GARBAGE.hex()
    done = sandbox.run("dead-letters", "retry", "flights.handler", key)
    assert done.returncode == 1 and "not Avro" in done.stdout
    assert sandbox.json("dead-letters", "list") == [row]
    assert sandbox.json("dead-letters", "discard", "flights.handler", key, "--yes")[0]["dropped"] == 1
    assert sandbox.json("dead-letters", "list") == []


def test_a_command_that_can_be_decoded_by_now_is_sent_again_under_another_id(refused: tuple[Sandbox, str, str]) -> None:
    """As after an upgrade: the letter is of bytes that the handler of then did not know. One without an owner is its own."""
    sandbox, key, id_ = refused
    value = sandbox.installation.codec.encode("flights.ScheduleFlight", flights.scheduled(1))
    headers = log.envelope("flights.ScheduleFlight", key, id=id_)
    origin = (
        "eventfold-origin",
        f"{sandbox.topic('flights.commands')}/{log.read(sandbox, 'flights.commands')[0].partition}@99",
    )
    partition = log.read(sandbox, "flights.commands")[0].partition
    log.write(sandbox, "flights.dead-letters", key, value, [*headers, origin, ("eventfold-error", b"?")], partition=partition)
    done = sandbox.run("dead-letters", "retry", "flights.handler", "--all")
    assert done.returncode == 1 and f"the id {id_} stays refused" in done.stdout and "1 worked on, 1 still wait" in done.stdout
    (scheduled,) = eventually(lambda: log.read(sandbox, "flights.events"), "it is decided")
    assert scheduled.key == key and scheduled.header("ce_causationid") != id_
    (row,) = sandbox.json("dead-letters", "list")
    assert row["events"] == 1


def test_a_record_that_is_no_dead_letter_is_passed_by(refused: tuple[Sandbox, str, str]) -> None:
    sandbox, key, _ = refused
    log.write(sandbox, "flights.dead-letters", b"x", b"y", [("eventfold-origin", b"nowhere")], partition=0)
    done = sandbox.run("dead-letters", "list", "--json")
    assert [row["key"] for row in json.loads(done.stdout)] == [key]
    assert "it is not a dead letter" in done.stderr


def test_letters_of_a_process_manager_are_shown(sandbox: Sandbox) -> None:
    headers = [
        *log.envelope("flights.FlightScheduled", "K"),
        ("eventfold-owner", b"flights"),
        ("eventfold-origin", f"{sandbox.topic('flights.events')}/0@7".encode()),
        ("eventfold-error", b"it raised"),
        ("eventfold-state", b"parked"),
    ]
    log.write(sandbox, "flights.dead-letters", "K", b"bytes", headers, partition=0)
    (row,) = sandbox.json("dead-letters", "list")
    assert (row["owner"], row["error"]) == ("flights.process-manager", "it raised")
    assert sandbox.json("dead-letters", "show", "flights.process-manager", "K")["records"][0]["bytes"] == b"bytes".hex()
    assert "knows what to do" in sandbox.fails(1, "dead-letters", "retry", "flights.process-manager", "K")
