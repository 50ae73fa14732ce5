"""`eventfold outcome`: what became of a command, asked for by its id and its aggregate's."""

from __future__ import annotations

import click

from eventfold.processors.lookup.outcome_finder import OutcomeFinder
from eventfold.processors.runtime import Runtime
from eventfold.producers.cli import end_with
from eventfold.tools.run_cli import json_option, pass_runtime


@click.command()
@click.argument("id", metavar="ID")
@click.option("--key", required=True, metavar="KEY", help="The id of the aggregate that it was sent to.")
@click.option("--internal", is_flag=True, help="A command that a process manager sent.")
@click.option("--domain", help="Look only there; by default in every enabled domain that decides.")
@click.option("--wait/--no-wait", default=False, help="Wait until it is decided.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait, with --wait.")
@json_option
@pass_runtime
def outcome(
    runtime: Runtime, id: str, key: str, internal: bool, domain: str | None, wait: bool, timeout: float, as_json: bool
) -> None:
    """Tell what became of the command ID (a UUID) to the aggregate KEY.

    Exit code 0 accepted, 1 refused, 3 when nothing is known of it.

    Answers for at least eight days after the decision, whether the handler runs or not.
    """
    found = OutcomeFinder(runtime).outcome(id, key, domain, timeout if wait else 0, internal=internal)
    end_with(found.outcome, as_json)
