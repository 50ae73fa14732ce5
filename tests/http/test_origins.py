"""Requests that a browser's page from elsewhere makes at a server that is open to this machine: refused at the real door."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from tests.http.conftest import JSON, SCHEDULED, Served, problem
from tests.http.test_bad_input import raw

PATH = "/commands/flights/ScheduleFlight/UA620:2014-03-01:EWR"
BODY = json.dumps({**SCHEDULED, "flight_number": 620}).encode()
READS = ("/queries/punctuality?by=carrier", "/changes/board/EWR?date=2014-03-01", "/history/flights/x", "/operations")


def test_a_name_that_was_rebound_to_this_machine_changes_and_reads_nothing(served: Served) -> None:
    """The browser takes the name of the page's server and this one's for the same origin, and says so."""
    host = f"evil.example:{urlsplit(served.url).port}"
    foreign = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    headers = {"content-type": JSON, **foreign}
    problem(served.client.post(PATH, content=BODY, headers=headers), 403, "foreign-host")
    for path in ("/", *READS):
        problem(served.client.get(path, headers=foreign), 403, "foreign-host")


def test_a_page_of_another_site_changes_and_reads_nothing(served: Served) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}):
        sent = {"content-type": JSON, **headers}
        problem(served.client.post(PATH, content=BODY, headers=sent), 403, "cross-site")
        for path in READS:
            problem(served.client.get(path, headers=headers), 403, "cross-site")
        assert served.client.get("/", headers=headers).status_code == 200
    assert served.get("/history/flights/UA620:2014-03-01:EWR").status_code == 404


def test_its_own_page_does_both(served: Served) -> None:
    own = {"origin": served.url, "sec-fetch-site": "same-origin"}
    headers = {"content-type": JSON, "prefer": "wait=20", **own}
    done = served.client.post(PATH.replace("620", "621"), content=BODY.replace(b"620", b"621"), headers=headers)
    assert done.status_code == 200, done.text
    assert served.client.get(READS[0], headers=own).status_code == 200


@pytest.mark.parametrize(
    "hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nhost: evil.example\r\n"]
)
def test_a_request_without_one_name_is_malformed(served: Served, hosts: bytes) -> None:
    told = raw(served, b"GET /queries/punctuality?by=carrier HTTP/1.1\r\n" + hosts + b"\r\n")
    assert told.startswith(b"HTTP/1.1 400 "), told
    assert b"application/problem+json" in told
