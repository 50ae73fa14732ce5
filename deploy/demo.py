"""The demo: real flights through the local stack, Redis emptied, everything folded again and compared to the byte.

`run` leaves stack and daemons running; `stop` ends the daemons that `run` started.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stack_processes import Process, last_lines, launch, stop
from stack_record import load

DEPLOY = Path(__file__).resolve().parent
STATE = Path(os.environ.get("EVENTFOLD_STACK") or DEPLOY.parent / ".eventfold" / "stack").absolute()
DAEMONS, SERVER = "daemons", "server"
LOG = STATE / "logs" / f"{DAEMONS}.log"
PORT = 8080
EVENTFOLD = [sys.executable, "-m", "eventfold"]
DEADLINE_S = 120.0
POLL_S = 0.5


class DemoError(Exception):
    """What went wrong, in a sentence."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("--months", default="1")
    commands.add_parser("stop")
    given = parser.parse_args()
    try:
        if given.command == "stop":
            end_daemons()
        else:
            Demo().run(given.months)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; what runs is left running, `make down` stops it", file=sys.stderr)
        return 130
    return 0


class Demo:
    """One run, against the stack that `make up` starts."""

    def __init__(self) -> None:
        stack("up")
        record = load(STATE)
        if record is None:
            raise DemoError(f"there is no stack in {STATE}")
        self.environ = {
            **os.environ,
            "EVENTFOLD_DOMAINS": "flights",
            "KAFKA_BOOTSTRAP_SERVERS": record.plan.bootstrap_servers,
            "REDIS_URL": record.plan.redis_url,
        }

    def run(self, months: str) -> None:
        say("Topics")
        self.eventfold("topics", "create")
        say("Daemons")
        self.start_daemons()
        say(f"Import of 2013, month {months}: commands, decided one by one")
        self.eventfold("flights", "import", "--months", months)
        self.until("the read models have caught up", self.caught_up)
        say("A board: the first departures from JFK on the first of the month")
        first = f"2013-{int(months.split('-')[0].split(',')[0]):02d}-01"
        board = self.output("query", "board", "JFK", "--date", first)
        print("\n".join(board.splitlines()[:13]))
        say("Punctuality by carrier")
        punctuality = self.output("query", "punctuality")
        print(punctuality)
        before = self.digests()
        say("Redis is emptied; the log is all there is")
        stack("empty-redis", "--url", self.environ["REDIS_URL"])
        started = time.monotonic()
        self.until("the read models are folded again", lambda: self.rebuilt() and self.caught_up())
        took = time.monotonic() - started
        after = self.digests()
        print(f"Folded again from offset zero in {took:.1f} s.")
        self.compare(before, after, punctuality)
        say("The page")
        print(f"{self.start_server()}/#/flights/board/JFK/{first} shows that board, .../#/operations how everything does.")
        print("Today's board lives while a busy day is played: .venv/bin/eventfold flights simulate")
        print("Stack and daemons go on running: `make down` stops them, `.venv/bin/eventfold --help` tells what else there is.")

    def compare(self, before: list[dict[str, Any]], after: list[dict[str, Any]], punctuality: str) -> None:
        print(f"{'read model':<16} {'rows':>9}  digest of every byte")
        for old, new in zip(before, after, strict=True):
            same = "equal" if old == new else f"DIFFERENT, before: {old['rows']:,} {old['digest']}"
            print(f"{new['projection']:<16} {new['rows']:>9,}  {new['digest']}  {same}")
        if before != after or self.output("query", "punctuality") != punctuality:
            raise DemoError("the tables differ after the rebuild")

    def start_daemons(self) -> None:
        """Start `eventfold run all`, unless the one of an earlier run still runs."""
        self.start(DAEMONS, "--instance", "demo", "run", "all")
        self.until("the daemons run", self.all_alive)

    def start_server(self) -> str:
        """Start `eventfold serve` at port 8080, or at a free one, unless that of an earlier run still runs; its address."""
        os.environ["EVENTFOLD_OAUTH"] = "off"
        self.start(SERVER, "--instance", "demo", "serve", "--port", str(PORT if is_free(PORT) else 0))
        self.until("the server runs", lambda: address() is not None)
        return address() or ""

    def start(self, name: str, *args: str) -> None:
        """Start a process, unless the one of this name that an earlier run started still runs."""
        found = started(name)
        if found is None or not found.running:
            log = STATE / "logs" / f"{name}.log"
            log.unlink(missing_ok=True)
            os.environ.update(self.environ)
            process = launch([*EVENTFOLD, *args], folder=DEPLOY.parent, log=log)
            record(name).write_text(json.dumps({"pid": process.pid, "started": process.started}))

    def all_alive(self) -> bool:
        found = self.json("status")
        wanted = {"flights.handler@demo", "flights@demo", "board@demo", "punctuality@demo", "aircraft@demo"}
        alive: set[str] = {daemon["name"] for daemon in found if daemon["alive"] and daemon["partitions"]}
        return wanted <= alive

    def caught_up(self) -> bool:
        return not any(part["lag"] for part in self.json("lag"))

    def rebuilt(self) -> bool:
        return self.succeeds("digest") and self.all_alive()

    def digests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("digest")
        return found

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for a condition as long as something moves; DemoError after two minutes in which nothing did."""
        deadline, last = time.monotonic() + DEADLINE_S, ""
        while not holds():
            now = self.output("lag", "--json", check=False)
            if now != last:
                deadline, last = time.monotonic() + DEADLINE_S, now
            if time.monotonic() > deadline:
                raise DemoError(f"after {DEADLINE_S:.0f} s it is still not so that {what}; {LOG} ends with:\n{last_lines(LOG)}")
            time.sleep(POLL_S)

    def eventfold(self, *args: str) -> None:
        if subprocess.run([*EVENTFOLD, *args], env=self.environ, check=False).returncode:
            raise DemoError(f"`eventfold {' '.join(args)}` failed")

    def output(self, *args: str, check: bool = True) -> str:
        done = subprocess.run([*EVENTFOLD, *args], env=self.environ, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise DemoError(f"`eventfold {' '.join(args)}` failed: {done.stderr.strip()}")
        return done.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.output(*args, "--json"))

    def succeeds(self, *args: str) -> bool:
        return subprocess.run([*EVENTFOLD, *args], env=self.environ, capture_output=True, check=False).returncode == 0


def record(name: str) -> Path:
    """Where it stands which process was started under a name."""
    return STATE / f"{name}.json"


def started(name: str) -> Process | None:
    try:
        found = json.loads(record(name).read_text())
        return Process(found["pid"], found["started"])
    except FileNotFoundError:
        return None


def end_daemons() -> None:
    for name in (SERVER, DAEMONS):
        process = started(name)
        if process is not None:
            stop([process], patience=45)
            record(name).unlink()


def address() -> str | None:
    """Where the server answers, once its log says so."""
    log = STATE / "logs" / f"{SERVER}.log"
    found = re.findall(r"event=serves address=(\S+)", log.read_text() if log.exists() else "")
    return found[-1] if found else None


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def stack(*args: str) -> None:
    if subprocess.run([sys.executable, str(DEPLOY / "stack.py"), *args], check=False).returncode:
        raise DemoError(f"the local stack: `{args[0]}` failed")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
