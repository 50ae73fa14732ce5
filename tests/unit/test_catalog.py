"""The catalog: every .avsc is found, documented and what its name says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import LogfoldError, UsageError

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


def test_the_flights_and_logfolds_own_messages_are_there() -> None:
    names = ("FlightArrived", "FlightCancelled", "FlightDeparted", "FlightDiverted", "FlightScheduled")
    assert INSTALLED.types("flights", "events") == [f"flights.{name}" for name in names]
    verbs = ("Arrive", "Cancel", "Depart", "Divert", "Schedule")
    assert INSTALLED.types("flights", "commands") == [f"flights.{verb}Flight" for verb in verbs]
    assert INSTALLED.types("logfold", "events") == ["logfold.CommandRefused"]


@pytest.mark.parametrize("schema", INSTALLED.schemas, ids=lambda schema: schema.path.name)
def test_every_message_and_every_field_has_a_doc(schema: Any) -> None:
    assert schema.schema.get("doc", "").strip()
    assert [field["name"] for field in schema.schema["fields"] if not field.get("doc", "").strip()] == []


def test_the_newest_version_is_written_and_every_one_is_read(folder: Path) -> None:
    sku, count = {"name": "sku", "type": "string"}, {"name": "count", "type": "int", "default": 1}
    (folder / "events" / "Sold.v1.avsc").write_text(avsc("Sold", count))
    (folder / "events" / "Sold.v2.avsc").write_text(avsc("Sold", sku, count))
    (folder / "events" / "Sold.v10.avsc").write_text(avsc("Sold", sku))
    assert read(folder).newest("shop.Sold").version == 10
    newest = Codec(read(folder))
    (folder / "events" / "Sold.v10.avsc").unlink()
    older = Codec(read(folder))
    assert newest.decode(older.encode("shop.Sold", {"sku": "a", "count": 2})).data == {"sku": "a", "count": 2}
    assert newest.decode(newest.encode("shop.Sold", {"sku": "a"})).data == {"sku": "a"}


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
    with pytest.raises(LogfoldError, match=f"{file}.*{says}"):
        read(folder)


def test_a_message_that_is_command_and_event_is_an_error(folder: Path) -> None:
    for kind in ("commands", "events"):
        (folder / kind / "Sold.v1.avsc").write_text(avsc("Sold"))
    with pytest.raises(LogfoldError, match=r"shop\.Sold version 1 stands in .*commands"):
        read(folder)


def test_what_is_no_avro_schema_is_an_error_with_its_file(folder: Path) -> None:
    (folder / "events" / "Sold.v1.avsc").write_text(avsc("Sold", {"name": "sku", "type": "strng"}))
    with pytest.raises(LogfoldError, match=r"Sold\.v1\.avsc.*not an Avro schema"):
        Codec(read(folder))
