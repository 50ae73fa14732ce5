"""What a daemon says of partitions at whose event it stands still, or that it tries again."""

from __future__ import annotations

import structlog

from eventfold.processors.stalls import Stalls
from eventfold.schemas.failure import Retry, Stop

PLACE = ("flights.events", 0)
SHOWN = "flights.events/0"


def stalls(times: int) -> Stalls:
    return Stalls(Retry(times=times, first_s=0, longest_s=0, then=Stop()), structlog.get_logger())


def test_an_event_that_is_tried_again_is_told_of_until_it_is_passed() -> None:
    """Between two tries too, since whoever asks may always come then."""
    found = stalls(5)
    found.stand(PLACE, 7, "no such depot")
    assert found.status()["retrying"] == {SHOWN: "no such depot (failed 1 of 6 times)"}
    assert found.due() == [PLACE] and PLACE not in found
    assert found.status()["retrying"] == {SHOWN: "no such depot (failed 1 of 6 times)"}
    found.passed({PLACE: 7})
    assert found.status()["retrying"], "what lies before it is written, not the event"
    found.passed({PLACE: 8})
    assert found.status() == {"stalled": {}, "retrying": {}}


def test_who_stands_still_for_good_tries_no_more() -> None:
    found = stalls(1)
    found.stand(PLACE, 7, "no such depot")
    found.due()
    found.stand(PLACE, 7, "no such depot")
    assert found.status() == {"stalled": {SHOWN: "no such depot"}, "retrying": {}}
    assert PLACE in found and found.due() == []


def test_of_a_partition_that_is_another_s_nothing_is_told() -> None:
    found = stalls(5)
    found.stand(PLACE, 7, "no such depot")
    found.forget([PLACE])
    assert found.status() == {"stalled": {}, "retrying": {}}
