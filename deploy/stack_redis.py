"""The stack's own Redis: its program, its command line, whether it answers, and emptying it and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stack_plan import Plan, StackError
from stack_processes import Process
from stack_record import locked

if TYPE_CHECKING:
    from redis import Redis

LOCAL = Path(__file__).resolve().parent / "local"
LOOPBACK = {"127.0.0.1", "localhost"}
ANSWER_SECONDS = 5.0
POLICY = Path("/usr/sbin/policy-rc.d")


def server(say: Callable[[str], None]) -> str:
    """The path of redis-server, installed first where this user can."""
    found = shutil.which("redis-server")
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        with installing(lambda: say("Another call is installing something; waiting for it.")):
            if shutil.which("redis-server") is None:
                say("Installing redis-server with apt-get (once for this machine).")
                install()
        found = shutil.which("redis-server")
    if found is None:
        raise StackError(
            "redis-server is not on the PATH: install it "
            "(on Debian and Ubuntu: `sudo apt-get install redis-server`; on macOS: `brew install redis`)."
        )
    return found


def install() -> None:
    """Install Debian's redis-server without letting the package start a service on the port this stack may want."""
    install = ["apt-get", "install", "-y", "--no-install-recommends", "redis-server"]
    with services_held_back():
        if apt(install).returncode == 0:
            return
        apt(["apt-get", "update"])
        done = apt(install)
    if done.returncode != 0:
        reasons = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise StackError(f"apt-get could not install redis-server; install it by hand. Its last words:\n{reasons}")


@contextmanager
def installing(waiting: Callable[[], None]) -> Iterator[None]:
    """One installation at a time on this machine: apt-get fails where another one is under way."""
    with locked(Path("/var/cache/apt/eventfold.lock"), waiting):
        yield


def apt(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def services_held_back() -> Iterator[None]:
    """Let no package start or stop a service during the block: 101 is policy-rc.d's 'forbidden' (invoke-rc.d(8))."""
    aside = POLICY.with_name(f"{POLICY.name}.aside")
    if POLICY.exists():
        POLICY.rename(aside)
    try:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if aside.exists():
            aside.rename(POLICY)


def command(program: str, port: int) -> list[str]:
    """What starts the server in its own folder, which is thereby its `dir`."""
    return [program, str(LOCAL / "redis.conf"), "--port", str(port), "--pidfile", "redis.pid"]


def answers(plan: Plan, process: Process) -> bool:
    """Whether the process answers a PING at the plan's address, and not another Redis in its place."""
    from redis.exceptions import RedisError

    try:
        with connect(plan.redis_url) as client:
            return bool(client.ping()) and client.info("server")["process_id"] == process.pid
    except (RedisError, OSError, KeyError):
        # A server that still loads its append-only file refuses a PING, and is not ready either.
        return False


def empty(url: str, plan: Plan, process: Process, folder: Path) -> None:
    """FLUSHALL the Redis at the URL, if it is the given process working in the given folder; StackError if not."""
    from redis.exceptions import RedisError

    if not is_address_of(url, plan):
        raise StackError(
            f"Refused: `up` started its Redis at {plan.redis_url}, not at {without_password(url)}; nothing was deleted."
        )
    try:
        with connect(url) as client:
            found = client.info("server").get("process_id")
            where = client.config_get("dir").get("dir", "")
            if not process.running or found != process.pid or not same_folder(where, folder):
                raise StackError(
                    f"Refused: the Redis at {without_password(url)} (pid {found}, in {where}) "
                    "is not the one that `up` started; nothing was deleted."
                )
            client.flushall()
    except (RedisError, OSError) as error:
        raise StackError(f"The Redis at {without_password(url)} does not answer as it should: {error}") from error


def connect(url: str) -> Redis:
    """A client of one connection that tries once: a retry might reach another server than the one just examined."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client: Redis = Redis.from_url(
        url,
        decode_responses=True,
        single_connection_client=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return client


def is_address_of(url: str, plan: Plan) -> bool:
    """Whether the URL names the plan's port on this machine; another machine may have a like pid and folder."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "redis" and parts.hostname in LOOPBACK and (parts.port or 6379) == plan.redis_port
    except ValueError:
        return False


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, _, rest = url.partition("://")
    before, at, host = rest.partition("?")[0].rpartition("@")
    # Of one with such a character in its password it is not known where that ends.
    if "@" in url.partition("?")[2] or any(mark in before for mark in "/#"):
        return f"{scheme}://***"
    return f"{scheme}://{'***' if at else ''}{at}{host}"


def same_folder(one: str, other: Path) -> bool:
    try:
        return other.samefile(one)
    except OSError:
        return False
