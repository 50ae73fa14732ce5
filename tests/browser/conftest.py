"""Flights with all that serves them, and a browser that looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.browser import DESKTOP, Tab, chromium
from tests.support.daemon import Daemon
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.serving import serve

OpenTab = Callable[..., Tab]


@dataclass(slots=True, kw_only=True)
class Served:
    """The page of a sandbox. server: the process that serves it, which a test may end and begin again at the same port."""

    url: str
    sandbox: Sandbox
    server: Daemon

    def serve_again(self) -> None:
        self.server = serve(self.sandbox, port=self.url.rpartition(":")[2])[0]


@pytest.fixture(scope="module")
def served(open_sandbox: OpenSandbox) -> Iterator[Served]:
    """The address of `eventfold serve`, before whose projectors and handler lie some flights of two days."""
    with open_sandbox() as sandbox:
        sandbox.handler()
        sandbox.projector("board", "flights", "punctuality")
        for carrier, number, day, time, destination in FLIGHTS:
            schedule(sandbox, carrier, number, day, time, destination)
        sandbox.ok("flights", "depart", "B6219:2013-01-08:JFK", "--at", "2013-01-08T13:54:00Z")
        sandbox.ok("flights", "arrive", "B6219:2013-01-08:JFK", "--at", "2013-01-08T15:33:00Z")
        sandbox.ok("flights", "cancel", "DL61:2013-01-08:JFK")
        sandbox.caught_up("flights.handler", "board", "flights", "punctuality")
        server, url = serve(sandbox)
        yield Served(url=url, sandbox=sandbox, server=server)


FLIGHTS = [
    ("B6", 219, "2013-01-08", "13:07", "CLT"),
    ("DL", 61, "2013-01-08", "14:15", "ATL"),
    ("AA", 33, "2013-01-08", "17:00", "LAX"),
    ("UA", 703, "2013-01-08", "18:30", "SFO"),
    ("VX", 11, "2013-01-09", "12:00", "LAX"),
]


def schedule(sandbox: Sandbox, carrier: str, number: int, day: str, time: str, destination: str) -> str:
    """Schedule a flight from JFK that takes an hour, and return its id."""
    hour, minute = time.split(":")
    args = ["--carrier", carrier, "--number", str(number), "--date", day, "--origin", "JFK", "--destination", destination]
    times = ["--departure", f"{day}T{time}:00Z", "--arrival", f"{day}T{int(hour) + 2:02}:{minute}:00Z", "--distance", "541"]
    sandbox.ok("flights", "schedule", *args, *times)
    return f"{carrier}{number}:{day}:JFK"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with its module: as long as Playwright runs, so does its event loop, and no other can in this thread."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_tab(browser: Browser, served: Served) -> Iterator[OpenTab]:
    """Opens a tab in a profile of its own; what it did that it must not do fails the test at its end."""
    tabs: list[Tab] = []

    def opened(url: str = "", **options: Any) -> Tab:
        context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "dark", **options})
        context.set_default_timeout(20_000)
        tabs.append(Tab(context.new_page(), url or served.url))
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.page.context.close()
    for tab in tabs:
        tab.check()


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab()
