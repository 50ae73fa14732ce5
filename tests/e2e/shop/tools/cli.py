"""`eventfold shop …`."""

from __future__ import annotations

from typing import Any

import click

from eventfold.producers.cli import command_options, pass_write_side, submit
from eventfold.producers.write_side import WriteSide


@click.group()
def group() -> None:
    """Keep the shelves filled."""


@group.command()
@click.argument("item")
@click.argument("count", type=int)
@command_options
@pass_write_side
def stock(write_side: WriteSide, item: str, count: int, options: dict[str, Any]) -> None:
    """Put COUNT of ITEM on its shelf."""
    submit(write_side, "shop.StockItem", item, {"count": count}, options)
