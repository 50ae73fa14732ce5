"""`eventfold aggregate`: the state that a decider decides on."""

from __future__ import annotations

import click

from eventfold.processors.lookup.history import History
from eventfold.processors.lookup.loading import Loaded, Loader
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import UsageError
from eventfold.schemas.position import Position
from eventfold.tools.history_cli import pass_history
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show


@click.command()
@click.argument("domain")
@click.argument("id", metavar="ID")
@click.option("--after", help="Wait until this position (topic/partition@offset) is in it.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait for --after.")
@click.option("--as-of-position", metavar="POSITION", help="As of topic/partition@offset, inclusive; folded from the log.")
@click.option("--as-of-version", type=click.IntRange(0, 10**18), help="As of a version; folded from the log.")
@json_option
@pass_history
@pass_runtime
def aggregate(
    runtime: Runtime,
    history: History,
    domain: str,
    id: str,
    after: str | None,
    timeout: float,
    as_of_position: str | None,
    as_of_version: int | None,
    as_json: bool,
) -> None:
    """Show an aggregate of DOMAIN as its decider sees it: version and state, e.g. for --expect-version.

    As the handler remembers it, or folded from the log. The state may hold personal data.
    """
    points = [point for point in (after, as_of_position, as_of_version) if point is not None]
    if len(points) > 1:
        raise UsageError("--after, --as-of-position and --as-of-version name different points: give one of them")
    loader = Loader(runtime.domain(domain), runtime.redis, runtime.names, history)
    if as_of_position is not None:
        loaded = loader.load_at(id, Position.parse(as_of_position))
    elif as_of_version is not None:
        loaded = loader.load_at(id, as_of_version)
    else:
        loaded = loader.load(id, after=None if after is None else Position.parse(after), timeout_s=timeout)
    show(_row(loaded), as_json)


def _row(loaded: Loaded) -> dict[str, object]:
    position = None if loaded.position is None else str(loaded.position)
    return {"key": loaded.key, "version": loaded.version, "position": position, "state": loaded.state}
