"""Nothing is unbounded: heads, bodies, answers that nobody takes, waits, reads of the log, streams, connections."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.http.conftest import Served, problem, serving
from tests.support.deadline import eventually
from tests.support.sandbox import Sandbox

CLIENT_S, LATER_S = 1, 5.0
"""How long the server waits for a client, and how long a test waits for the server to act on it."""
WAITING, READING, QUEUE, STREAMS, CONNECTIONS = 2, 1, 2, 2, 60
GET = b"GET /pages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
NOWHERE = b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def small(folded: Sandbox) -> Iterator[Served]:
    """A server that takes on little."""
    bounds = {
        "CLIENT_S": CLIENT_S, "SEND_S": CLIENT_S, "WAITS": WAITING, "READS": READING, "QUEUE": QUEUE, "STREAMS": STREAMS,
        "CONNECTIONS": CONNECTIONS,
    }  # fmt: skip
    with serving(folded, **{f"EVENTFOLD_HTTP_{name}": str(value) for name, value in bounds.items()}) as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_within(small: Served) -> Iterator[None]:
    yield
    assert small.get("/operations").status_code == 200
    assert "Traceback" not in small.server.log
    assert "level=error" not in small.server.log


@contextmanager
def connected(served: Served, receives: int | None = None) -> Iterator[socket.socket]:
    """A connection of one's own. receives: the size of its buffer."""
    parts = urlsplit(served.url)
    with socket.socket() as sock:
        if receives is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        sock.settimeout(LATER_S)
        sock.connect((parts.hostname, parts.port))
        yield sock


