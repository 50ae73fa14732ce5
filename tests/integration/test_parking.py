"""Parking: an event that fails is put aside with all that follow of its key, and everything else goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from eventfold.kafka.range_reader import RangeReader
from eventfold.kafka.settings import KafkaSettings
from eventfold.kafka.topics import Topics
from eventfold.processors.dead_letters.notices import Notices
from eventfold.processors.projector.folding import Folding
from eventfold.processors.projector.reading import Reading
from eventfold.schemas.names import Names
from eventfold.store.slices import Progress
from tests.support import log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox
from tests.support.wards import PARK, Open, Wards, key_on, opener

A, B, C, D = (key_on(0, number) for number in range(4))
OTHER = key_on(1)


@pytest.fixture(scope="module")
def open_wards(open_sandbox: OpenSandbox, tmp_path_factory: pytest.TempPathFactory) -> Open:
    return opener(open_sandbox, tmp_path_factory)


@pytest.fixture
def wards(open_wards: Open) -> Iterator[Wards]:
    with open_wards() as opened:
        yield opened


def aside(*keys: str) -> Callable[[log.Record], bool]:
    return lambda record: record.key in keys


def test_what_fails_is_parked_with_all_that_follow_of_its_key_and_the_rest_is_folded(wards: Wards) -> None:
    wards.post(A)
    wards.post(B, "Nowhere")
    wards.post(C)
    wards.deliver(B)
    wards.deliver(A)
    projector = wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    found = wards.parked()
    assert {key: (mark.origin, mark.count) for key, mark in found.items()} == {B: (1, 2)}
    assert "there is no such depot" in found[B].error
    wards.assert_is(wards.plain(aside(B)))

    # What comes later of the key is parked as well, though it could be folded.
    wards.post(B)
    wards.post(D, "Nowhere")
    wards.deliver(C)
    wards.sandbox.caught_up_by_command("parcels")
    assert {key: (mark.origin, mark.count) for key, mark in wards.parked().items()} == {B: (1, 3), D: (6, 1)}
    wards.assert_is(wards.plain(aside(B, D)))
    assert projector.stop() == 0

    letters = wards.letters()
    offsets = [int(letter.header("eventfold-origin").rpartition("@")[2]) for letter in letters]
    assert offsets == [1, 3, 5, 6]
    assert {letter.header("eventfold-owner") for letter in letters} == {"parcels"}
    assert {letter.header("eventfold-generation") for letter in letters} == {wards.sandbox.generation("parcels")}
    assert "there is no such depot" in letters[0].header("eventfold-error")
    assert letters[1].header("eventfold-error").startswith("it waits behind offset 1")
    assert letters[1].header("ce_type") == "parcels.ParcelDelivered"
    assert [letter.partition for letter in letters] == [0] * 4


def test_two_bad_keys_in_one_batch_and_one_that_cannot_be_decoded(wards: Wards) -> None:
    wards.post(A, "Nowhere")
    wards.raw(B.encode(), b"garbage", 0)
    wards.post(C)
    wards.post(B)
    wards.post(OTHER)
    wards.deliver(C)
    wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    assert {key: (mark.origin, mark.count) for key, mark in wards.parked().items()} == {A: (0, 1), B: (1, 2)}
    wards.assert_is(wards.plain(aside(A, B)))


def test_keys_that_are_not_utf_8_and_records_without_a_key(wards: Wards) -> None:
    wards.raw(b"\xff\xfe", wards.posted(), 0)
    wards.raw(None, wards.posted(), 0)
    wards.raw(b"\xff\xfe", wards.posted(), 0)
    wards.raw(b"", wards.posted(), 0)
    wards.post(A)
    wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    found = {key: (mark.origin, mark.count) for key, mark in wards.parked().items()}
    assert found == {"\\xff\\xfe": (0, 2), "": (1, 2)}
    assert [len(rows) for rows in wards.tables().values()] == [1, 1]


def test_rows_that_many_aggregates_share_and_an_index_lack_no_more_than_the_parked_ones(wards: Wards) -> None:
    """Every event of a batch touches the one row of the depot; the bad one is in the midst of them."""
    keys = [key_on(0, number) for number in range(40)]
    for key in keys:
        wards.post(key)
    wards.raw(keys[20].encode(), wards.posted("Nowhere"), 0)
    for key in keys:
        wards.deliver(key)
    wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    assert {key: (mark.origin, mark.count) for key, mark in wards.parked().items()} == {keys[20]: (40, 2)}
    wards.assert_is(wards.plain(lambda record: record.key == keys[20] and record.offset >= 40))


def test_batches_that_follow_each_other_do_not_lose_what_is_being_written(wards: Wards) -> None:
    """The batch after one that parked reads rows that are still being written, unless they are held."""
    keys = [key_on(0, number) for number in range(30)]
    projector = wards.sandbox.projector("parcels")
    for number in range(300):
        wards.post(keys[number % 30], "Nowhere" if number % 50 == 49 else "Oslo")
    wards.sandbox.caught_up_by_command("parcels")
    parked = {keys[number % 30]: number for number in (299, 249, 199, 149, 99, 49)}
    assert wards.origins() == parked
    wards.assert_is(wards.plain(lambda record: record.offset >= parked.get(record.key or "", 300)))
    assert projector.stop() == 0


def test_rows_are_held_while_the_write_that_parks_is_under_way(wards: Wards) -> None:
    """Redis takes no write meanwhile, so the next batch must not read what is about to change."""
    sandbox = wards.sandbox
    wards.post(A)
    wards.post(B, "Nowhere")
    wards.post(A)
    kafka = KafkaSettings.from_environ(sandbox.environ)
    names, generation = Names(prefix=sandbox.prefix), wards.generations.ensure("parcels", 1, {wards.topic: 2}, [])
    folding = Folding(wards.projection, wards.store, Reading(wards.projection, wards.codec, names), 10, Notices(kafka, names))
    place, reader = (wards.topic, 0), RangeReader(kafka, names.topic("test"))
    folding.open(generation, {place: Progress(digests={})}, Topics(kafka), {})
    first = folding.fold(place, list(reader.scan({place: (0, 3)}, "")), None, lambda _: True)
    assert first is not None
    sandbox.redis.execute_command("CLIENT", "PAUSE", 120_000, "WRITE")
    try:
        folding.begin([first])
        wards.post(A)
        wards.deliver(A)
        second = folding.fold(place, list(reader.scan({place: (3, 5)}, "")), None, lambda _: True)
    finally:
        sandbox.redis.execute_command("CLIENT", "UNPAUSE")
    assert second is not None and folding.settle().refused == []
    folding.begin([second])
    assert folding.settle().offsets == {place: 5}
    folding.end()
    assert wards.origins() == {B: 1}
    wards.assert_is(wards.plain(aside(B)))


def test_a_kill_between_the_notice_and_the_commit_leaves_one_letter_twice(wards: Wards) -> None:
    sandbox = wards.sandbox
    wards.post(A)
    projector = sandbox.projector("parcels")
    sandbox.caught_up_by_command("parcels")
    sandbox.redis.execute_command("CLIENT", "PAUSE", 120_000, "WRITE")
    try:
        wards.post(A, "Nowhere")
        eventually(wards.letters, "the notice is written")
        assert not wards.parked()
        projector.kill()
    finally:
        sandbox.redis.execute_command("CLIENT", "UNPAUSE")
    assert not wards.parked()
    sandbox.projector("parcels")
    sandbox.caught_up_by_command("parcels")
    assert wards.origins() == {A: 1}
    letters = wards.letters()
    assert len(letters) == 2
    assert len({(letter.header("eventfold-generation"), letter.header("eventfold-origin")) for letter in letters}) == 1
    assert [(row["key"], row["events"]) for row in sandbox.json("dead-letters", "list")] == [(A, 1)]


def test_an_emptied_redis_parks_the_same_again(wards: Wards) -> None:
    wards.post(A, "Nowhere")
    wards.post(B)
    wards.deliver(A)
    wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    before = wards.parked()
    wards.sandbox.empty_redis("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    assert wards.parked() == before and wards.origins() == {A: 0}
    wards.assert_is(wards.plain(aside(A)))


def test_two_projectors_on_one_partition_park_each_event_once(wards: Wards) -> None:
    """One of them is a zombie as soon as the other wrote."""
    keys = [key_on(0, number) for number in range(10)]
    for instance in ("left", "right"):
        wards.sandbox.start("run", "projector", "parcels", "--partitions", "0,1", EVENTFOLD_INSTANCE=instance)
    for daemon in wards.sandbox.daemons:
        daemon.wait_for_log("assigned")
    for number in range(400):
        wards.post(keys[number % 10], "Nowhere" if 200 <= number < 205 else "Oslo")
    wards.sandbox.caught_up_by_command("parcels")
    assert {key: (mark.origin, mark.count) for key, mark in wards.parked().items()} == {
        keys[number % 10]: (number, 20) for number in range(200, 205)
    }
    wards.assert_is(wards.plain(lambda record: record.key in keys[:5] and record.offset >= 200))


def test_what_is_parked_stays_so_under_another_policy(open_wards: Open, wards: Wards) -> None:
    wards.post(A, "Nowhere")
    assert wards.sandbox.projector("parcels").stop() == 0
    projector = wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    assert projector.stop() == 0
    stops = {"PYTHONPATH": open_wards.path("Stop()", False)}  # type: ignore[attr-defined]
    projector = wards.sandbox.projector("parcels", **stops)
    wards.post(A)
    wards.post(B)
    wards.sandbox.caught_up_by_command("parcels")
    assert {key: mark.count for key, mark in wards.parked().items()} == {A: 2}
    wards.post(C, "Nowhere")
    projector.wait_for_log("the partition stands still")
    assert wards.parked().keys() == {A}


def test_a_retry_that_helps_and_one_that_does_not(open_wards: Open) -> None:
    policy = "Retry(times=20, first_s=0.2, longest_s=0.4, then=Park())"
    with open_wards(policy) as wards:
        broken = wards.sandbox.folder / "broken"
        broken.touch()
        projector = wards.sandbox.projector("parcels")
        wards.post(A)
        wards.post(B, "Limbo")
        wards.post(OTHER)
        projector.wait_for_log("failed 1 of 21 times")
        retrying = eventually(lambda: wards.sandbox.status()[0]["retrying"], "status shows it")
        assert list(retrying) == [f"{wards.topic}/0"] and "there is no such depot" in retrying[f"{wards.topic}/0"]
        eventually(lambda: wards.reader.get("parcels", OTHER), "the other partition goes on")
        broken.unlink()
        wards.sandbox.caught_up_by_command("parcels")
        assert not wards.parked()
        wards.assert_is(wards.plain())
        wards.post(C, "Nowhere")
        wards.post(B)
        wards.sandbox.caught_up_by_command("parcels")
        assert wards.parked().keys() == {C}
        assert projector.log.count("failed 20 of 21 times") == 1 and "failed 21 of" not in projector.log


def test_a_retry_that_does_not_help_stops_where_the_policy_says_so(open_wards: Open) -> None:
    with open_wards("Retry(times=1, first_s=0.1)") as wards:
        projector = wards.sandbox.projector("parcels")
        wards.post(A, "Nowhere")
        projector.wait_for_log("the partition stands still")
        assert projector.log.count("failed 1 of 2 times") == 1
        assert not wards.parked()


def test_without_a_topic_for_dead_letters_a_projector_that_parks_does_not_start(open_wards: Open, wards: Wards) -> None:
    topic = wards.sandbox.topic("parcels.dead-letters")
    for future in wards.sandbox.admin.delete_topics([topic]).values():
        future.result(30)
    eventually(lambda: topic not in wards.sandbox.admin.list_topics(timeout=10).topics, "the topic is gone")
    for args in (("run", "projector", "parcels"), ("replay", "parcels")):
        assert f"the topic {topic!r} does not exist" in wards.sandbox.fails(1, *args)


def test_status_shows_how_many_keys_are_parked(wards: Wards) -> None:
    wards.post(A, "Nowhere")
    wards.post(B, "Nowhere")
    wards.sandbox.projector("parcels")
    wards.sandbox.caught_up_by_command("parcels")
    parked = eventually(lambda: wards.sandbox.status()[0]["parked"], "status shows it")
    assert parked == {f"{wards.topic}/0": 2}
    assert "runs, 2 keys parked" in wards.sandbox.ok("status")


def test_the_default_is_to_stop_and_to_park_nothing(open_wards: Open) -> None:
    assert PARK != "Stop()"
    with open_wards("Stop()") as wards:
        wards.post(A, "Nowhere")
        projector = wards.sandbox.projector("parcels")
        projector.wait_for_log("the partition stands still")
        assert not wards.parked() and not wards.letters()
