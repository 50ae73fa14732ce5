"""Partitions that its owner adds to a topic of another system: taken where rows can be merged, else refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import partitions
from tests.support.deadline import eventually
from tests.support.orders import MERGED, PARTITIONS, install, ordered, shop_of, write
from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("merged"), source=MERGED)


@pytest.fixture
def shop(open_sandbox: OpenSandbox, whole: str) -> Iterator[Sandbox]:
    with shop_of(open_sandbox, whole) as sandbox:
        yield sandbox


def answered(sandbox: Sandbox, position: str) -> dict[str, Any]:
    """The order 4, once a position is folded."""
    command = ("query", "orders", "O-4", "--after", f"{sandbox.topic('orders.legacy')}/{position}", "--json")
    found: dict[str, Any] = json.loads(eventually(lambda: sandbox.run(*command).stdout, f"{position} is folded", 60))
    return found


def parked(sandbox: Sandbox) -> list[str]:
    return [row["key"] for row in sandbox.json("dead-letters", "list", "--owner", "orders")]


def test_they_are_taken_where_every_row_can_be_merged(shop: Sandbox, merged: str) -> None:
    shop.environ["PYTHONPATH"] = merged
    projector = shop.projector("orders")
    write(shop, 4, ordered("salt"))
    assert answered(shop, "1@0") == {"id": "O-4", "item": "salt", "orders": 1}
    shop.ok("replay", "orders")
    # What is parked there must have somewhere to go.
    partitions.add(shop, PARTITIONS + 1, "orders.legacy")
    assert projector.ended(30) == 1
    assert "orders.dead-letters' has 3 partitions" in projector.log and "give it as many" in projector.log
    partitions.add(shop, PARTITIONS + 2, "orders.dead-letters")
    write(shop, 4, ordered("tea"), partition=PARTITIONS)
    projector = shop.projector("orders")
    assert answered(shop, f"{PARTITIONS}@0") == {"id": "O-4", "item": "tea", "orders": 2}
    # While it runs, too.
    partitions.add(shop, PARTITIONS + 2, "orders.legacy")
    write(shop, 4, ordered("nothing"), partition=PARTITIONS + 1)
    write(shop, 4, ordered("oil"), partition=PARTITIONS)
    eventually(lambda: parked(shop) == ["O-4"], "the newest partition is read", 60)
    assert answered(shop, f"{PARTITIONS}@1")["orders"] == 3
    assert projector.runs
    shop.ok("verify", "orders")
    assert "nothing to go back to" in shop.fails(1, "rollback", "orders")
    shop.ok("replay", "orders")
    assert answered(shop, f"{PARTITIONS}@1")["orders"] == 3


def test_they_are_refused_where_a_row_is_made_of_one_partition_until_it_can_be_merged(shop: Sandbox, merged: str) -> None:
    projector = shop.projector("orders")
    write(shop, 4, ordered("salt"))
    assert answered(shop, "1@0") == {"id": "O-4", "item": "salt", "orders": 1}
    partitions.add(shop, PARTITIONS + 1, "orders.legacy", "orders.dead-letters")
    write(shop, 4, ordered("tea"), partition=PARTITIONS)
    assert projector.ended(30) == 1
    why = "a row of 'orders' can only be made of one: declare a `merge`"
    assert why in projector.log and "Traceback" not in projector.log
    for args in (("run", "projector", "orders"), ("replay", "orders"), ("verify", "orders")):
        assert why in shop.fails(1, *args), args
    assert why in shop.run("doctor").stdout
    shop.environ["PYTHONPATH"] = merged
    assert "does not have the partitions that were added" in shop.fails(1, "verify", "orders")
    shop.ok("replay", "orders")
    shop.projector("orders")
    assert answered(shop, f"{PARTITIONS}@0") == {"id": "O-4", "item": "tea", "orders": 2}
    shop.ok("verify", "orders")


def test_a_row_whose_events_lie_in_two_partitions_is_never_shown_as_half_of_it(shop: Sandbox) -> None:
    """As a topic may be that was given more partitions before anybody folded it."""
    write(shop, 4, ordered("salt"), partition=0)
    write(shop, 4, ordered("tea"), partition=1)
    shop.projector("orders")
    shop.caught_up_by_command("orders")
    assert "has the row 'O-4' of 'orders' in 2 partitions" in shop.fails(1, "query", "orders", "O-4")
