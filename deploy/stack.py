"""The local stack without Docker: Apache Kafka, Redis and, if asked for, a schema registry as processes of one state folder.

Progress and errors go to standard error, answers to standard output. Exit codes: 0 done, 1 failed or
refused or not up, 2 usage, 130 and 143 interrupted by SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import stack_redis
from stack_lifecycle import Stack
from stack_plan import StackError, Wish, own_folder
from stack_record import Record, load
from stack_signals import Interrupted, Signals

REPOSITORY = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser(os.environ).parse_args(arguments)
    signals = Signals()
    stack = Stack(
        state=given.state.expanduser().absolute(),
        libs=REPOSITORY / ".eventfold" / "kafka-libs",
        registry_libs=REPOSITORY / ".eventfold" / "registry-libs",
        pom=REPOSITORY / "deploy" / "pom.xml",
        say=lambda text: print(text, file=sys.stderr, flush=True),
        signals=signals,
    )
    command: Callable[[Stack, argparse.Namespace], int] = given.command
    try:
        signals.catch()
        return command(stack, given)
    except StackError as error:
        stack.say(str(error))
    except OSError as error:
        # A full disk, a folder of another user: the system's own words name the file and the reason.
        stack.say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except ImportError as error:
        stack.say(f"{error}: use the Python that has eventfold's libraries (`make install` puts it in .venv).")
    except Interrupted as interrupted:
        stack.say("Interrupted.")
        return interrupted.exit_code
    return 1


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        default=Path(environment.get("EVENTFOLD_STACK") or REPOSITORY / ".eventfold" / "stack"),
        help="the stack's folder (or EVENTFOLD_STACK; default: .eventfold/stack of the checkout)",
    )
    whole = argparse.ArgumentParser(prog="stack.py", description=(__doc__ or "").partition("\n")[0])
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[Stack, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[common], help=text, description=text)
        made.set_defaults(command=command)
        return made

    starting = add("up", up, "start what is missing, and wait until all of it answers")
    starting.add_argument("--brokers", type=int, choices=(1, 3), help="how many Kafka brokers (default: 1)")
    starting.add_argument(
        "--registry",
        action="store_true",
        default=None,
        help="with a schema registry of Confluent's API; a running stack gets one beside it, and keeps it until `clean`",
    )
    for name, default in (("kafka", 9092), ("redis", 6379), ("registry", 8081)):
        variable = f"{name.upper()}_PORT"
        starting.add_argument(
            f"--{name}-port",
            type=int,
            metavar="PORT",
            # argparse converts a default that is text, so a bad value is a usage error too.
            default=environment.get(variable) or None,
            help=f"(or {variable}; default: {default})",
        )
    add("down", down, "end what `up` started; the data stays")
    add("clean", clean, "end what `up` started, and delete its data")
    add("status", status, "print what runs, as JSON; exit code 0 if all of it answers")
    add("env", env, "print the addresses, as `export` lines for a shell")
    emptying = add("empty-redis", empty_redis, "delete every key of the stack's own Redis, and of no other")
    emptying.add_argument("--url", help="empty this Redis; refused unless it is the stack's own")
    return whole


def up(stack: Stack, given: argparse.Namespace) -> int:
    wish = Wish(
        brokers=given.brokers,
        kafka_port=given.kafka_port,
        redis_port=given.redis_port,
        registry=given.registry,
        registry_port=given.registry_port,
    )
    print(stack.up(wish))
    return 0


def down(stack: Stack, _given: argparse.Namespace) -> int:
    print(stack.down())
    return 0


def clean(stack: Stack, _given: argparse.Namespace) -> int:
    print(stack.clean())
    return 0


def status(stack: Stack, _given: argparse.Namespace) -> int:
    record = known(stack)
    processes = {
        name: {
            "pid": record.running[name].pid if name in record.running else None,
            "ports": record.plan.ports(name),
            "answers": stack.answers(record, name),
        }
        for name in record.plan.names
    }
    content = {
        "state": str(stack.state),
        "brokers": record.plan.brokers,
        "bootstrap_servers": record.plan.bootstrap_servers,
        "redis_url": record.plan.redis_url,
        "registry_url": record.plan.registry_url,
        "cluster_id": record.cluster_id,
        "processes": processes,
    }
    print(json.dumps(content, indent=2))
    return 0 if all(each["answers"] for each in processes.values()) else 1


def env(stack: Stack, _given: argparse.Namespace) -> int:
    plan = known(stack).plan
    servers, url = shlex.quote(plan.bootstrap_servers), shlex.quote(plan.redis_url)
    registry = f" SCHEMA_REGISTRY_URL={shlex.quote(plan.registry_url)}" if plan.registry_url else ""
    print(f"export KAFKA_BOOTSTRAP_SERVERS={servers} REDIS_URL={url}{registry}")
    return 0


def empty_redis(stack: Stack, given: argparse.Namespace) -> int:
    record = known(stack)
    process = record.running.get("redis")
    if process is None:
        raise StackError("The stack's Redis does not run: start it with `make up`.")
    url = given.url or record.plan.redis_url
    stack_redis.empty(url, record.plan, process, own_folder(stack.state, "redis"))
    print(f"Empty: {record.plan.redis_url}.")
    return 0


def known(stack: Stack) -> Record:
    """The folder's record; StackError if `up` was never called there."""
    record = load(stack.state)
    if record is None:
        raise StackError(f"No stack in {stack.state}: start it with `make up`.")
    return record


if __name__ == "__main__":
    sys.exit(main())
