"""`eventfold parcels …`: the commands about one parcel."""

from __future__ import annotations

from typing import Any

import click

from eventfold.producers.cli import TIME, begun, command_options, pass_write_side, submit
from eventfold.producers.write_side import WriteSide


@click.group()
def group() -> None:
    """Post parcels and record what became of them."""


@group.command()
@click.argument("id")
@click.option("--depot", required=True)
@click.option("--weight", type=int, required=True, help="Grams.")
@command_options
@pass_write_side
def post(write_side: WriteSide, id: str, depot: str, weight: int, options: dict[str, Any]) -> None:
    """Take a parcel in at a depot."""
    submit(write_side, "parcels.PostParcel", id, {"depot": depot, "weight_g": weight}, options)


@group.command()
@click.argument("id")
@click.option("--at", type=TIME, help="When; now, if not given.")
@click.option("--signed-by", help="Who took it.")
@command_options
@pass_write_side
def deliver(write_side: WriteSide, id: str, at: int | None, signed_by: str | None, options: dict[str, Any]) -> None:
    """Hand a parcel over to its receiver."""
    at = begun(options, "give --at too") if at is None else at
    submit(write_side, "parcels.DeliverParcel", id, {"delivered_at": at, "signed_by": signed_by}, options, at=at)


@group.command("return")
@click.argument("id")
@click.option("--reason", required=True)
@command_options
@pass_write_side
def return_(write_side: WriteSide, id: str, reason: str, options: dict[str, Any]) -> None:
    """Send a parcel back to where it was posted."""
    submit(write_side, "parcels.ReturnParcel", id, {"reason": reason}, options)
