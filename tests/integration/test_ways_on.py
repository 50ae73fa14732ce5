"""A log that lost its beginning, or was made anew: every daemon says what to do, and each command works as it is printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventfold.store.slice_store import SliceStore
from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox

HERE = flights.numbers_on(0, 2, 6)
COUNTS, ROWS = "punctuality", "flights"
"""Read models: of which rows make sense when the first events are left out, and of which they do not."""


def schedule(sandbox: Sandbox, number: int) -> None:
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))


def ways(message: str) -> list[str]:
    """The commands that a message names, in its order."""
    assert "what to do, with the least loss first: (1) restore" in message
    return re.findall(r"`eventfold ([^`]+)`", message)


def does(sandbox: Sandbox, way: str, folder: Path | None = None) -> str:
    """Run one of them."""
    return sandbox.ok(*(str(folder) if part == "FOLDER" else part for part in shlex.split(way)))


def wrong(sandbox: Sandbox) -> dict[str, str]:
    """What doctor says is wrong with the log, by whose it is."""
    found = sandbox.run("doctor", "--json")
    return {of["what"]: of["finding"] for of in json.loads(found.stdout) if of["what"].startswith("log of ")}


@pytest.fixture
def folded(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """Four flights in partition 0, folded by two projections, and no daemon."""
    with open_sandbox(partitions=2) as sandbox:
        for number in HERE[:4]:
            schedule(sandbox, number)
        projector = sandbox.projector(ROWS, COUNTS)
        sandbox.caught_up(ROWS, COUNTS)
        assert projector.stop() == 0
        yield sandbox


def goes_on(sandbox: Sandbox, name: str, number: int) -> None:
    """A projector of it folds the next event."""
    schedule(sandbox, number)
    projector = sandbox.projector(name)
    sandbox.caught_up(name)
    assert projector.stop() == 0


def test_rows_are_kept_where_all_that_is_gone_was_folded(folded: Sandbox) -> None:
    before = folded.rows(ROWS)
    log.cut_start(folded, "flights.events", 0, 2)
    message = folded.fails(1, "run", "projector", ROWS)
    assert "begins at offset 2, not at zero" in message
    names = ["import-log FOLDER", f"replay {ROWS} --switch always", f"replay {ROWS} --keep-rows", f"forget {ROWS} --for-good"]
    assert ways(message) == names
    assert wrong(folded).keys() == {f"log of {ROWS}", f"log of {COUNTS}"}
    assert ways(wrong(folded)[f"log of {ROWS}"]) == names
    assert "keeps its rows" in does(folded, f"replay {ROWS} --keep-rows")
    assert folded.rows(ROWS) == before
    schedule(folded, HERE[4])
    projector = folded.projector(ROWS)
    folded.caught_up(ROWS)
    told = eventually(lambda: [of for of in folded.status() if of.get("first")], "status tells where it begins")
    assert told[0]["first"] == {folded.topic("flights.events/0"): 2}
    assert "not of the whole history" in folded.ok("status")
    assert projector.stop() == 0
    assert folded.rows(ROWS).items() > before.items()
    # It is known to be no whole history from then on, wherever that counts.
    (listed,) = folded.json("generations", ROWS)
    assert (listed["state"], listed["whole"]) == ("live", False)
    place = folded.topic("flights.events/0")
    assert f"not of the whole history: it can be folded from {place}@2 on" in folded.run("doctor").stdout
    assert wrong(folded).keys() == {f"log of {COUNTS}"}
    assert "not of the whole history" in folded.fails(1, "verify", ROWS)
    assert "there is nothing to keep" in folded.fails(1, "replay", ROWS, "--keep-rows")
    # What is kept cannot be folded anew, and no fold of a part is taken for it.
    slice_ = folded.reader(ROWS).generation.slice(folded.topic("flights.events"), 0)
    folded.redis.hdel(slice_.key(ROWS), min(before))
    assert "cannot make it anew" in folded.fails(1, "run", "projector", ROWS)
    assert folded.redis.hexists(slice_.key(ROWS), max(before)), "what is left of a torn slice is not given up by itself"
    folded.redis.delete(*folded.redis.keys(f"{slice_.key('')}*"))
    assert "which were kept, are gone from Redis" in folded.fails(1, "run", "projector", ROWS)
    # Nor for one that begins, where a switch of generations held what is gone.
    SliceStore(folded.redis).holds.take([slice_], 1)
    assert "which were kept, are gone from Redis" in folded.fails(1, "run", "projector", ROWS)


def test_what_was_not_folded_before_it_was_gone_is_not_kept(folded: Sandbox) -> None:
    schedule(folded, HERE[4])
    log.cut_start(folded, "flights.events", 0, 5)
    message = folded.fails(1, "replay", ROWS, "--keep-rows")
    assert "has folded it up to 4: its rows lack what is gone" in message
    assert "restore" in message


def test_what_is_left_is_folded_where_that_makes_sense(folded: Sandbox) -> None:
    log.cut_start(folded, "flights.events", 0, 2)
    message = folded.fails(1, "run", "projector", COUNTS)
    left = f"replay {COUNTS} --from-offset beginning --switch always"
    assert left in ways(message)
    assert "not at zero" in folded.fails(1, "replay", COUNTS)
    assert "not at 1" in folded.fails(1, "replay", COUNTS, "--from-offset", "0:1", "--switch", "always")
    does(folded, left)
    goes_on(folded, COUNTS, HERE[4])
    assert sum(row["scheduled"] for row in folded.json("query", COUNTS, "--by", "carrier")) == 3
    # A slice that Redis lost begins where its generation does.
    live = folded.reader(COUNTS).generation
    folded.redis.delete(*folded.redis.keys(f"{live.slice(folded.topic('flights.events'), 0).key('')}*"))
    goes_on(folded, COUNTS, HERE[5])
    assert sum(row["scheduled"] for row in folded.json("query", COUNTS, "--by", "carrier")) == 4


def test_a_beginning_that_is_there_is_the_whole_history(folded: Sandbox) -> None:
    folded.ok("replay", COUNTS, "--from-offset", "beginning")
    assert [row["whole"] for row in folded.json("generations", COUNTS)] == [True, True]
    message = folded.fails(2, "replay", COUNTS, "--from-offset", "beginning", "--from-offset", "0:1")
    assert "of all partitions" in message


def test_a_projection_is_given_up(folded: Sandbox) -> None:
    log.cut_start(folded, "flights.events", 0, 2)
    message = folded.fails(1, "forget", ROWS)
    assert "begins at offset 2" in message and f"eventfold forget {ROWS} --for-good" in message
    does(folded, f"forget {ROWS} --for-good")
    assert not folded.redis.keys(f"{{{ROWS}:*") and folded.generation(ROWS) is None
    assert wrong(folded).keys() == {f"log of {COUNTS}"}


def test_an_export_is_restored_and_everything_goes_on(sandbox: Sandbox, tmp_path: Path) -> None:
    handler = sandbox.handler()
    for number in HERE[:3]:
        assert commands.schedule(sandbox, number).accepted
    projector = sandbox.projector(ROWS)
    sandbox.caught_up(ROWS)
    before = sandbox.rows(ROWS)
    assert [handler.stop(), projector.stop()] == [0, 0]
    sandbox.ok("export", "flights.events", str(tmp_path))
    topic = sandbox.topic("flights.events")
    sandbox.admin.delete_topics([topic])[topic].result(30)
    assert not wrong(sandbox)
    does(sandbox, "import-log FOLDER", tmp_path)
    for args, name in ((("run", "projector", ROWS), ROWS), (("run", "handler", "flights"), "flights.handler")):
        message = sandbox.fails(1, *args)
        assert "was deleted and made again" in message
        assert wrong(sandbox)[f"log of {name}"] in message
        _, then, *_ = ways(message)
        does(sandbox, then)
    sandbox.projector(ROWS)
    sandbox.handler()
    assert commands.depart(sandbox, HERE[0]).version == 2
    sandbox.caught_up(ROWS)
    after = sandbox.rows(ROWS)
    assert after.keys() == before.keys()
    departed = flights.flight_id(HERE[0])
    assert {**after, departed: None} == {**before, departed: None}
    assert wrong(sandbox) == {}


def test_the_log_that_is_there_now_is_folded_beside_rows_of_another(folded: Sandbox) -> None:
    """Without a moment in which the read model answers nothing."""
    log.make_anew(folded, "flights.events", 2)
    schedule(folded, HERE[5])
    assert "was folded from another log" in folded.fails(1, "verify", ROWS)
    assert (
        "was folded from another log, so they cannot be compared" in folded.run("replay", ROWS, "--switch", "if-equal").stdout
    )
    folded.ok("replay", ROWS, "--abort")
    does(folded, f"replay {ROWS} --switch always")
    assert folded.rows(ROWS).keys() == {flights.flight_id(HERE[5])}
    assert [row["state"] for row in folded.json("generations", ROWS)] == ["live"]
    goes_on(folded, ROWS, HERE[4])


def test_a_handler_goes_on_after_its_refusals_were_made_anew(sandbox: Sandbox) -> None:
    handler = sandbox.handler()
    assert commands.schedule(sandbox, HERE[0]).accepted
    assert not commands.schedule(sandbox, HERE[0]).accepted
    assert handler.stop() == 0
    log.make_anew(sandbox, "flights.refusals", 2)
    message = sandbox.fails(1, "run", "handler", "flights")
    assert "flights.refusals" in message and "made again" in message
    assert ways(message) == ["import-log FOLDER", "forget flights.handler", "forget flights.handler"]
    does(sandbox, "forget flights.handler")
    sandbox.handler()
    assert not commands.schedule(sandbox, HERE[0]).accepted
    assert commands.depart(sandbox, HERE[0]).version == 2


def test_forgetting_under_a_daemon_that_runs_makes_it_begin_anew(sandbox: Sandbox) -> None:
    sandbox.handler()
    projector = sandbox.projector(ROWS)
    assert commands.schedule(sandbox, HERE[0]).accepted
    sandbox.caught_up(ROWS)
    before = sandbox.rows(ROWS)
    sandbox.ok("forget", ROWS)
    sandbox.ok("forget", "flights.handler")
    projector.wait_for_log("event=assigned", times=2)
    sandbox.caught_up(ROWS)
    assert sandbox.rows(ROWS) == before
    assert commands.depart(sandbox, HERE[0]).version == 2
    message = sandbox.fails(2, "forget", "nobody")
    assert "there are: " in message and "flights.handler" in message


def test_a_handler_of_a_log_that_was_cut_names_no_way_to_decide_on_a_part(sandbox: Sandbox) -> None:
    schedule(sandbox, HERE[0])
    schedule(sandbox, HERE[1])
    log.cut_start(sandbox, "flights.events", 0, 1)
    message = sandbox.fails(1, "run", "handler", "flights")
    assert ways(message) == ["import-log FOLDER", "forget flights.handler"]
    assert "another EVENTFOLD_TOPIC_PREFIX" in message


def test_an_export_that_lacks_the_beginning_is_not_restored_as_a_whole_log(sandbox: Sandbox, tmp_path: Path) -> None:
    schedule(sandbox, HERE[0])
    schedule(sandbox, HERE[1])
    log.cut_start(sandbox, "flights.events", 0, 1)
    sandbox.ok("export", "flights.events", str(tmp_path))
    message = sandbox.fails(1, "import-log", str(tmp_path), "flights.restored")
    assert "flights.events-0.avro begins at offset 1" in message
    sandbox.ok("import-log", str(tmp_path), "flights.restored", "--partial")
