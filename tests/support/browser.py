"""Debian's Chromium for tests, driven by Playwright. It speaks to this machine alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, sync_playwright

from stack_redis import apt, installing
from tests.support.local_stack import REPOSITORY

SCREENSHOTS = REPOSITORY / ".eventfold" / "screenshots"
DESKTOP = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
_QUIET = [
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-features=OptimizationHints,MediaRouter,AutofillServerCommunication",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    # What it might still ask of others ends at a port where nobody answers; what is on this machine needs no proxy.
    "--proxy-server=127.0.0.1:9",
]


class Tab:
    """A page of the browser that is watched: `check` fails if it asked another server, or wrote an error to its console.

    allowed: what errors may contain that are what a test is about.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.allowed: tuple[str, ...] = ()
        self._errors: list[str] = []
        self._foreign: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        page.on("request", self._asked)

    def open(self, address: str) -> Page:
        """Load the page at an address such as `flights/board/JFK`."""
        self.page.goto(f"{self.url}/#/{address}")
        return self.page

    def shoot(self, name: str) -> Path:
        """Keep what is seen as a picture."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        file = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=file)
        return file

    def check(self) -> None:
        assert not self._foreign, f"it asked others than the server: {self._foreign}"
        errors = [error for error in self._errors if not any(part in error for part in self.allowed)]
        assert not errors, f"errors in the page: {errors}"

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._errors.append(f"{message.text} ({message.location.get('url')})")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url)[:2] != urlsplit(self.url)[:2]:
            self._foreign.append(request.url)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, installed first where this user can."""
    program = shutil.which("chromium")
    if program is None and shutil.which("apt-get") and os.geteuid() == 0:
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
        # Other workers of the run may be installing Redis.
        with installing(lambda: None):
            if apt(install).returncode != 0:
                apt(["apt-get", "update"])
                apt(install)
        program = shutil.which("chromium")
    if program is None:
        reason = "Chromium is needed, but is not on the PATH (on Debian: `sudo apt-get install chromium`)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    # Chromium has no sandbox of its own for root, whom containers and CI run as.
    flags = [*_QUIET, "--no-sandbox"] if os.geteuid() == 0 else _QUIET
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            browser.close()
