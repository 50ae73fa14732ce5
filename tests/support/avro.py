"""Values of Avro schemas, made at random, and catalogs made for a test."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.upcasting import Upcaster


def sample(schema: Any, choice: random.Random) -> Any:  # noqa: C901
    """A value of a schema."""
    if isinstance(schema, list):
        return sample(choice.choice(schema), choice)
    if isinstance(schema, dict) and schema["type"] == "record":
        return {field["name"]: sample(field["type"], choice) for field in schema["fields"]}
    kind = schema.get("logicalType", schema["type"]) if isinstance(schema, dict) else schema
    match kind:
        case "decimal":
            return _decimal(schema["precision"], schema.get("scale", 0), choice)
        case "uuid":
            return str(uuid.UUID(int=choice.getrandbits(128)))
        case "null":
            return None
        case "boolean":
            return choice.random() < 0.5
        case "date":
            return choice.randint(-719_162, 2_932_896)
        case "timestamp-millis":
            return choice.randint(-62_135_596_800_000, 253_402_300_799_999)
        case "int":
            return choice.randint(-(2**31), 2**31 - 1)
        case "long":
            return choice.randint(-(2**63), 2**63 - 1)
        case "string":
            return "".join(choice.choices("abcXYZ 0129\u00e9\u4e2d\U0001f6eb", k=choice.randrange(20)))
    raise AssertionError(f"no samples of {schema}: add them")


def _decimal(precision: int, scale: int, choice: random.Random) -> Decimal:
    return exact(choice.choice((1, -1)) * choice.randrange(10 ** choice.randint(1, precision)), scale)


def exact(unscaled: int, scale: int) -> Decimal:
    """A decimal with all its digits, however many."""
    return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))


def undecimal(data: Mapping[str, Any], scales: Mapping[str, int]) -> dict[str, Any]:
    """The data with decimals of these scales in place of bytes."""
    return {
        name: exact(int.from_bytes(of, signed=True), scales[name]) if isinstance(of, bytes) else of for name, of in data.items()
    }


def catalog_of(folder: Path, files: Mapping[str, Sequence[Mapping[str, Any]]], upcasters: Sequence[Upcaster] = ()) -> Catalog:
    """A catalog of `shop`: events by their files' names, `Sold.v1`, with the fields of each."""
    (folder / "events").mkdir(parents=True, exist_ok=True)
    for name, fields in files.items():
        schema = {"type": "record", "namespace": "shop", "name": name.partition(".")[0], "fields": list(fields)}
        (folder / "events" / f"{name}.avsc").write_text(json.dumps(schema))
    return Catalog({"shop": folder}, upcasters)
