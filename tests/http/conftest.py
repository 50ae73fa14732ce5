"""Flights and accounts with all that serves them, asked over HTTP as other programs do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.support.daemon import Daemon
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.serving import serve

JSON = "application/json"
PROBLEM = "application/problem+json"
SCHEDULED = {
    "carrier": "UA",
    "flight_number": 7,
    "flight_date": "2014-03-01",
    "origin": "EWR",
    "destination": "SFO",
    "tail_number": None,
    "scheduled_departure": "2014-03-01T15:00:00Z",
    "scheduled_arrival": "2014-03-01T21:10:00Z",
    "distance_mi": 2565,
}


@dataclass(slots=True, kw_only=True)
class Served:
    """A server and what it serves. headers: of every request."""

    url: str
    sandbox: Sandbox
    server: Daemon
    client: httpx2.Client
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """`_` in the names of headers stands for `-`."""
        return self.client.get(path, headers=self.headers | _named(headers))

    def post(self, path: str, data: Any, **headers: str) -> httpx2.Response:
        """data: what is sent as JSON."""
        sent = {"content-type": JSON, **self.headers, **_named(headers)}
        return self.client.post(path, content=json.dumps(data), headers=sent)

    def command(self, name: str, key: str, data: Any, **headers: str) -> httpx2.Response:
        """A command of which the outcome is waited for, unless `prefer` says otherwise."""
        domain, _, type_ = name.partition(".")
        return self.post(f"/commands/{domain}/{type_}/{key}", data, **{"prefer": "wait=20", **headers})

    def schedule(self, number: int, **changed: Any) -> str:
        """Schedule a flight from Newark and wait until every read model has it; its id."""
        key = f"UA{number}:2014-03-01:EWR"
        done = self.command("flights.ScheduleFlight", key, {**SCHEDULED, "flight_number": number, **changed})
        assert done.status_code == 200, done.text
        self.sandbox.caught_up("board", "flights", "punctuality")
        return key

    def events(self, path: str, last: str = "") -> EventStream:
        """The changes behind a path, as a `with`."""
        headers = {**self.headers, **({"last-event-id": last} if last else {})}
        return EventStream(self.client, path, headers)


class EventStream:
    """Server-sent events, one after the other."""

    def __init__(self, client: httpx2.Client, path: str, headers: dict[str, str]) -> None:
        self._asked = client.stream("GET", path, headers=headers)

    def __enter__(self) -> EventStream:
        self.response = self._asked.__enter__()
        self._lines = self.response.iter_lines()
        return self

    def __exit__(self, *error: Any) -> None:
        self._asked.__exit__(*error)

    def next(self) -> tuple[str, Any, str]:
        """Its kind, its data, and its id ("" where it has none); comments are left out."""
        found: dict[str, str] = {}
        for line in self._lines:
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                found[name] = value
            elif not line and "event" in found:
                return found["event"], json.loads(found["data"]), found.get("id", "")
            elif not line:
                found = {}
        raise EOFError("the stream ended")


def problem(response: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem (RFC 9457) that an answer must be."""
    assert (response.status_code, response.headers["content-type"]) == (status, PROBLEM), response.text
    found: dict[str, Any] = response.json()
    assert found["type"] == f"urn:eventfold:problem:{kind}", found
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert "Traceback" not in response.text
    return found


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def serving(sandbox: Sandbox, *args: str, **environ: str) -> Iterator[Served]:
    """`eventfold serve` with a client."""
    server, url = serve(sandbox, *args, **environ)
    with httpx2.Client(base_url=url, timeout=40, trust_env=False) as client:
        yield Served(url=url, sandbox=sandbox, server=server, client=client)


@pytest.fixture(scope="session")
def folded(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """Both domains with all their daemons."""
    with open_sandbox(EVENTFOLD_DOMAINS="flights,accounts") as sandbox:
        sandbox.start_all()
        yield sandbox


@pytest.fixture(scope="session")
def served(folded: Sandbox) -> Iterator[Served]:
    """Both sides of both domains, open to everybody."""
    with serving(folded) as found:
        yield found
