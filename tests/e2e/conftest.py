"""Flights with all their daemons, for tests that use the command line as a user does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture(scope="session")
def running(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """All daemons, each with its partitions."""
    with open_sandbox(partitions=2) as sandbox:
        sandbox.start_all()
        yield sandbox
