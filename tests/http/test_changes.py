"""Changes of read models as server-sent events: as they happen, resumed, bounded, reset when something was missed."""

from __future__ import annotations

import signal
import socket
from urllib.parse import urlsplit

import psutil
import pytest

from tests.http.conftest import Served, problem, serving
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox


def depart(served: Served, key: str, minute: int) -> None:
    done = served.command("flights.DepartFlight", key, {"departed_at": f"2014-03-01T15:{minute:02}:00Z"})
    assert done.status_code == 200, done.text
    served.sandbox.caught_up("board", "flights")


def test_a_row_is_followed_by_its_id(served: Served) -> None:
    key, other = served.schedule(300), served.schedule(301)
    with served.events(f"/changes/flights/{key}") as events:
        assert events.response.headers["content-type"].startswith("text/event-stream")
        assert events.next()[0] == "open"
        depart(served, other, 10)
        depart(served, key, 11)
        kind, data, id_ = events.next()
        assert (kind, data["key"]) == ("changed", key)
        assert data["row"] == served.sandbox.json("query", "flights", key)
        assert id_


def test_a_board_hears_of_its_own_rows_alone(served: Served) -> None:
    day = "2014-06-01"
    with served.events(f"/changes/board/EWR?date={day}") as events:
        assert events.next()[0] == "open"
        served.schedule(310, flight_date="2014-06-02")
        key = served.schedule(311, flight_date=day)
        kind, data, _ = events.next()
        assert (kind, data["key"]) == ("changed", key)
        (shown,) = served.get(f"/queries/board/EWR?date={day}").json()["entries"]
        assert data["row"] == shown


def test_who_comes_back_gets_what_was_missed(served: Served) -> None:
    key = served.schedule(320)
    with served.events(f"/changes/flights/{key}") as events:
        last = events.next()[2]
    depart(served, key, 12)
    served.schedule(321)
    with served.events(f"/changes/flights/{key}", last) as events:
        assert events.next()[0] == "open"
        kind, data, id_ = events.next()
        assert (kind, data["row"]["status"]) == ("changed", "departed")
    with served.events(f"/changes/flights/{key}", id_) as events:
        assert events.next()[0] == "open"
        arrived = {"arrived_at": "2014-03-01T21:30:00Z"}
        assert served.command("flights.ArriveFlight", key, arrived).status_code == 200
        assert events.next()[1]["row"]["status"] == "arrived"


def test_an_id_that_is_none_gets_a_reset(served: Served) -> None:
    key = served.schedule(330)
    live = served.sandbox.generation("flights")
    for last in (
        "garbage",
        "20130101-000000-0123456789ab:1-1,",
        f"{live}:-1-1,~",
        f"{live}:{'9' * 400}-1,",
        f"{live}:1-1,,,,,",
    ):
        with served.events(f"/changes/flights/{key}", last) as events:
            assert events.next()[0] == "reset", last


def test_an_id_too_old_gets_a_reset(served: Served) -> None:
    key = served.schedule(340)
    with served.events(f"/changes/flights/{key}") as events:
        last = events.next()[2]
    generation, redis = served.sandbox.generation("flights"), served.sandbox.redis
    depart(served, key, 13)
    streams = [name for name in redis.scan_iter("{flights:*") if redis.type(name) == b"stream"]
    assert streams, generation
    for name in streams:
        redis.xtrim(name, 0)
    with served.events(f"/changes/flights/{key}", last) as events:
        assert events.next()[0] == "reset"


def test_another_generation_is_a_reset(served: Served) -> None:
    key = served.schedule(350)
    with served.events(f"/changes/flights/{key}") as events:
        last = events.next()[2]
        assert served.sandbox.json("replay", "flights")["switched"]
        assert events.next()[0] == "reset"
        depart(served, key, 14)
        kind, data, _ = events.next()
        assert (kind, data["row"]["status"]) == ("changed", "departed")
    with served.events(f"/changes/flights/{key}", last) as events:
        assert events.next()[0] == "reset"


def test_a_client_that_does_not_read_harms_nobody(served: Served) -> None:
    day = "2014-07-01"
    parts = urlsplit(served.url)
    assert parts.hostname is not None
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        slow.connect((parts.hostname, parts.port))
        slow.sendall(f"GET /changes/board/EWR?date={day} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with served.events(f"/changes/board/EWR?date={day}") as events:
            assert events.next()[0] == "open"
            keys = {served.schedule(number, flight_date=day) for number in range(400, 404)}
            heard = {events.next()[1]["key"] for _ in range(4)}
            assert heard == keys


def test_no_such_changes(served: Served) -> None:
    problem(served.get("/changes/punctuality?by=carrier"), 404, "not-found")
    problem(served.get("/changes/board/JFK?date=never"), 400, "wrong-parameter")
    problem(served.get("/changes/board/JFK?date=2014-03-01&limit=5"), 400, "wrong-parameter")


def test_a_server_that_is_told_to_stop_ends_its_streams(folded: Sandbox) -> None:
    with serving(folded) as apart, apart.events("/changes/board/EWR?date=2014-03-01") as events:
        assert events.next()[0] == "open"
        assert apart.server.stop(signal.SIGINT) == 0
        with pytest.raises(EOFError):
            events.next()


def test_changes_go_on_when_redis_was_away(folded: Sandbox, served: Served) -> None:
    """Every connection to Redis is cut, but for those of the server that other tests ask too."""
    others = {connection.laddr.port for connection in psutil.Process(served.server.pid).net_connections()}
    redis = folded.redis
    with serving(folded) as apart:
        key = apart.schedule(360)
        with apart.events(f"/changes/flights/{key}") as events:
            assert events.next()[0] == "open"
            mine = redis.client_id()
            for connected in redis.client_list():
                port = int(connected["addr"].rpartition(":")[2])
                if connected["db"] == str(folded.database) and port not in others and int(connected["id"]) != mine:
                    redis.client_kill_filter(_id=connected["id"])
            eventually(lambda: apart.get(f"/queries/flights/{key}").status_code == 200, "queries are answered again")
            depart(apart, key, 15)
            while (found := events.next())[0] == "reset":
                pass
            assert found[1]["row"]["status"] == "departed"
