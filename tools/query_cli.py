"""`eventfold query …`, one command a projection, made from its declaration; `eventfold digest`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from eventfold.producers.handed import READERS, handed
from eventfold.projections.digest import digest
from eventfold.projections.past import Point
from eventfold.projections.projection import Projection
from eventfold.projections.queries import Readers
from eventfold.projections.query import Param
from eventfold.schemas.errors import UsageError
from eventfold.schemas.position import Position
from eventfold.schemas.terminal import line, say
from eventfold.schemas.times import millis
from eventfold.store.parked import Aside
from eventfold.tools.show import show

pass_readers = handed(READERS)


class QueryGroup(click.Group):
    """A command for each projection that answers a query."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for name, p in _readers(ctx).projections.items() if p.query is not None)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        projection = _readers(ctx).projections.get(name)
        return None if projection is None or projection.query is None else _command(projection)


query = QueryGroup(
    "query",
    help="Read a read model. What is not there: a message and exit code 1; --after POSITION waits until that is folded.",
)


def _readers(ctx: click.Context) -> Readers:
    readers: Readers = ctx.meta[READERS]()
    return readers


def _command(projection: Projection) -> click.Command:
    declared = projection.query
    assert declared is not None
    params: list[click.Parameter] = [_parameter(param) for param in declared.params]
    params += [
        click.Option(["--after"], multiple=True, help="Wait until this position (topic/partition@offset) is folded."),
        click.Option(["--timeout"], default=10.0, show_default=True, help="Seconds to wait for --after."),
        click.Option(["--generation"], help="Read this generation, e.g. one that is not live yet (eventfold generations)."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    ]

    if declared.aggregate is not None:
        params += _past_options()

    def run(after: tuple[str, ...], timeout: float, generation: str | None, as_json: bool, **given: Any) -> None:
        checked = {param.name: _checked(param, given[param.name.lower()]) for param in declared.params}
        positions = [Position.parse(text) for text in after]
        point = None if declared.aggregate is None else _point(given)
        readers = _readers(click.get_current_context())
        aside = Aside()
        if point is None:
            answer, aside = readers.ask(projection.name, checked, positions, timeout, generation)
        elif positions or generation is not None:
            raise UsageError("--after and --generation are of a read model, and the past is read from the log: leave them out")
        else:
            answer = readers.query_as_of(projection.name, checked, point)
        if declared.paged and not as_json:
            show(answer["entries"], False, declared.columns)
            if answer["next"] is not None:
                say(f"more: --page {answer['next']}", err=True)
        else:
            show(answer, as_json, declared.columns)
        _tell_parked(projection.name, aside)

    return click.Command(projection.name, callback=run, params=params, help=declared.help)


def _tell_parked(name: str, aside: Aside) -> None:
    """What the answer lacks."""
    if aside.mark is not None:
        say(f"its events from {aside.since} on are parked ({aside.mark.count}): {line(aside.mark.error)}", err=True)
    elif aside.keys:
        keys = f"{aside.keys} keys are" if aside.keys > 1 else "1 key is"
        say(f"{keys} parked, and rows lack their events: `eventfold dead-letters list --owner {name}`", err=True)


def _past_options() -> list[click.Parameter]:
    return [
        click.Option(["--as-of"], metavar="TIME", help="As it was at a time: the events that had happened by then (ce_time)."),
        click.Option(["--recorded-as-of"], metavar="TIME", help="As the log knew it at a time: the events it had by then."),
        click.Option(["--as-of-position"], metavar="POSITION", help="As of topic/partition@offset, inclusive."),
        click.Option(["--as-of-version"], type=click.IntRange(1, 10**18), help="As of a version of the aggregate, inclusive."),
    ]


def _point(given: Mapping[str, Any]) -> Point | None:
    """The point of the past that the options name; None when they name none."""
    read: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "as_of": ("happened", millis),
        "recorded_as_of": ("recorded", millis),
        "as_of_position": ("position", Position.parse),
        "as_of_version": ("version", int),
    }
    named = [name for name in read if given[name] is not None]
    if len(named) > 1:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in named)
        raise UsageError(f"{options} name different points of the past: give one of them")
    return Point(**{read[name][0]: read[name][1](given[name]) for name in named}) if named else None


def _parameter(param: Param) -> click.Parameter:
    more: dict[str, Any] = {"required": True} if param.default is None else {"default": param.default}
    if param.choices:
        more["type"] = click.Choice(param.choices)
    if param.positional:
        return click.Argument([param.name], **more)
    return click.Option([f"--{param.name.replace('_', '-')}"], help=param.help, show_default=bool(param.default), **more)


def _checked(param: Param, value: Any) -> Any:
    return value if value is None or param.check is None else param.check(value)


@click.command("digest")
@click.argument("names", nargs=-1, metavar="[PROJECTION]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_readers
def digest_command(readers: Readers, names: tuple[str, ...], as_json: bool) -> None:
    """Digest every row of read models: equal digests, equal tables, whatever order they were written in."""
    for name in names:
        readers.projection(name)
    found = [digest(readers.open(name)) for name in names or sorted(readers.projections)]
    if not found:
        raise UsageError("no projection is installed")
    show(found, as_json)
