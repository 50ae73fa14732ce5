"""Upcasters: what is declared, what they are given, what is refused of what they give; and those of `flights`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eventfold.schemas import plugins
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, EventfoldError, UsageError
from eventfold.schemas.testing import given
from eventfold.schemas.upcasting import Upcaster, upcaster
from eventfold.schemas.writing import written
from tests.support.avro import catalog_of

TEXT = {"name": "sku", "type": "string"}
GRAMS: Any = {"name": "weight_g", "type": "int"}
# Kilograms, their text, and grams since version 3; 2 to 3 is a change of unit, the others are Avro's.
WEIGHT: dict[str, list[Any]] = {
    "Sold.v1": [TEXT, {"name": "weight", "type": "int"}],
    "Sold.v2": [TEXT, {"name": "weight_kg", "type": "int", "aliases": ["weight"]}],
    "Sold.v3": [TEXT, {**GRAMS, "default": 0}],
    "Sold.v4": [{**TEXT, "name": "article", "aliases": ["sku"]}, {**GRAMS, "type": "long", "default": 0}],
    "Sold.v5": [
        {**TEXT, "name": "article", "aliases": ["sku"]},
        {**GRAMS, "type": "double", "default": 0},
        {"name": "n", "type": "int", "default": 1},
    ],
}


@upcaster("shop.Sold", 2)
def grams(data: dict[str, Any]) -> dict[str, Any]:
    assert data.keys() == {"sku", "weight_kg"}
    return {"sku": data["sku"], "weight_g": data.pop("weight_kg") * 1000}


@upcaster("shop.Sold", 4)
def loud(data: dict[str, Any]) -> dict[str, Any]:
    assert data.keys() == {"article", "weight_g"}
    return {**data, "article": data["article"].upper()}


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Catalog]:
    return lambda *upcasters: catalog_of(tmp_path, WEIGHT, upcasters)


def test_each_upcaster_is_given_exactly_its_version_and_avros_rules_do_the_rest(shop: Callable[..., Catalog]) -> None:
    catalog = shop(grams, loud)
    newest = {"article": "A", "weight_g": 3000.0, "n": 1}
    given("shop.Sold", 1, {"sku": "a", "weight": 3}, catalog=catalog).then(newest)
    given("shop.Sold", 2, {"sku": "a", "weight_kg": 3}, catalog=catalog).then(newest)
    given("shop.Sold", 3, {"sku": "a", "weight_g": 3000}, catalog=catalog).then(newest)
    given("shop.Sold", 4, {"article": "a", "weight_g": 3000}, catalog=catalog).then(newest)
    given("shop.Sold", 5, {**newest, "article": "a"}, catalog=catalog).then({**newest, "article": "a"})
    value = written(catalog, "shop.Sold", 1, {"sku": "a", "weight": 3})
    codec = Codec(catalog)
    assert list(codec.decode(value).data) == ["article", "weight_g", "n"]
    assert codec.written(value).version == 1
    assert codec.reader({"shop.Sold": ["n", "weight_g"]})(value) == ("shop.Sold", {"weight_g": 3000.0, "n": 1})
    assert codec.reader({"shop.Other": None})(value) is None


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda data: {}, r"gave no version 3: shop\.Sold: the field 'sku' is missing"),
        (lambda data: {"sku": "a", "weight": 3}, r"gave no version 3: shop\.Sold: the field 'weight' is no field of shop.Sold"),
        (lambda data: {"sku": 7}, r"gave no version 3: shop\.Sold: the field 'sku' must be text, not 7"),
        (lambda data: {"sku": "a", "weight_g": 2**31}, r"gave no version 3: .*'weight_g' must lie between"),
        (lambda data: None, r"gave no version 3: it is None, no dict"),
        (lambda data: data["nothing"], r"failed: KeyError: 'nothing'"),
        (lambda data: 1 // 0, r"failed: ZeroDivisionError"),
    ],
)
def test_what_an_upcaster_gives_must_fit(shop: Callable[..., Catalog], function: Any, says: str) -> None:
    function.__name__ = "broken"
    catalog = shop(Upcaster("shop.Sold", 2, function))
    value = written(catalog, "shop.Sold", 1, {"sku": "a", "weight": 3})
    for decode in (Codec(catalog).decode, Codec(catalog).shown, Codec(catalog).reader({"shop.Sold": ()})):
        with pytest.raises(DecodeError, match=rf"^the upcaster 'broken' of shop\.Sold version 2 {says}"):
            decode(value)


def test_a_cut_body_never_reaches_an_upcaster(shop: Callable[..., Catalog]) -> None:
    value = written(shop(), "shop.Sold", 2, {"sku": "a", "weight_kg": 3})
    codec = Codec(shop(Upcaster("shop.Sold", 2, lambda data: pytest.fail("it was called"))))
    for bad in (value[:-1], value + b"\x00"):
        with pytest.raises(DecodeError, match=r"shop\.Sold version 2"):
            codec.decode(bad)


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (
            [Upcaster("shop.Lost", 1, dict)],
            r"'dict' of shop\.Lost version 1: there is no version 1; no schema is called 'shop\.Lost'",
        ),
        ([Upcaster("shop.Sold", 5, dict)], r"'dict' of shop\.Sold version 5: there is no version 6; there are: 1, 2, 3, 4, 5"),
        ([Upcaster("shop.Sold", 9, dict)], r"there is no version 9"),
        ([grams, Upcaster("shop.Sold", 2, dict)], r"'dict' of shop\.Sold version 2: that version has another one, 'grams'"),
    ],
)
def test_an_upcaster_of_nothing_is_a_usage_error(shop: Callable[..., Catalog], declared: list[Upcaster], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        shop(*declared)


def test_what_is_no_upcaster_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="begins at the version 0"):
        upcaster("shop.Sold", 0)(dict)
    with pytest.raises(UsageError, match="begins at the version '1'"):
        upcaster("shop.Sold", "1")(dict)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"of shop\.Sold version 1 cannot be called: 7"):
        Upcaster("shop.Sold", 1, 7)  # type: ignore[arg-type]


@pytest.mark.parametrize("declared", [[dict], {"a": grams}, ModuleType("upcasters"), grams])
def test_a_domain_that_declares_no_list_of_upcasters_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, declared: Any
) -> None:
    package = ModuleType("shop.schemas")
    package.__file__, package.upcasters = str(tmp_path / "__init__.py"), declared  # type: ignore[attr-defined]
    monkeypatch.setattr(plugins, "load", lambda group, domain: package)
    with pytest.raises(UsageError, match=r"shop\.schemas\.upcasters of the domain 'shop' is no list"):
        Catalog.installed(["shop"])


@pytest.mark.parametrize(
    ("older", "newer", "says"),
    [
        ("timestamp-millis", "timestamp-micros", "'at' is timestamp-micros, but timestamp-millis in Sold.v1.avsc"),
        (("decimal", 2), ("decimal", 4), "'at' is decimal with a scale of 4, but decimal with a scale of 2 in"),
    ],
)
def test_a_unit_that_changes_without_an_upcaster_is_an_error(tmp_path: Path, older: Any, newer: Any, says: str) -> None:
    def of(kind: Any) -> Any:
        if isinstance(kind, str):
            return {"type": "long", "logicalType": kind}
        return {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": kind[1]}

    fields = {
        "Sold.v1": [{"name": "at", "type": ["null", of(older)]}],
        "Sold.v2": [{"name": "at", "type": [of(newer), "null"]}],
    }
    with pytest.raises(EventfoldError, match=f"Sold.v2.avsc: the field {says}.*declare an upcaster"):
        Codec(catalog_of(tmp_path, fields, ()))
    Codec(catalog_of(tmp_path, fields, [Upcaster("shop.Sold", 1, dict)]))


# -- given and then ------------------------------------------------------------------------------------------------------


def test_the_spec_of_an_upcaster_says_what_differs(shop: Callable[..., Catalog]) -> None:
    sold = given("shop.Sold", 2, {"sku": "a", "weight_kg": 3}, catalog=shop(grams))
    sold.then({"article": "a", "weight_g": 3000.0, "n": 1})
    with pytest.raises(AssertionError, match=r"(?s)becomes other data.*- .*3\.0.*\+ .*3000\.0"):
        sold.then({"article": "a", "weight_g": 3.0, "n": 1})
    with pytest.raises(AssertionError, match="can be read"):
        sold.then_fails("anything")
    impure = iter(range(9))
    for function, says in ((lambda data: {"sku": str(next(impure))}, "not pure"), (lambda data: None, "cannot be read")):
        with pytest.raises(AssertionError, match=says):
            given("shop.Sold", 2, {"sku": "a", "weight_kg": 3}, catalog=shop(Upcaster("shop.Sold", 2, function))).then({})
    broken = given("shop.Sold", 2, {"sku": "a", "weight_kg": 3}, catalog=shop(Upcaster("shop.Sold", 2, lambda data: 1 // 0)))
    broken.then_fails("ZeroDivisionError")
    with pytest.raises(AssertionError, match="fails otherwise"):
        broken.then_fails("KeyError")
    with pytest.raises(UsageError, match=r"shop\.Sold has no version 6; there are: 1, 2, 3, 4, 5"):
        given("shop.Sold", 6, {}, catalog=shop(grams))
    with pytest.raises(UsageError, match="'weight_kg' is missing"):
        given("shop.Sold", 2, {"sku": "a"}, catalog=shop(grams))


# -- flights -------------------------------------------------------------------------------------------------------------

FLIGHT = {
    "carrier": "UA",
    "flight_number": 1545,
    "flight_date": 15706,
    "origin": "EWR",
    "destination": "IAH",
    "tail_number": "N14228",
}
ARRIVED = {**FLIGHT, "arrived_at": 1357047000000, "arrival_delay_min": 11}


@pytest.mark.parametrize(("minutes", "seconds"), [(227, 13_620), (0, 0), (None, None)])
def test_the_time_in_the_air_is_in_seconds_now(minutes: int | None, seconds: int | None) -> None:
    given("flights.FlightArrived", 1, {**ARRIVED, "air_time_min": minutes}).then({**ARRIVED, "air_time_s": seconds})


def test_where_a_flight_was_diverted_to_is_unknown_of_old() -> None:
    diverted = {**FLIGHT, "diverted_at": 1357047000000}
    given("flights.FlightDiverted", 1, diverted).then({**diverted, "diverted_to": None})
    given("flights.DivertFlight", 1, {"diverted_at": 5}).then({"diverted_at": 5, "diverted_to": None})


def test_minutes_that_are_too_many_for_seconds_are_the_upcasters_fault() -> None:
    given("flights.FlightArrived", 1, {**ARRIVED, "air_time_min": 2**31 - 1}).then_fails(
        "the upcaster 'air_time_in_seconds' of flights.FlightArrived version 1 gave no version 2"
    )


def test_old_events_are_shown_in_the_newest_form(codec: Codec) -> None:
    value = written(codec.catalog, "flights.FlightArrived", 1, {**ARRIVED, "air_time_min": 2})
    shown = codec.shown(value).data
    assert (shown["arrived_at"], shown["air_time_s"]) == ("2013-01-01T13:30:00Z", 120)
    assert json.loads(json.dumps(shown)) == shown
