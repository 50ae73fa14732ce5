"""Read models over HTTP: by id, in pages, as of a point of the past, not before one's own write, only when they changed."""

from __future__ import annotations

import time

import pytest

from tests.http.conftest import Served, problem
from tests.support import log
from tests.support.deadline import eventually


def test_a_row_is_what_the_command_line_shows(served: Served) -> None:
    key = served.schedule(1)
    found = served.get(f"/queries/flights/{key}")
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    assert found.json() == served.sandbox.json("query", "flights", key)


def test_an_id_may_hold_any_printable_character_also_a_slash(served: Served) -> None:
    opened = served.command("accounts.OpenAccount", "a%2Fb%20%3F%26c", {"owner": "Ada", "currency": "EUR"})
    assert opened.status_code == 200, opened.text
    served.sandbox.caught_up("accounts")
    assert served.get("/queries/accounts/a%2Fb%20%3F%26c").json()["id"] == "a/b ?&c"


def test_what_was_never_there_is_not_found(served: Served) -> None:
    found = problem(served.get("/queries/flights/UA1:1999-01-01:EWR"), 404, "not-found")
    assert found["projection"] == "flights"
    problem(served.get("/queries/nobody/knows"), 404, "not-found")
    problem(served.get("/queries/flights"), 404, "not-found")
    problem(served.get("/queries/flights/a/b"), 404, "not-found")


def test_a_list_comes_in_pages_that_hold_everything_once(served: Served) -> None:
    keys = [served.schedule(number, flight_date="2014-05-01") for number in range(100, 105)]
    path, seen = "/queries/board/EWR?date=2014-05-01&limit=2", []
    page = served.get(path).json()
    pages = [len(page["entries"])]
    seen += page["entries"]
    while page["next"]:
        page = served.get(f"{path}&page={page['next']}").json()
        seen += page["entries"]
        pages.append(len(page["entries"]))
    assert pages == [2, 2, 1]
    assert sorted(row["id"] for row in seen) == sorted(keys)
    problem(served.get(f"{path}&page=garbage"), 400, "wrong-request")


def test_an_empty_list_is_there(served: Served) -> None:
    found = served.get("/queries/board/JFK?date=1999-01-01")
    assert (found.status_code, found.json()) == (200, {"entries": [], "next": None})


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/queries/board/JFK?date=yesterday", "date"),
        ("/queries/board/JFK", "date"),
        ("/queries/board/JFK?date=2014-03-01&date=2014-03-02", "date"),
        ("/queries/board/JFK?date=2014-03-01&colour=red", "colour"),
        ("/queries/board/JFK?date=2014-03-01&limit=0", "limit"),
        ("/queries/board/JFK?date=2014-03-01&limit=1e9", "limit"),
        ("/queries/punctuality?by=mood", "by"),
        ("/queries/flights/UA7:2014-03-01:EWR?after=somewhere", "after"),
        ("/queries/flights/UA7:2014-03-01:EWR?timeout=-1", "timeout"),
        ("/queries/flights/UA7:2014-03-01:EWR?timeout=nan", "timeout"),
        ("/queries/flights/UA7:2014-03-01:EWR?timeout=1e9", "timeout"),
        ("/queries/flights/UA7:2014-03-01:EWR?as_of=noon", "as_of"),
        ("/queries/flights/UA7:2014-03-01:EWR?as_of_version=0", "as_of_version"),
        ("/queries/flights/UA7:2014-03-01:EWR?as_of_version=1&as_of=2014-03-01T15:12:00Z", "as_of_version"),
        ("/queries/flights/%ff", "id"),
    ],
)
def test_a_wrong_parameter_is_named(served: Served, path: str, parameter: str) -> None:
    assert problem(served.get(path), 400, "wrong-parameter")["parameter"] == parameter


# -- reading one's own writes ----------------------------------------------------------------------------------------------


def test_after_a_position_the_row_holds_what_was_written_there(served: Served) -> None:
    """Fifty times at once after the write: without waiting, some would be too early."""
    key = served.schedule(2)
    for minute in range(10, 20):
        data = {"departed_at": f"2014-03-01T15:{minute}:00Z"}
        if minute > 10:
            key = served.schedule(2 + minute)
        outcome = served.command("flights.DepartFlight", key, data).json()
        row = served.get(f"/queries/flights/{key}?after={outcome['positions'][0]}").json()
        assert row["status"] == "departed", row


