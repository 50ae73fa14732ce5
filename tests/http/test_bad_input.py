"""Whatever comes in: a problem, never a traceback, never a hang, and the next one is served."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.http.conftest import JSON, SCHEDULED, Served, problem

PATH = "/commands/flights/ScheduleFlight/UA7:2014-03-01:EWR"


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_within(served: Served) -> None:
    """After each test here: it still answers, and its log has no error."""
    yield
    assert served.get("/queries/punctuality?by=carrier").status_code == 200
    assert "Traceback" not in served.server.log
    assert "level=error" not in served.server.log


def raw(served: Served, sent: bytes, timeout_s: float = 25) -> bytes:
    """All that comes back on a connection of its own until the server ends it, or the answer's body is there."""
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=timeout_s) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(sent)
        found = b""
        try:
            while part := sock.recv(65_536):
                found += part
                head, _, body = found.partition(b"\r\n\r\n")
                length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if length and len(body) >= int(length[0]):
                    break
        except ConnectionResetError:
            pass
        return found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b"NaN",
        b'{"a": NaN}',
        b"\xff\xfe\x00",
        b'{"carrier": "\xff"}',
        b'{"carrier": "UA", "carrier": "AA"}',
        b"{" * 100_000,
        b"[" * 100_000,
    ],
)
def test_malformed_json(served: Served, body: bytes) -> None:
    problem(served.client.post(PATH, content=body, headers={"content-type": JSON}), 400, "malformed-json")


@pytest.mark.parametrize(
    "changed",
    [
        {"flight_number": "seven"},
        {"flight_number": 1e400},
        {"flight_number": 2**70},
        {"flight_number": -(2**31) - 1},
        {"flight_number": 7.5},
        {"flight_number": True},
        {"carrier": None},
        {"carrier": ["UA"]},
        {"carrier": {"a": {"b": {}}}},
        {"carrier": "\ud800"},
        {"flight_date": "2014-02-30"},
        {"scheduled_departure": "yesterday"},
        {"colour": "red"},
        {"x" * 5_000: 1},
    ],
)
def test_wrong_fields(served: Served, changed: dict[str, object]) -> None:
    body = json.dumps({**SCHEDULED, **changed}).replace("Infinity", "1e400")
    answer = served.client.post(PATH, content=body, headers={"content-type": JSON})
    assert answer.status_code == 400
    assert answer.json()["type"] in ("urn:eventfold:problem:wrong-data", "urn:eventfold:problem:malformed-json"), answer.text
    assert len(answer.content) < 10_000


def test_ten_megabytes(served: Served) -> None:
    body = json.dumps({**SCHEDULED, "carrier": "x" * 10_000_000}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n"
    begun = time.monotonic()
    told = raw(served, head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:1_000])
    assert b" 413 " in told.partition(b"\r\n")[0]
    assert b"application/problem+json" in told
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    )
    told = raw(served, head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert b" 413 " in told.partition(b"\r\n")[0] or not told, "the connection may be reset before the answer was read"
    assert time.monotonic() - begun < 20


def test_many_wrong_fields_are_told_shortly(served: Served) -> None:
    answer = served.post(PATH, {f"field{number}": 1 for number in range(50_000)})
    found = problem(answer, 400, "wrong-data")
    assert len(found["errors"]) <= 100


def test_no_json_at_all(served: Served) -> None:
    problem(served.client.post(PATH, content=b"a=b", headers={"content-type": "text/plain"}), 415, "unsupported-media-type")
    problem(served.client.post(PATH, content=b"{}"), 415, "unsupported-media-type")


@pytest.mark.parametrize("id_", ["%00", "%0a", "a%1b%5b31m", "%7f", "%ff%fe", "x" * 513, "%c2%85"])
def test_ids_with_control_characters(served: Served, id_: str) -> None:
    wrong = served.post(f"/commands/flights/DepartFlight/{id_}", {"departed_at": "2014-03-01T15:12:00Z"})
    problem(wrong, 400, "wrong-id")
    for path in (f"/queries/flights/{id_}", f"/history/flights/{id_}", f"/outcomes/flights/{id_}?key=x"):
        answer = served.get(path)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"].isprintable()


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods(served: Served, method: str) -> None:
    answer = served.client.request(method, "/queries/punctuality?by=carrier")
    assert answer.status_code in (400, 405), answer.text


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET " + b"/x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["tls", "version", "percent", "long path", "many headers", "length"],
)
def test_what_is_no_http(served: Served, sent: bytes) -> None:
    told = raw(served, sent)
    assert not told or told.split(b" ")[1][:1] in (b"4", b"3"), told[:200]


def test_half_a_second_later_everything_is_as_before(served: Served) -> None:
    """A hundred connections that say nothing do not keep others from being served."""
    parts = urlsplit(served.url)
    idle = [socket.create_connection((parts.hostname, parts.port or 80)) for _ in range(100)]
    try:
        assert served.get("/queries/punctuality?by=carrier").status_code == 200
    finally:
        for sock in idle:
            sock.close()
