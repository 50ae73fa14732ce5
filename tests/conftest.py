"""One real Kafka and one real Redis for all tests that need them; a corner of them for each test."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from stack_signals import NUMBERS, Signals
from tests.support.deadline import eventually
from tests.support.local_stack import REPOSITORY, LocalStack, clean_stale, missing_tools
from tests.support.sandbox import OpenSandbox, Sandbox, shown_logs

_FOLDER = REPOSITORY / ".eventfold"
_FIRST = ("faults", "http", "integration", "browser", "e2e", "interop")
_TOGETHER = {
    # Of these some stop or kill the registry that all workers share.
    **dict.fromkeys(("test_change_over", "test_confluent", "test_foreign", "test_registry", "test_registry_auth"), "registry"),
    # These fold January in the same consumer groups.
    **dict.fromkeys(("test_projector", "test_replay"), "january"),
    # These ask one server.
    **dict.fromkeys(
        ("test_bad_input", "test_changes", "test_commands", "test_origins", "test_pairs", "test_queries", "test_who_may"),
        "http",
    ),
}
"""Files that one worker runs."""
_OPEN = pytest.StashKey[list[Sandbox]]()
_SHARED = pytest.StashKey[LocalStack]()
_DATABASES = 16
"""Of Redis, for the sandboxes that one worker has open at the same time."""
_JANUARY, _OF_ALL = 126, 127
"""Databases that all workers share."""


def pytest_configure(config: pytest.Config) -> None:
    """A run that is told to end cleans up as after Ctrl-C; its workers learn where its stack is."""
    config.stash[_OPEN] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What a shell starts in the background ignores Ctrl-C, and so would the commands that these tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    given = getattr(config, "workerinput", None)
    if given is None:
        clean_stale(_FOLDER)
        config.stash[_SHARED] = LocalStack(_FOLDER / f"test-{os.getpid()}")
    else:
        config.stash[_SHARED] = LocalStack(Path(given["stack"]), tuple(given["ports"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first."""
    place = {f"tests/{folder}/": number for number, folder in enumerate(_FIRST)}
    items.sort(key=lambda item: min((n for start, n in place.items() if item.nodeid.startswith(start)), default=len(place)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` one worker runs a file as a whole, and files that belong together."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return _TOGETHER.get(Path(file).stem, file)

    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker."""
    shared = node.config.stash[_SHARED]
    node.workerinput |= {"stack": str(shared.state), "ports": shared.ports}


def pytest_unconfigure(config: pytest.Config) -> None:
    """The stack ends with the run, when all workers have."""
    if not hasattr(config, "workerinput") and config.stash[_SHARED].state.exists():
        config.stash[_SHARED].clean()


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
def stack(request: pytest.FixtureRequest) -> LocalStack:
    """Kafka and Redis of this test run, shared by all its workers; the first one starts it."""
    _need_tools()
    shared = request.config.stash[_SHARED]
    shared.up()
    return shared


@pytest.fixture(scope="session")
def own_stack() -> Iterator[LocalStack]:
    """Kafka and Redis of this worker, for tests that break them: `open_sandbox(stack=own_stack)`."""
    _need_tools()
    made = LocalStack(_FOLDER / f"test-own-{os.getpid()}")
    try:
        made.up()
        yield made
    finally:
        made.clean()


def _need_tools() -> None:
    if missing := missing_tools():
        reason = f"real Kafka and Redis are needed, but these are not on the PATH: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="session")
def registry_url(stack: LocalStack) -> str:
    """A schema registry, started with the first test that needs one."""
    return stack.registry_url()


@pytest.fixture(scope="session")
def open_sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OpenSandbox:
    """Open a corner of the stack: `with open_sandbox(partitions=3, NAME="value") as sandbox`.

    partitions: of the topics to make; 0 for none. topics_of: another sandbox, whose topics this one reads, with a Redis
    of its own. prefix: of its topics, where that matters. stack: another one than the shared one.
    """
    first = _DATABASES * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    assert first + _DATABASES <= _JANUARY, "more workers than there are databases for: at most 7"
    free = list(range(first, first + _DATABASES))
    live = request.config.stash[_OPEN]

    @contextmanager
    def opened(
        *,
        partitions: int = 2,
        topics_of: Sandbox | None = None,
        prefix: str = "",
        stack: LocalStack | None = None,
        **settings: str,
    ) -> Iterator[Sandbox]:
        if stack is None:
            stack = request.getfixturevalue("stack") if topics_of is None else topics_of.stack
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
def january(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """January 2013, imported and folded, with no daemon running; for tests that only read, of all workers of a run."""
    folder = tmp_path_factory.mktemp("january")
    with Redis.from_url(stack.redis_url(_OF_ALL), decode_responses=True) as of_all, of_all.lock("january.lock", timeout=300):
        prefix = of_all.get("january")
        sandbox = Sandbox(stack, folder, _JANUARY, prefix or "january.", {}, made=prefix is not None)
        if prefix is None:
            sandbox.create_topics(6)
            daemons = sandbox.start_all()
            sandbox.ok("flights", "import", "--months", "1")
            sandbox.caught_up("flights.handler", "flights", "board", "punctuality", "aircraft")
            assert [daemon.stop() for daemon in daemons] == [0, 0]
            of_all.set("january", sandbox.prefix)
    yield sandbox
    sandbox.close(delete_topics=False, empty=False)


@pytest.fixture
def own_redis(stack: LocalStack, tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis whose settings a test may change."""
    url = f"unix://{tmp_path / 'redis.sock'}"
    command = ["redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", ""]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        with Redis.from_url(url) as redis:
            eventually(lambda: _answers(redis), "a Redis of the test's own answers")
        yield url
    finally:
        server.kill()
        server.wait()


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisConnectionError:
        return False


@pytest.fixture
def signals() -> Iterator[Signals]:
    """The signals that this process is sent, caught as deploy/stack.py catches them."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    caught = Signals()
    caught.catch()
    yield caught
    for number, handler in before.items():
        signal.signal(number, handler)
