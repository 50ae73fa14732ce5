"""Which commands are the same one, sent again: by what they ask for, never by their bytes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventfold.schemas.codec import Codec
from eventfold.schemas.fingerprint import SIZE, Fingerprints
from eventfold.schemas.message import Actor
from eventfold.schemas.writing import written
from tests.support.avro import catalog_of

LINE: dict[str, Any] = {
    "type": "record",
    "name": "Line",
    "fields": [{"name": "sku", "type": "string"}, {"name": "gift", "type": "boolean", "default": False}],
}
V1 = [
    {"name": "sku", "type": "string"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
    {"name": "lines", "type": {"type": "array", "items": LINE}, "default": []},
    {"name": "spare", "type": ["null", "Line"], "default": None},
]
V2 = [*V1, {"name": "note", "type": "string", "default": ""}]
ORDER = {"sku": "a", "price": Decimal("1.50"), "lines": [{"sku": "b", "gift": False}], "spare": None}


@pytest.fixture
def shop(tmp_path: Path) -> Codec:
    return Codec(catalog_of(tmp_path, {"Sold.v1": V1, "Sold.v2": V2}))


def of(codec: Codec, data: dict[str, Any], version: int = 2, **more: Any) -> bytes:
    value = written(codec.catalog, "shop.Sold", version, data)
    asked: dict[str, Any] = {"key": "S-1", "expected_version": None, "actor": None, **more}
    return Fingerprints(codec).of(value, codec.decode(value), **asked)


def test_a_resend_by_a_producer_that_knows_a_newer_version_is_the_same_command(shop: Codec) -> None:
    assert of(shop, ORDER, 1) == of(shop, ORDER | {"note": ""}, 2)
    assert of(shop, ORDER | {"note": "ring twice"}, 2) != of(shop, ORDER, 1)


def test_a_handler_that_learns_a_newer_version_knows_the_same_bytes_again(shop: Codec, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    before = Codec(catalog_of(tmp_path / "before", {"Sold.v1": V1}))
    assert of(before, ORDER, 1) == of(shop, ORDER, 1)


def test_everything_that_is_asked_for_counts(shop: Codec) -> None:
    others = [
        of(shop, ORDER | {"price": Decimal("1.51")}),
        of(shop, ORDER | {"lines": [{"sku": "b", "gift": True}]}),
        of(shop, ORDER | {"lines": []}),
        of(shop, ORDER | {"spare": {"sku": "c", "gift": False}}),
        of(shop, ORDER, key="S-2"),
        of(shop, ORDER, expected_version=0),
        of(shop, ORDER, actor=Actor("x")),
        of(shop, ORDER, actor=Actor("x", "client")),
        of(shop, ORDER, actor=Actor("y")),
    ]
    assert len({of(shop, ORDER), *others}) == 1 + len(others)
    assert {len(each) for each in others} == {SIZE}


def test_it_stays_what_it_is(shop: Codec) -> None:
    """It lies in every log for ever: a change of its form would refuse each resend."""
    assert of(shop, ORDER, expected_version=3, actor=Actor("x", "client")).hex() == "9e804e8e6d6a367239e60274eee2b177"