def answer(sock: socket.socket) -> bytes:
    """The head and the body of one answer."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += part if (part := sock.recv(65_536)) else pytest.fail(f"closed after {found!r}")
    head, _, body = found.partition(b"\r\n\r\n")
    (length,) = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += sock.recv(65_536)
    return head + b"\r\n\r\n" + body


def seconds_until_closed(sock: socket.socket, sent: bytes) -> float:
    """How long a connection stays open on which these bytes are sent, one now and then."""
    begun = time.monotonic()
    sock.settimeout(0.2)
    for at in range(len(sent)):
        try:
            sock.sendall(sent[at : at + 1])
            if not sock.recv(65_536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begun


def refused(sock: socket.socket, part: bytes, most: int) -> bytes:
    """Send this until the server ends the connection, at the latest when it was sent so many bytes; what it answered."""
    told, sent = b"", 0
    with suppress(ConnectionError):
        while sent < most:
            sock.sendall(part)
            sent += len(part)
            sock.settimeout(0.001)
            with suppress(TimeoutError):
                told += sock.recv(65_536)
            sock.settimeout(LATER_S)
        pytest.fail(f"it goes on after {sent:,} bytes")
    return told


# -- heads and bodies ------------------------------------------------------------------------------------------------------


SLOWLY = b"x" * 20
LINES = b"\r\n" * 10
LENGTH, CHUNKED = b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1000\r\n"
DEADLINES = {
    # What is sent at once, what is answered to that, and what is sent then, byte by byte.
    "empty lines": (b"", b"", LINES),
    "a head": (b"", b"", GET[:20]),
    "the name of a header": (GET, b"", SLOWLY),
    "the value of a header": (GET + b"A: ", b"", SLOWLY),
    "empty lines after an answer": (GET + b"\r\n", b" 200 ", LINES),
    "the next head": (GET + b"\r\n", b" 200 ", GET[:20]),
    "a body of a get": (GET + LENGTH, b" 200 ", SLOWLY),
    "a chunk of a get": (GET + CHUNKED, b" 200 ", SLOWLY),
    "a body for nobody": (NOWHERE + LENGTH, b" 404 ", SLOWLY),
    "a chunk for nobody": (NOWHERE + CHUNKED, b" 404 ", SLOWLY),
    "a body of a wrong method": (b"POST" + GET[3:] + LENGTH, b" 405 ", SLOWLY),
    "a chunk of a wrong method": (b"POST" + GET[3:] + CHUNKED, b" 405 ", SLOWLY),
}


def test_whatever_comes_byte_by_byte_has_a_deadline(small: Served) -> None:
    def lasts(sent: tuple[bytes, bytes, bytes]) -> float:
        begins, answered, goes_on = sent
        with connected(small) as sock:
            sock.sendall(begins)
            assert answered in (answer(sock) if answered else b"")
            return seconds_until_closed(sock, goes_on)

    with ThreadPoolExecutor(len(DEADLINES)) as pool:
        found = dict(zip(DEADLINES, pool.map(lasts, DEADLINES.values()), strict=True))
    assert {name: took for name, took in found.items() if not CLIENT_S * 0.5 < took < 3.5} == {}


def test_a_body_that_does_not_come_is_a_problem(small: Served) -> None:
    with connected(small) as sock:
        head = b"POST /commands/accounts/OpenAccount/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        sock.sendall(head + LENGTH + b"{")
        told = answer(sock)
        assert b" 408 " in told.partition(b"\r\n")[0]
        assert b"application/problem+json" in told
        assert sock.recv(1) == b""


def test_a_body_that_nobody_reads_may_come_and_the_connection_goes_on(small: Served) -> None:
    with connected(small) as sock:
        sock.sendall(GET + b"Content-Length: 100000\r\n\r\n")
        assert b" 200 " in answer(sock)
        sock.sendall(b"x" * 100_000 + GET + b"\r\n")
        assert b" 200 " in answer(sock)


@pytest.mark.parametrize("chunks", [True, False])
def test_a_body_that_nobody_reads_has_a_most_of_bytes(small: Served, chunks: bool) -> None:
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunks else b"Content-Length: 1000000000\r\n\r\n"
    part = (b"%x\r\n%s\r\n" % (1_000_000, b"x" * 1_000_000)) if chunks else b"x" * 1_000_000
    with connected(small) as sock:
        sock.sendall(NOWHERE + framing)
        assert b" 404 " in answer(sock)
        refused(sock, part, 40_000_000)


def test_who_was_not_told_to_send_its_body_is_not_taken_for_sending_it(small: Served) -> None:
    with connected(small) as sock:
        sock.sendall(NOWHERE + b"Content-Length: 50\r\nExpect: 100-continue\r\n\r\n")
        assert b" 404 " in answer(sock)
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [(b"A: ", b"x" * 65_536), (b"", b"a:\r\n" * 16_384), (b"A: b", b"\r\n c" * 16_384)],
    ids=["one long header", "many short ones", "a folded one"],
)
def test_a_head_has_a_most_of_bytes(small: Served, begins: bytes, goes_on: bytes) -> None:
    with connected(small) as sock:
        sock.sendall(GET + begins)
        told = refused(sock, goes_on, 20_000_000)
        assert not told or b" 400 " in told.partition(b"\r\n")[0]


def test_requests_that_wait_for_the_answers_before_them_have_a_most(small: Served) -> None:
    waits = f"GET {after(small, 3)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connected(small) as sock:
        sock.sendall(waits.encode() + (GET + b"\r\n") * 1_000)
        with suppress(ConnectionResetError):
            assert sock.recv(1) == b""


def test_who_does_not_take_its_answers_is_cut_off(small: Served) -> None:
    with connected(small, receives=2_048) as sock:
        begun = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - begun < LATER_S:
                # At the client's pace: many requests at once would be refused for their number.
                sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10)
                time.sleep(0.02)
        assert CLIENT_S * 0.5 < time.monotonic() - begun < LATER_S


# -- connections -----------------------------------------------------------------------------------------------------------


def test_connections_have_a_most(small: Served) -> None:
    with open_connections(small, CONNECTIONS):
        eventually(lambda: _fresh(small).status_code == 503, "one too many is refused")
    with open_connections(small, CONNECTIONS // 2):
        eventually(lambda: _fresh(small).status_code == 200, "there is room again")


@contextmanager
def open_connections(served: Served, count: int) -> Iterator[None]:
    with ExitStack() as opened:
        for _ in range(count):
            opened.enter_context(connected(served))
        yield


def _fresh(served: Served) -> httpx2.Response:
    return httpx2.get(f"{served.url}/pages", timeout=LATER_S, trust_env=False)


# -- waits and reads of the log --------------------------------------------------------------------------------------------


def after(served: Served, seconds: int) -> str:
    return f"/queries/flights/x?after={served.sandbox.topic('flights.events')}/0@999999&timeout={seconds}"


@contextmanager
def waiting(served: Served, count: int) -> Iterator[None]:
    """So many clients that wait for what never comes, until they hang up."""
    ask = f"GET {after(served, 30)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with ExitStack() as opened:
        clients = [opened.enter_context(connected(served)) for _ in range(count)]
        for client in clients:
            client.sendall(ask)

        def all_wait() -> bool:
            # One whose place was taken by a look of this very function asks again.
            for refused in select.select(clients, [], [], 0)[0]:
                answer(refused)
                refused.sendall(ask)
            return str(served.get(after(served, 0)).json()["type"]).endswith("busy")

        eventually(all_wait, "no more may wait")
        yield


def test_so_many_wait_for_a_position_and_end_with_their_client(small: Served) -> None:
    with waiting(small, WAITING):
        assert problem(small.get(after(small, 1)), 503, "busy")["detail"].startswith(f"{WAITING} requests wait")
        assert int(small.get(after(small, 1)).headers["retry-after"]) > 0
    eventually(lambda: small.get(after(small, 0)).json()["type"].endswith("not-reached"), "who hung up waits no more")


def test_a_command_is_sent_where_nobody_more_may_wait_for_an_outcome(small: Served) -> None:
    with waiting(small, WAITING):
        sent = small.command("accounts.OpenAccount", "bounds-1", {"owner": "Ada", "currency": "EUR"})
        assert sent.status_code == 202
        assert "preference-applied" not in sent.headers
        assert small.get(sent.headers["location"], prefer="wait=5").status_code in (200, 404)
    eventually(lambda: small.get(sent.headers["location"], prefer="wait=5").status_code == 200, "it was decided")


def test_positions_of_one_request_have_a_most(small: Served) -> None:
    many = "&".join(["after=flights.events/0@1"] * 101)
    assert problem(small.get(f"/queries/flights/x?{many}"), 400, "wrong-parameter")["parameter"] == "after"


@pytest.mark.parametrize(
    "parameter",
    [
        "after=a/0@{}", "after=a/{}@0", "as_of_position=a/0@{}", "as_of_position=a/{}@0", "as_of_version={}", "timeout={}",
        "as_of={}", "recorded_as_of={}", "after=a/0@\u0661", "timeout=1e{}",
    ],
)  # fmt: skip
def test_a_number_of_very_many_digits_is_a_wrong_parameter(small: Served, parameter: str) -> None:
    answer = small.get(f"/queries/flights/x?{parameter.format('9' * 4_400)}")
    assert problem(answer, 400, "wrong-parameter")["parameter"] == parameter.partition("=")[0]
    assert len(answer.content) < 1_000


def test_a_limit_of_very_many_digits_is_a_wrong_parameter(small: Served) -> None:
    problem(small.get(f"/queries/board/JFK?date=2013-01-01&limit={'9' * 4_400}"), 400, "wrong-parameter")


def test_reads_of_the_log_share_few_threads_and_operations_do_not_wait_for_them(small: Served) -> None:
    key = small.schedule(900)
    begin, asked = threading.Barrier(17), 16

    def read(number: int) -> httpx2.Response:
        begin.wait()
        path = f"/history/flights/{key}" if number % 2 else f"/queries/flights/{key}?as_of_version=1"
        return httpx2.get(small.url + path, timeout=60, trust_env=False)

    with ThreadPoolExecutor(asked) as pool:
        reads = [pool.submit(read, number) for number in range(asked)]
        begin.wait()
        assert small.get("/operations").status_code == 200
        answers = [done.result() for done in reads]
    refused = [one for one in answers if one.status_code == 503]
    assert READING + QUEUE <= sum(one.status_code == 200 for one in answers) < asked
    for one in refused:
        problem(one, 503, "busy")
        assert int(one.headers["retry-after"]) > 0
    assert len(refused) + sum(one.status_code == 200 for one in answers) == asked


# -- streams ---------------------------------------------------------------------------------------------------------------


def test_event_streams_have_a_most(small: Served) -> None:
    path = "/changes/board/EWR?date=2014-03-01"
    with ExitStack() as opened:
        for _ in range(STREAMS):
            assert opened.enter_context(small.events(path)).next()[0] == "open"
        problem(small.get(path), 503, "too-many-clients")
    eventually(lambda: _follows(small, path), "there is room again")


def _follows(served: Served, path: str) -> bool:
    with served.events(path) as events:
        return events.response.status_code == 200
