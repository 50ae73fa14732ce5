"""One real Kafka and one real Redis for all tests that need them; a corner of them for each test."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack_signals import NUMBERS, Signals
from tests.support.local_stack import REPOSITORY, LocalStack, clean_stale, missing_tools
from tests.support.sandbox import OpenSandbox, Sandbox, shown_logs

_OPEN = pytest.StashKey[list[Sandbox]]()
_DATABASES = 16


def pytest_configure(config: pytest.Config) -> None:
    """A run that is told to end cleans up as after Ctrl-C."""
    config.stash[_OPEN] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What a shell starts in the background ignores Ctrl-C, and so would the commands that these tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the logs of its daemons."""
    report = yield
    if report.failed:
        live = item.config.stash[_OPEN]
        report.sections += shown_logs(live)
        live[:] = [sandbox for sandbox in live if not sandbox.closed]
    return report


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """Kafka and Redis of this test run, removed at its end."""
    if missing := missing_tools():
        reason = f"real Kafka and Redis are needed, but these are not on the PATH: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    clean_stale(REPOSITORY / ".eventfold")
    made = LocalStack(REPOSITORY / ".eventfold" / f"test-{os.getpid()}")
    try:
        made.up()
        yield made
    finally:
        made.clean()


@pytest.fixture(scope="session")
def registry_url(stack: LocalStack) -> str:
    """A schema registry, started with the first test that needs one."""
    return stack.registry_url()


@pytest.fixture(scope="session")
def open_sandbox(request: pytest.FixtureRequest, stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> OpenSandbox:
    """Open a corner of the stack: `with open_sandbox(partitions=3, NAME="value") as sandbox`.

    partitions: of the topics to make; 0 for none. topics_of: another sandbox, whose topics this one reads, with a Redis
    of its own. prefix: of its topics, where that matters.
    """
    free = list(range(_DATABASES))
    live = request.config.stash[_OPEN]

    @contextmanager
    def opened(
        *, partitions: int = 2, topics_of: Sandbox | None = None, prefix: str = "", **settings: str
    ) -> Iterator[Sandbox]:
        prefix = prefix or (f"t{uuid.uuid4().hex[:8]}." if topics_of is None else topics_of.prefix)
        folder: Path = tmp_path_factory.mktemp("daemons")
        database = free.pop()
        sandbox = Sandbox(stack, folder, database, prefix, settings)
        live.append(sandbox)
        try:
            if topics_of is None and partitions:
                sandbox.create_topics(partitions)
            yield sandbox
            live.remove(sandbox)
        finally:
            # One that a test failed in stays among them: its report is yet to come.
            sandbox.close(delete_topics=topics_of is None)
            free.append(database)

    return opened


@pytest.fixture
def sandbox(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """A corner of the test's own, with the topics of `flights` in two partitions."""
    with open_sandbox() as opened:
        yield opened


@pytest.fixture(scope="session")
def january(open_sandbox: OpenSandbox) -> Iterator[Sandbox]:
    """January 2013, imported and folded, with no daemon running; for tests that only read."""
    with open_sandbox(partitions=6) as sandbox:
        daemons = sandbox.start("run", "all")
        sandbox.ok("flights", "import", "--months", "1")
        sandbox.caught_up("flights.handler", "flights", "board", "punctuality", "aircraft")
        assert daemons.stop() == 0
        yield sandbox


@pytest.fixture
def signals() -> Iterator[Signals]:
    """The signals that this process is sent, caught as deploy/stack.py catches them."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    caught = Signals()
    caught.catch()
    yield caught
    for number, handler in before.items():
        signal.signal(number, handler)
