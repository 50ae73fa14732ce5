"""`logfold query …`, one command a projection, made from its declaration; `logfold digest`."""

from __future__ import annotations

from typing import Any

import click

from projections.digest import digest
from projections.projection import Param, Projection
from projections.reader import Readers
from projections.show import show
from schemas.errors import UsageError
from schemas.position import Position

META = "logfold.projections"
pass_readers = click.decorators.pass_meta_key(META)


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
    readers: Readers = ctx.meta[META]
    return readers


def _command(projection: Projection) -> click.Command:
    declared = projection.query
    assert declared is not None
    params: list[click.Parameter] = [_parameter(param) for param in declared.params]
    params += [
        click.Option(["--after"], multiple=True, help="Wait until this position (topic/partition@offset) is folded."),
        click.Option(["--timeout"], default=10.0, show_default=True, help="Seconds to wait for --after."),
        click.Option(["--generation"], help="Read this generation, e.g. one that is not live yet (logfold generations)."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    ]

    def run(after: tuple[str, ...], timeout: float, generation: str | None, as_json: bool, **given: Any) -> None:
        checked = {param.name: _checked(param, given[param.name.lower()]) for param in declared.params}
        positions = [Position.parse(text) for text in after]
        answer = _readers(click.get_current_context()).query(projection.name, checked, positions, timeout, generation)
        show(answer, as_json, declared.columns)

    return click.Command(projection.name, callback=run, params=params, help=declared.help)


def _parameter(param: Param) -> click.Parameter:
    more: dict[str, Any] = {"required": True} if param.default is None else {"default": param.default}
    if param.choices:
        more["type"] = click.Choice(param.choices)
    if param.positional:
        return click.Argument([param.name], **more)
    return click.Option([f"--{param.name.replace('_', '-')}"], help=param.help, show_default=True, **more)


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
