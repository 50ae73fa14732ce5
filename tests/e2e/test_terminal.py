"""Whatever command prints it: keys, data, headers and errors of others move no cursor and begin no line of their own."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess

import orjson

from tests.support import log
from tests.support.accounts import event, moved
from tests.support.sandbox import OpenSandbox, Sandbox
from tests.support.terminal import CRAFTED, obeyed

KEY = f"k{CRAFTED}"
CLEAN = "A-1"
EVENT = str(uuid.uuid4())


def write(sandbox: Sandbox) -> None:
    """An account under a crafted key, one with crafted data and headers, an event and a command that nobody can read."""
    for key in (KEY, CLEAN):
        opened = event("AccountOpened", owner=CRAFTED, currency=CRAFTED)
        debited = event("AccountDebited", transfer_id=CRAFTED, to_account=CRAFTED, **moved(100, 0))
        for number, (message, more) in enumerate(((opened, {}), (debited, {"correlation_id": CRAFTED, "source": CRAFTED})), 1):
            id_ = {"id": EVENT} if (key, number) == (CLEAN, 2) else {}
            log.write_event(sandbox, message.type, key, message.data, sequence=number, partition=0, **more, **id_)
    crafted = [("ce_type", CRAFTED.encode()), ("ce_id", CRAFTED.encode()), ("x", CRAFTED.encode())]
    log.write(sandbox, "accounts.commands", KEY, CRAFTED.encode(), crafted, partition=0)
    log.write(sandbox, "accounts.dead-letters", KEY, CRAFTED.encode(), crafted, partition=0)
    body = {
        "role": "projector", "beat": time.time(), "pid": 1, "host": CRAFTED, "partitions": {}, "events": 0, "events_per_s": 0.0,
        "projection": CRAFTED, "stalled": {CRAFTED: CRAFTED}, "trouble": CRAFTED, "too_large": {CRAFTED: CRAFTED},
    }  # fmt: skip
    sandbox.redis.hset(f"{sandbox.prefix}eventfold:daemons", CRAFTED, orjson.dumps(body))


COMMANDS = (
    ("tail", "accounts.events"),
    ("tail", "accounts.refusals"),
    ("tail", CRAFTED),
    ("tail", "accounts.events", "--from", CRAFTED),
    ("query", "accounts", KEY),
    ("query", "accounts", CRAFTED),
    ("query", "statements", KEY),
    ("query", CRAFTED),
    ("history", "accounts", CLEAN),
    ("history", "accounts", CLEAN, "--data"),
    ("event", EVENT),
    ("event", CRAFTED),
    ("dead-letters", "list"),
    ("dead-letters", "show", "accounts.handler", KEY),
    ("dead-letters", "retry", "accounts.handler", KEY),
    ("dead-letters", "discard", "accounts.handler", CRAFTED),
    ("status",),
    ("doctor",),
    ("replay", "accounts", "--key", KEY),
    ("generations", CRAFTED),
    ("forget", CRAFTED),
    ("accounts", "open", CRAFTED, "--owner", CRAFTED, "--currency", CRAFTED),
    ("accounts", "deposit", CLEAN, "1", "--currency", CRAFTED),
    ("publish", CRAFTED, CRAFTED),
    ("import-log", CRAFTED),
    (CRAFTED,),
)
EXACT = (
    ("tail", "accounts.events"),
    ("query", "statements", KEY),
    ("history", "accounts", CLEAN),
    ("event", EVENT),
    ("dead-letters", "list"),
    ("status",),
)


def test_no_command_prints_what_a_terminal_obeys(open_sandbox: OpenSandbox) -> None:
    with open_sandbox(partitions=1, EVENTFOLD_DOMAINS="accounts") as sandbox:
        write(sandbox)
        daemons = [sandbox.handler(domain="accounts"), sandbox.projector("accounts", "statements")]
        sandbox.caught_up("accounts", "statements", "accounts.handler")
        # A handler that takes over would not go on behind it.
        log.write(sandbox, "accounts.refusals", KEY, CRAFTED.encode(), [("ce_type", CRAFTED.encode())], partition=0)

        def run(args: tuple[str, ...]) -> CompletedProcess[str]:
            return sandbox.run(*args)

        with ThreadPoolExecutor(2) as pool:
            printed = dict(zip(COMMANDS, pool.map(run, COMMANDS), strict=True))
            exact = dict(zip(EXACT, pool.map(run, [(*args, "--json") for args in EXACT]), strict=True))
        for args, done in printed.items():
            assert not obeyed(done.stdout + done.stderr), args
            assert "\nFAKE" not in done.stdout + done.stderr and "\n\tok" not in done.stdout + done.stderr, args
            assert "Traceback" not in done.stderr, done.stderr
        # Not because they had nothing to print.
        for args in COMMANDS:
            said = printed[args].stdout + printed[args].stderr
            assert "\\u202e" in said or args[-1] in (EVENT, CLEAN), (args, said)
        for args in (("status",), ("doctor",)):
            assert "its decider keeps too much" in printed[args].stdout + printed[args].stderr
        assert "1 state too large" in printed["status",].stdout
        for args, done in exact.items():
            assert done.returncode == 0, (args, done.stderr)
            parsed = [json.loads(row) for row in done.stdout.splitlines()]
            assert json.dumps(CRAFTED)[1:-1] in json.dumps(parsed), args
        for daemon in daemons:
            daemon.stop()
            assert not obeyed(daemon.log)
