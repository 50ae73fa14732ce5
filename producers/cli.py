"""What a domain's command-line commands share: options, sending, showing the outcome, exit codes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import click
import orjson

from eventfold.producers.commands import Command
from eventfold.producers.handed import WRITE_SIDE, handed
from eventfold.producers.write_side import WriteSide
from eventfold.schemas.errors import DONE, FAILED, INTERRUPTED, EventfoldError, UsageError
from eventfold.schemas.ids import checked_id, made_at, new_id
from eventfold.schemas.terminal import line, say, say_json
from eventfold.schemas.times import millis
from eventfold.store.outcomes import Outcome, again

SOURCE = "/eventfold/cli"
pass_write_side = handed(WRITE_SIDE)
F = TypeVar("F", bound=Callable[..., Any])


class Interrupted(EventfoldError):
    """Ctrl-C while a command was under way."""

    exit_code = INTERRUPTED


class TimeType(click.ParamType):  # type: ignore[type-arg]
    """An RFC 3339 time, as milliseconds since 1970 UTC; `now` is this moment."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, int):
            return value
        return time.time_ns() // 1_000_000 if value == "now" else millis(value)


TIME = TimeType()


def command_options(f: F) -> F:
    """The options of every command; they arrive as one dict called `options`."""
    options = [
        click.option("--wait/--no-wait", default=True, help="Wait for the outcome, or only until Kafka has the command."),
        click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait for the outcome."),
        click.option("--expect-version", type=click.IntRange(0, 10**18), help="Refuse the command at any other version."),
        click.option("--command-id", help="A UUID; the same id again gives the first outcome and no second event."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    ]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        names = ("wait", "timeout", "expect_version", "command_id", "as_json")
        kwargs["options"] = {name: kwargs.pop(name) for name in names}
        # Made here, so that what the command says of its time can follow from it.
        kwargs["options"]["command_id"] = kwargs["options"]["command_id"] or new_id()
        return f(*args, **kwargs)

    wrapped.__name__ = f.__name__
    wrapped.__doc__ = f.__doc__
    wrapped.__click_params__ = getattr(f, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        option(wrapped)
    return wrapped  # type: ignore[return-value]


def begun(options: Mapping[str, Any], otherwise: str) -> int:
    """When the command was first sent (ms), by its id, so that it asks for the same thing when it is sent again.

    otherwise: what to give beside an id that has no time. UsageError for such an id.
    """
    made = made_at(checked_id(options["command_id"]))
    if made is None:
        raise UsageError(f"--command-id {options['command_id']} tells no time (it is no UUID of version 7): {otherwise}")
    return made


def submit(
    write_side: WriteSide,
    type_: str,
    key: str,
    data: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    at: int | None = None,
    more: Mapping[str, Any] | None = None,
    then: Callable[[Outcome | None], str] | None = None,
) -> None:
    """Send one command, print what became of it and end: 0 accepted (or sent), 1 refused, 3 unknown, 130 interrupted.

    more: fields that the JSON shall hold besides. then: one more line for people, of the outcome, or of None where it was
    not waited for; not after a refusal.
    """
    command = Command(
        type=type_,
        key=key,
        data=data,
        id=checked_id(options["command_id"]),
        time=time.time_ns() // 1_000_000 if at is None else at,
        expected_version=options["expect_version"],
    )
    sender = write_side.sender(SOURCE)
    try:
        if options["wait"]:
            outcome = sender.submit(command, options["timeout"])
            end_with(outcome, options["as_json"], more, then)
        position = sender.post(command).position
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted, command {command.id} may be decided; {again(command.id, command.key)}") from None
    if options["as_json"]:
        say_json(orjson.dumps({"command_id": command.id, "outcome": "sent", "position": str(position), **(more or {})}))
    else:
        say(f"sent as {position}, command {command.id}")
        if then is not None:
            say(then(None))


def end_with(
    outcome: Outcome, as_json: bool, more: Mapping[str, Any] | None = None, then: Callable[[Outcome], str] | None = None
) -> NoReturn:
    """Print an outcome and end: 0 accepted, 1 refused. `more` joins its JSON; people are told `then` once it is accepted."""
    if as_json:
        say_json(orjson.dumps({**outcome.to_json(), **(more or {})}))
    elif outcome.accepted:
        say(f"accepted, version {outcome.version}, {' '.join(map(str, outcome.positions))}")
        if then is not None:
            say(then(outcome))
    else:
        say(f"refused: {line(outcome.message)} ({line(outcome.code)})", err=True)
    sys.exit(DONE if outcome.accepted else FAILED)
