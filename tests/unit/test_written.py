"""What is written can be read: every value that a writer takes comes back, and what does not is refused by its field's name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import orjson
from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventfold.schemas.codec import Codec
from eventfold.schemas.faults import WrongDataError
from eventfold.schemas.forms.kept import kept
from tests.support.avro import catalog_of
from tests.support.json_forms import fitting, records
from tests.support.python_forms import JUNK, forms
from tests.support.soak import SOAK

EXAMPLES = 20_000 if SOAK else 60


def one(*fields: Any) -> Codec:
    with TemporaryDirectory() as folder:
        return Codec(catalog_of(Path(folder), {"Sold.v1": fields}))


def alike(found: Any, expected: Any) -> bool:
    """Equal, and of the same class at every depth: Python takes 1, 1.0 and True for the same."""
    if isinstance(expected, dict):
        same = isinstance(found, dict) and list(found) == list(expected)
        return same and all(alike(found[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        same = isinstance(found, list) and len(found) == len(expected)
        return same and all(map(alike, found, expected))
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    kinds = (int, float, str, bytes, Decimal, type(None))
    return bool(found == expected) and [isinstance(found, of) for of in kinds] == [isinstance(expected, of) for of in kinds]


def test_of_which_types_the_data_holds_neither_lists_nor_objects() -> None:
    two = {"type": "fixed", "name": "Two", "size": 2}
    part = {"type": "record", "name": "Part", "fields": [{"name": "n", "type": "int"}]}
    for kind, flat in [
        ("int", True),
        (["null", two], True),
        ({"type": "map", "values": "int"}, False),
        (["null", {"type": "array", "items": two}], False),
        (["null", part], False),
        ({"type": "array", "items": "int", "logicalType": "other"}, False),
    ]:
        assert one({"name": "it", "type": kind}).flat(["shop.Sold", "shop.Other"]) == ({"shop.Sold"} if flat else set())


# -- every kind of schema ------------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_is_encoded_decodes_to_an_equal_value_and_encodes_to_the_same_bytes(data: st.DataObject) -> None:
    schema = data.draw(records())
    codec = one(*schema["fields"])
    value, read = data.draw(forms(schema))
    encoded = codec.encode("shop.Sold", value)
    found = codec.decode(encoded).data
    assert alike(found, read), (found, read)
    assert codec.encode("shop.Sold", found) == encoded
    assert codec.reader({"shop.Sold": None})(encoded) == ("shop.Sold", found)
    # No dict, so that what is made for dicts is not asked.
    assert codec.encode("shop.Sold", MappingProxyType(value)) == encoded


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_version_that_adds_a_field_reads_what_was_written_before_as_it_was_read_then(data: st.DataObject) -> None:
    """Each value of a union is of the branch that it was written as."""
    schema = data.draw(records())
    with TemporaryDirectory() as folder:
        fields = schema["fields"]
        added = {"name": "added_later", "type": "int", "default": 7}
        codec = Codec(catalog_of(Path(folder), {"Sold.v1": fields, "Sold.v2": [*fields, added]}))
    before = one(*fields)
    encoded = before.encode("shop.Sold", data.draw(forms(schema)).given)
    expected = {**before.decode(encoded).data, "added_later": 7}
    for decode in (codec.decode, codec.reader({"shop.Sold": None})):
        message = decode(encoded)
        assert message is not None and alike(message[1], expected), (message, expected)
        assert codec.encode("shop.Sold", message[1]) == codec.encode("shop.Sold", expected)


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_came_as_json_is_what_is_read(data: st.DataObject) -> None:
    schema = data.draw(records())
    codec = one(*schema["fields"])
    taken = codec.from_json("shop.Sold", data.draw(fitting(schema)))
    encoded = codec.encode("shop.Sold", taken)
    found = codec.decode(encoded).data
    assert '"float"' in json.dumps(schema) or within(found, taken), (found, taken)
    assert codec.encode("shop.Sold", found) == encoded


@given(st.data())
@settings(max_examples=2 * EXAMPLES, deadline=None)
def test_anything_else_is_refused_by_the_name_of_its_field_or_comes_back(data: st.DataObject) -> None:
    schema = data.draw(records())
    codec = one(*schema["fields"])
    value = mutable(data.draw(forms(schema)).given)
    places = list(inside(value))
    if not places:
        return
    of, key = data.draw(st.sampled_from(places))
    of[key] = data.draw(st.sampled_from(JUNK))
    encoded, wrong = encoded_or_faults(codec, value)
    event("refused" if wrong else "taken")
    if wrong:
        orjson.dumps(wrong)
        assert all(field.startswith("/") for field in wrong)
        return
    found = codec.decode(encoded).data
    json.dumps(found, default=str, allow_nan=False)
    assert codec.encode("shop.Sold", found) == encoded
    assert codec.encode("shop.Sold", MappingProxyType(value)) == encoded


def encoded_or_faults(codec: Codec, value: Any) -> tuple[bytes, dict[str, str]]:
    try:
        return codec.encode("shop.Sold", value), {}
    except WrongDataError as error:
        return b"", {fault.field: fault.reason for fault in error.faults}


def within(found: Any, taken: Any) -> bool:
    """Whether found has all that was taken; records have defaults besides."""
    if isinstance(taken, dict):
        return isinstance(found, dict) and all(name in found and within(found[name], of) for name, of in taken.items())
    if isinstance(taken, list):
        return isinstance(found, list) and len(found) == len(taken) and all(map(within, found, taken))
    return alike(found, taken)


def mutable(value: Any) -> Any:
    """The same with lists in place of tuples that are no pairs of a union."""
    if isinstance(value, dict):
        return {key: mutable(of) for key, of in value.items()}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return (value[0], mutable(value[1]))
    return [mutable(of) for of in value] if isinstance(value, list | tuple) else deepcopy(value)


def inside(value: Any) -> Iterator[tuple[Any, Any]]:
    """All places in dicts and lists."""
    if isinstance(value, tuple):
        value = value[1]
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from inside(value[key])


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_a_row_keeps_of_a_message_is_restored(data: st.DataObject) -> None:
    schema = data.draw(records().filter(lambda schema: not vague(schema)))
    codec = one(*schema["fields"])
    encoded = codec.encode("shop.Sold", data.draw(forms(schema)).given)
    found = codec.decode(encoded).data
    row = kept(found)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert alike(codec.restored("shop.Sold", json.loads(json.dumps(row))), found)


def vague(schema: Any) -> bool:
    """Whether there is a union with more than one branch that is not null: JSON may not tell which of them has a value."""
    if isinstance(schema, list):
        return len([of for of in schema if of != "null"]) > 1 or any(map(vague, schema))
    if not isinstance(schema, dict):
        return False
    inside = (*(schema.get(of) for of in ("type", "items", "values")), *(of["type"] for of in schema.get("fields", ())))
    return any(map(vague, inside))
