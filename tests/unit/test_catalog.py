"""The catalog: every .avsc is found, and is what its name says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import EventfoldError, UsageError

INSTALLED = Catalog.installed(["flights", "accounts"])


def avsc(name: str, *fields: dict[str, Any], namespace: str = "shop") -> str:
    return json.dumps({"type": "record", "namespace": namespace, "name": name, "fields": list(fields)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("commands", "events"):
        (tmp_path / kind).mkdir()
    return tmp_path


def read(folder: Path) -> Catalog:
    return Catalog({"shop": folder})


def test_the_flights_and_eventfolds_own_messages_are_there() -> None:
    names = ("FlightArrived", "FlightCancelled", "FlightDeparted", "FlightDiverted", "FlightScheduled")
    assert INSTALLED.types("flights", "events") == [f"flights.{name}" for name in names]
    verbs = ("Arrive", "Cancel", "Depart", "Divert", "Schedule")
    assert INSTALLED.types("flights", "commands") == [f"flights.{verb}Flight" for verb in verbs]
    assert INSTALLED.types("eventfold", "events") == ["eventfold.CommandRefused"]


def test_the_newest_version_is_written_and_every_one_becomes_it(folder: Path) -> None:
    sku, count = {"name": "sku", "type": "string"}, {"name": "count", "type": "int", "default": 1}
    (folder / "events" / "Sold.v1.avsc").write_text(avsc("Sold", sku))
    (folder / "events" / "Sold.v2.avsc").write_text(avsc("Sold", sku, {"name": "gift", "type": "boolean", "default": False}))
    older = [Codec(read(folder)).encode("shop.Sold", {"sku": "a", "gift": True})]
    (folder / "events" / "Sold.v2.avsc").rename(folder / "kept")
    older.append(Codec(read(folder)).encode("shop.Sold", {"sku": "a"}))
    (folder / "kept").rename(folder / "events" / "Sold.v2.avsc")
    (folder / "events" / "Sold.v10.avsc").write_text(avsc("Sold", count, sku))
    catalog = read(folder)
    assert catalog.newest("shop.Sold").version == 10
    assert [schema.version for schema in catalog.versions("shop.Sold")] == [1, 2, 10]
    codec = Codec(catalog)
    for value in older:
        assert list(codec.decode(value).data.items()) == [("count", 1), ("sku", "a")]
    assert [codec.written(value).version for value in older] == [2, 1]
    assert codec.written(codec.encode("shop.Sold", {"sku": "b"})).version == 10


def test_two_versions_that_no_header_tells_apart_are_an_error(folder: Path) -> None:
    (folder / "events" / "Sold.v1.avsc").write_text(avsc("Sold", {"name": "sku", "type": "string"}))
    (folder / "events" / "Sold.v2.avsc").write_text(avsc("Sold", {"name": "sku", "type": "string", "default": ""}))
    with pytest.raises(EventfoldError, match=r"Sold\.v2\.avsc and .*Sold\.v1\.avsc have the same fingerprint"):
        Codec(read(folder))


def test_an_unknown_type_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"flights\.Nothing.*flights\.FlightArrived"):
        INSTALLED.newest("flights.Nothing")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("Sold.avsc", avsc("Sold"), "a schema's file is called"),
        ("Sold.v0.avsc", avsc("Sold"), "a schema's file is called"),
        ("Sold.v1.avsc", "{", "not JSON"),
        ("Sold.v1.avsc", avsc("Bought"), "must hold a record called 'Sold'"),
        ("Sold.v1.avsc", '{"type": "enum", "name": "Sold", "symbols": ["A"]}', "must hold a record called 'Sold'"),
        ("Sold.v1.avsc", avsc("Sold", namespace="other"), "the namespace must be the domain, 'shop'"),
    ],
)
def test_a_bad_file_is_an_error_with_its_name(folder: Path, file: str, text: str, says: str) -> None:
    (folder / "events" / file).write_text(text)
    with pytest.raises(EventfoldError, match=f"{file}.*{says}"):
        read(folder)


def test_a_message_that_is_command_and_event_is_an_error(folder: Path) -> None:
    for kind in ("commands", "events"):
        (folder / kind / "Sold.v1.avsc").write_text(avsc("Sold"))
    with pytest.raises(EventfoldError, match=r"shop\.Sold version 1 stands in .*commands"):
        read(folder)


def test_what_is_no_avro_schema_is_an_error_with_its_file(folder: Path) -> None:
    (folder / "events" / "Sold.v1.avsc").write_text(avsc("Sold", {"name": "sku", "type": "strng"}))
    with pytest.raises(EventfoldError, match=r"Sold\.v1\.avsc: the field 'sku': the type 'shop\.strng' is not defined"):
        read(folder)
