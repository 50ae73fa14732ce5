"""The front door: mounts each room's commands, reads the settings once, builds the connections and hands them in."""

from __future__ import annotations

import io
import logging
import os
import sys
from functools import lru_cache

import click

from eventfold.installation import Installation
from eventfold.kafka.errors import KafkaException, told
from eventfold.kafka.settings import LIBRDKAFKA, KafkaSettings
from eventfold.listed import COMMANDS, Listed
from eventfold.producers import handed
from eventfold.schemas import plugins
from eventfold.schemas.errors import DONE, FAILED, INTERRUPTED, USAGE, EventfoldError, UsageError
from eventfold.schemas.terminal import say
from eventfold.store.connection import RedisError, RedisSettings
from eventfold.store.errors import told as redis_told


class FrontDoor(click.Group):
    """Commands of the rooms, and one group of commands a domain."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in _installation().domain_names if self._domain(name))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or self._domain(name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Listed) else command, rest

    def _domain(self, name: str) -> click.Command | None:
        if name not in _installation().domain_names:
            return None
        commands = plugins.load(plugins.PRODUCERS, name)
        if commands is not None and not isinstance(commands, click.Command):
            raise UsageError(f"{plugins.PRODUCERS}: {name!r} must name a click group")
        return commands


@lru_cache(maxsize=1)
def _installation() -> Installation:
    installation = Installation(os.environ)
    for name in installation.domain_names:
        if name in front_door.commands:
            raise UsageError(f"a domain cannot be called {name!r}: that is a command of eventfold")
    return installation


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eventfold")
@click.option("--instance", help="This daemon's name among its like, stable across restarts (EVENTFOLD_INSTANCE).")
@click.pass_context
def front_door(ctx: click.Context, instance: str | None) -> None:
    """An event-sourced pipeline on Kafka: commands in, events kept for ever, read models that can be rebuilt."""
    if instance:
        os.environ["EVENTFOLD_INSTANCE"] = instance
    installation = _installation()
    ctx.meta[handed.WRITE_SIDE] = lambda: installation.write_side
    ctx.meta[handed.READERS] = lambda: installation.readers
    ctx.meta[handed.RUNTIME] = lambda: installation.runtime
    ctx.meta[handed.HISTORY] = lambda: installation.history
    ctx.meta[handed.SERVE] = lambda: installation.serve


for _command in COMMANDS:
    front_door.add_command(_command)


def main() -> None:
    """Run the command line; whatever goes wrong ends in one sentence on stderr and an exit code."""
    # librdkafka's own lines are for daemons, which log them; a command says what went wrong itself.
    logging.getLogger(LIBRDKAFKA).setLevel(logging.CRITICAL)
    try:
        code = front_door.main(prog_name="eventfold", standalone_mode=False)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        usage, begins, message = f"\n{said.getvalue()}".rstrip().partition("\nError: ")
        say(f"{usage}{begins}{_indented(message)}"[1:], err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", INTERRUPTED)
    except EventfoldError as error:
        _fail(str(error), error.exit_code)
    except KafkaException as error:
        _fail(f"Kafka at {KafkaSettings.from_environ(os.environ).bootstrap}: {told(error)}", FAILED)
    except RedisError as error:
        _fail(redis_told(error, RedisSettings.from_environ(os.environ).connect()), FAILED)
    except UnicodeEncodeError as error:
        _fail(f"{error.object!r} is not Unicode text", USAGE)
    except BrokenPipeError:
        # Whoever read our output has seen enough; stdout must not be flushed into the broken pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else DONE)


def _fail(message: str, code: int) -> None:
    say(f"eventfold: {_indented(message)}", err=True)
    sys.exit(code)


def _indented(message: str) -> str:
    """What others sent may stand in a message, and no line of that is to look like one of ours."""
    return "\n  ".join(message.split("\n"))
