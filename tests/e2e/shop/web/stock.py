"""`stock`: how many of an item are on its shelf."""

from __future__ import annotations

from typing import Any

from eventfold import Event, Param, Projection, Reader, Table

stock = Projection(name="stock", version=1, topics=("shop.events",), tables=(Table(name="stock"),))


@stock.on("shop.ItemStocked")
def stocked(row: dict[str, Any] | None, event: Event) -> dict[str, Any]:
    return {"item": event.key, "count": (row or {"count": 0})["count"] + event.data["count"]}


def item(reader: Reader, id: str) -> dict[str, Any] | None:
    """One item by its name."""
    return reader.get("stock", id)


stock.answers(item, params=[Param(name="id", positional=True, aggregate=True)])

projections = [stock]
