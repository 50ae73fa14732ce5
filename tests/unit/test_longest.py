"""Texts, bytes, lists and maps are at most as long as their type declares; what was written longer before stays readable."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from eventfold.schemas.catalog import Catalog, read_schema
from eventfold.schemas.codec import Codec
from eventfold.schemas.compatibility.released import Released, hash_of
from eventfold.schemas.faults import WrongDataError
from eventfold.schemas.json_schema import json_schema
from eventfold.schemas.legal import IllegalSchemaError
from eventfold.schemas.longest import LONGEST
from eventfold.schemas.writing import written
from tests.support.avro import catalog_of

TEXT = {"type": "string", "maxLength": 3}
BYTES = {"type": "bytes", "maxLength": 3}
LIST = {"type": "array", "items": "int", "maxItems": 3}
MAP = {"type": "map", "values": "int", "maxItems": 3}
MANY = {"type": "string", "maxLength": 2 * LONGEST}
_FORM: Any = {"sort_keys": True, "separators": (",", ":")}
BOX = {"type": "record", "name": "Box", "fields": [{"name": "in", "type": TEXT}]}


def entries(count: int) -> dict[str, int]:
    return {str(number): 1 for number in range(count)}


def codec_of(folder: Path, kind: Any) -> Codec:
    return Codec(catalog_of(folder, {"Sold.v1": [{"name": "it", "type": kind}]}))


@pytest.mark.parametrize(
    ("kind", "fits", "long", "says"),
    [
        (TEXT, "abc", "abcd", "the field 'it' must have at most 3 characters, and has 4"),
        (TEXT, "\U0001f6eb" * 3, "\U0001f6eb" * 4, "the field 'it' must have at most 3 characters, and has 4"),
        (["null", TEXT], "abc", "abcd", "the field 'it' must have at most 3 characters, and has 4"),
        (["null", "int", TEXT], "abc", "abcd", "the field 'it' must have at most 3 characters, and has 4"),
        (BYTES, b"abc", b"abcd", "the field 'it' must have at most 3 bytes, and has 4"),
        (LIST, [1, 2, 3], [1, 2, 3, 4], "the field 'it' must have at most 3 items, and has 4"),
        (MAP, entries(3), entries(4), "the field 'it' must have at most 3 items, and has 4"),
        (BOX, {"in": "abc"}, {"in": "abcd"}, "the field 'it/in' must have at most 3 characters, and has 4"),
        ({"type": "array", "items": TEXT}, ["abc"], ["", "abcd"], "the field 'it/1' must have at most 3 characters, and has 4"),
        (
            {"type": "map", "values": TEXT},
            {"a": "abc"},
            {"a": "abcd"},
            "the field 'it/a' must have at most 3 characters, and has 4",
        ),
        ("string", "a" * LONGEST, "a" * (LONGEST + 1), "the field 'it' must have at most 65,536 characters, and has 65,537"),
        ("bytes", b"a" * LONGEST, b"a" * (LONGEST + 1), "the field 'it' must have at most 65,536 bytes, and has 65,537"),
        (
            {"type": "array", "items": "int"},
            [1] * LONGEST,
            [1] * (LONGEST + 1),
            "the field 'it' must have at most 65,536 items, and has 65,537",
        ),
        (
            {"type": "map", "values": "int"},
            {"k" * LONGEST: 1},
            {"k" * (LONGEST + 1): 1},
            "' has a name of 65,537 characters, and 65,536 are the most",
        ),
        (MANY, "a" * 2 * LONGEST, "a" * (2 * LONGEST + 1), "must have at most 131,072 characters, and has 131,073"),
    ],
)
def test_a_writer_and_json_and_its_schema_take_the_same_length(
    tmp_path: Path, kind: Any, fits: Any, long: Any, says: str
) -> None:
    codec = codec_of(tmp_path, kind)
    assert codec.decode(codec.encode("shop.Sold", {"it": fits})).data == {"it": fits}
    checked = Draft202012Validator(json_schema(codec.catalog.newest("shop.Sold")))
    right, wrong = ({"it": value.decode() if isinstance(value, bytes) else value} for value in (fits, long))
    assert (checked.is_valid(right), checked.is_valid(wrong)) == (True, False)
    assert codec.from_json("shop.Sold", right) == {"it": fits}
    for refused in (lambda: codec.from_json("shop.Sold", wrong), lambda: codec.encode("shop.Sold", {"it": long})):
        with pytest.raises(WrongDataError) as error:
            refused()
        assert says in str(error.value)


@pytest.mark.parametrize(
    ("kind", "long"), [(TEXT, "abcd"), (BYTES, b"abcd"), (LIST, [1] * 4), (MAP, entries(4)), ("string", "a" * 99_999)]
)
def test_what_was_written_longer_before_is_read_and_can_be_brought_to_a_newer_version(
    tmp_path: Path, kind: Any, long: Any
) -> None:
    added = {"name": "more", "type": "int", "default": 1}
    of = [{"name": "it", "type": kind}]
    catalog = catalog_of(tmp_path, {"Sold.v1": of, "Sold.v2": [*of, added]})
    value = written(catalog, "shop.Sold", 1, {"it": long}, as_written=True)
    assert Codec(catalog).decode(value).data == {"it": long, "more": 1}


def test_a_limit_may_be_declared_after_the_release(tmp_path: Path) -> None:
    def hashed(kind: Any) -> str:
        catalog_of(tmp_path, {"Sold.v1": [{"name": "it", "type": kind}]})
        return hash_of(read_schema("shop", "events", tmp_path / "events" / "Sold.v1.avsc"))

    assert hashed("string") == hashed({"type": "string"}) == hashed(TEXT) == hashed({**TEXT, "maxLength": 4})
    assert hashed({"type": "string"}) != hashed({"type": "bytes"})


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"type": {"type": "int", "maxLength": 3}}, "what is int has no maxLength"),
        ({"type": {"type": "string", "maxItems": 3}}, "what is string has no maxItems"),
        ({"type": {"type": "array", "items": "int", "maxLength": 3}}, "what is array has no maxLength"),
        ({"type": {"type": "string", "logicalType": "uuid", "maxLength": 3}}, "what is uuid has no maxLength"),
        ({"type": {"type": "string", "maxLength": "3"}}, "its maxLength must be a whole number, not '3'"),
        ({"type": {"type": "string", "maxLength": -1}}, "its maxLength must be a whole number, not -1"),
        ({"type": "string", "maxLength": 3}, "its maxLength stands beside its type: write it into the type"),
        ({"type": TEXT, "default": "abcd"}, "its default is none of its type: 'abcd'"),
    ],
)
def test_a_limit_that_means_nothing_is_illegal(tmp_path: Path, field: dict[str, Any], says: str) -> None:
    (tmp_path / "events").mkdir()
    schema = {"type": "record", "namespace": "shop", "name": "Sold", "fields": [{"name": "it", **field}]}
    (tmp_path / "events" / "Sold.v1.avsc").write_text(json.dumps(schema))
    with pytest.raises(IllegalSchemaError, match="the field 'it': ") as error:
        Catalog({"shop": tmp_path})
    assert says in str(error.value)


@pytest.mark.parametrize("before", ["string", {"type": "string"}])
def test_a_list_of_released_versions_from_before_limits_takes_them(tmp_path: Path, before: Any) -> None:
    def problems(kind: Any) -> list[str]:
        (message,) = catalog_of(tmp_path, {"Sold.v1": [{"name": "it", "type": kind}]}).schemas
        released = Released(tmp_path, {"events/Sold.v1": sha256(json.dumps(was, **_FORM).encode()).hexdigest()}, [])
        return [problem.says for problem in released.check([message])]

    was = {"type": "record", "namespace": "shop", "name": "Sold", "fields": [{"name": "it", "type": before}]}
    assert problems(before) == problems(TEXT) == []
    assert problems({"type": "bytes", "maxLength": 3}) != []