def test_a_position_that_does_not_come_is_said_to_lag(served: Served) -> None:
    key = served.schedule(3)
    topic = served.sandbox.topic("flights.events")
    begun = time.monotonic()
    found = problem(served.get(f"/queries/flights/{key}?after={topic}/0@99999&timeout=0.5"), 503, "not-reached")
    assert time.monotonic() - begun < 10
    assert found["state"] == "lagging"
    assert found["position"] == f"{topic}/0@99999"
    assert found["reached"] < 99_999


def test_a_model_without_a_projector_is_said_to_stall(served: Served) -> None:
    problem(served.get("/queries/flights/x?after=elsewhere/0@1&timeout=0"), 400, "wrong-request")


# -- entity tags -----------------------------------------------------------------------------------------------------------


def test_who_has_it_already_gets_no_body(served: Served) -> None:
    key = served.schedule(4)
    first = served.get(f"/queries/flights/{key}")
    tag = first.headers["etag"]
    assert tag.startswith('"1-')
    again = served.get(f"/queries/flights/{key}", if_none_match=f'"other", W/{tag}')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    served.command("flights.DepartFlight", key, {"departed_at": "2014-03-01T15:12:00Z"})
    served.sandbox.caught_up("flights")
    changed = served.get(f"/queries/flights/{key}", if_none_match=tag)
    assert changed.status_code == 200
    assert changed.headers["etag"].startswith('"2-')


def test_a_list_has_a_tag_too(served: Served) -> None:
    served.schedule(5)
    tag = served.get("/queries/punctuality?by=carrier").headers["etag"]
    assert served.get("/queries/punctuality?by=carrier", if_none_match=tag).status_code == 304
    served.schedule(6)
    assert served.get("/queries/punctuality?by=carrier", if_none_match=tag).status_code == 200


# -- the past --------------------------------------------------------------------------------------------------------------


def test_as_of_a_version_and_a_time(served: Served) -> None:
    key = served.schedule(8)
    served.command("flights.DepartFlight", key + "?time=2014-03-01T15:12:00Z", {"departed_at": "2014-03-01T15:12:00Z"})
    served.sandbox.caught_up("flights")
    assert served.get(f"/queries/flights/{key}").json()["status"] == "departed"
    assert served.get(f"/queries/flights/{key}?as_of_version=1").json()["status"] == "scheduled"
    problem(served.get(f"/queries/flights/{key}?as_of_version=9"), 404, "not-found")
    events = served.get(f"/history/flights/{key}").json()
    assert [event["type"] for event in events] == ["flights.FlightScheduled", "flights.FlightDeparted"]
    assert events == served.sandbox.json("history", "flights", key)
    position = events[0]["position"]
    assert served.get(f"/queries/flights/{key}?as_of_position={position}").json()["status"] == "scheduled"
    problem(served.get(f"/queries/flights/{key}?as_of_version=1&after={position}"), 400, "wrong-parameter")


def test_the_history_of_nobody(served: Served) -> None:
    problem(served.get("/history/flights/nobody"), 404, "not-found")
    problem(served.get("/history/flights/nobody?x=1"), 400, "wrong-parameter")
    problem(served.get("/history/ships/nobody"), 404, "not-found")


# -- how everything does ---------------------------------------------------------------------------------------------------


def test_operations_count_events_exactly(served: Served) -> None:
    served.schedule(9)

    def board() -> dict[str, object]:
        found = served.get("/operations").json()
        (row,) = [row for row in found["projections"] if row["name"] == "board"]
        return dict(row)

    def folded() -> int:
        return sum(partition["events"] for partition in board()["partitions"])  # type: ignore[attr-defined]

    eventually(lambda: board()["state"] == "live", "the board keeps up")
    served.schedule(10)
    # The projector has run since before the first event, and tells what it folded once a second.
    events = len(log.read(served.sandbox, "flights.events"))
    eventually(lambda: folded() == events, f"the {events} events of the log are folded")
    found = served.get("/operations").json()
    assert {domain["name"] for domain in found["domains"]} == {"accounts", "flights"}
    assert any(daemon["role"] == "server" and daemon["state"] == "runs" for daemon in found["daemons"])
    assert "error" not in found
