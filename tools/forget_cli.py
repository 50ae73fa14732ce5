"""`eventfold forget`: what one daemon made of the log, so that it begins anew."""

from __future__ import annotations

import click

from eventfold.processors.forgetting import forget as forget_owner
from eventfold.processors.runtime import Runtime
from eventfold.schemas.terminal import say
from eventfold.tools.run_cli import json_option, pass_runtime
from eventfold.tools.show import show


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--for-good", is_flag=True, help="Also where the log no longer begins at offset zero, and rows are lost.")
@json_option
@pass_runtime
def forget(runtime: Runtime, name: str, for_good: bool, as_json: bool) -> None:
    """Forget what NAME made of the log: a projection, DOMAIN.handler, or a process manager (transfers.process-manager).

    Its daemon folds the log from the beginning, as after a loss of Redis; a process manager goes through it anew. The log
    itself is not touched.
    """
    forgotten = forget_owner(runtime, name, for_good=for_good)
    if as_json:
        show({"name": name, "forgotten": forgotten}, True)
        return
    for what in forgotten:
        say(f"forgotten: {what}")
    if not forgotten:
        say(f"there is nothing of {name}", err=True)
