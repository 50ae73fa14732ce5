"""A log that is not the one folded so far is a clear error, never a silent beginning."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import commands, flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

NUMBERS = flights.numbers_on(0, 2, 8)


def schedule(sandbox: Sandbox, number: int) -> None:
    log.write_event(sandbox, "flights.FlightScheduled", flights.flight_id(number), flights.scheduled(number))


def make_anew(sandbox: Sandbox) -> None:
    log.make_anew(sandbox, "flights.events", 2)


def cut_start(sandbox: Sandbox, offset: int) -> None:
    """Delete the records before an offset of partition 0."""
    log.cut_start(sandbox, "flights.events", 0, offset)


@pytest.fixture
def folded(sandbox: Sandbox) -> Sandbox:
    """Four events in partition 0, folded, and no daemon."""
    projector = sandbox.projector("flights")
    for number in NUMBERS[:4]:
        schedule(sandbox, number)
    sandbox.caught_up("flights")
    assert projector.stop() == 0
    return sandbox


def refused(sandbox: Sandbox, what: str) -> None:
    """The projector ends with 1 and says what is wrong, and the rows stay as they were."""
    before = sandbox.tables("flights")
    message = sandbox.fails(1, "run", "projector", "flights")
    assert what in message
    assert sandbox.topic("flights.events") in message
    assert sandbox.tables("flights") == before


def test_a_topic_that_was_made_anew(folded: Sandbox) -> None:
    make_anew(folded)
    refused(folded, "was deleted and made again")


def test_a_topic_that_was_made_anew_and_is_longer_already(folded: Sandbox) -> None:
    make_anew(folded)
    for number in NUMBERS:
        schedule(folded, number)
    refused(folded, "was deleted and made again")


@pytest.mark.parametrize("pinned", [False, True])
def test_a_topic_made_anew_under_a_projector_that_runs(folded: Sandbox, pinned: bool) -> None:
    args = ("--partitions", "0,1") if pinned else ()
    projector = folded.start("run", "projector", "flights", *args)
    projector.wait_for_log("assigned")
    schedule(folded, NUMBERS[4])
    folded.caught_up("flights")
    before = folded.tables("flights")
    make_anew(folded)
    for number in reversed(NUMBERS):
        schedule(folded, number)
    assert projector.ended(60) == 1
    assert "Traceback" not in projector.log
    assert folded.tables("flights") == before


def test_another_event_at_the_last_offset(folded: Sandbox) -> None:
    """The same topic, but not the same events: as a restored backup may have it."""
    slice_ = folded.reader("flights").generation.slice(folded.topic("flights.events"), 0)
    folded.redis.hset(slice_.key("slice"), "last_id", "c0ffee00-0000-4000-8000-000000000000")
    refused(folded, "c0ffee00-0000-4000-8000-000000000000 at offset 3 is gone")


def test_a_log_that_ends_before_what_was_folded(folded: Sandbox) -> None:
    slice_ = folded.reader("flights").generation.slice(folded.topic("flights.events"), 0)
    folded.redis.hset(slice_.key("slice"), mapping={"offset": 17, "last_offset": 16})
    refused(folded, "ends at offset 4, folded is up to 17")


def test_a_log_whose_beginning_is_gone_cannot_be_folded_from_zero(folded: Sandbox) -> None:
    cut_start(folded, 2)
    folded.redis.flushdb()
    message = folded.fails(1, "run", "projector", "flights")
    assert "begins at offset 2, not at zero" in message


def test_a_log_whose_beginning_is_gone_since_it_was_folded(folded: Sandbox) -> None:
    """The rows are whole, but no rebuild would ever make them again: better known today than then."""
    cut_start(folded, 2)
    refused(folded, "begins at offset 2, not at zero")


def test_what_was_cut_off_before_it_was_folded(folded: Sandbox) -> None:
    for number in NUMBERS[4:]:
        schedule(folded, number)
    cut_start(folded, 6)
    refused(folded, "begins at offset 6, not at zero")


def restart(sandbox: Sandbox) -> str:
    return sandbox.fails(1, "run", "handler", "flights")


@pytest.mark.parametrize(
    ("lose", "what"),
    [(make_anew, "was deleted and made again"), (lambda sandbox: cut_start(sandbox, 2), "begins at offset 2")],
    ids=["made anew", "cut short"],
)
def test_a_handler_refuses_it_too(sandbox: Sandbox, lose: Callable[[Sandbox], None], what: str) -> None:
    handler = sandbox.handler()
    for number in NUMBERS[:2]:
        assert commands.schedule(sandbox, number).accepted
    assert handler.stop() == 0
    if lose is not make_anew:
        sandbox.redis.flushdb()
    lose(sandbox)
    assert what in restart(sandbox)


def test_a_topic_made_anew_under_a_handler_that_runs(sandbox: Sandbox) -> None:
    """It would go on from what it remembers, in a log that knows nothing of it."""
    handler = sandbox.handler()
    for number in NUMBERS[:2]:
        assert commands.schedule(sandbox, number).accepted
    make_anew(sandbox)
    assert handler.ended(60) == 1
    assert "Traceback" not in handler.log
    assert "made again" in handler.log
    silent = eventually(lambda: [s for s in sandbox.status() if not s["alive"]], "status shows that it is gone")
    assert [s["role"] for s in silent] == ["handler"]
