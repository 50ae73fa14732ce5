"""JSON from outside: the values that orjson reads, and no key twice."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventfold.schemas.json_text import parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=20,
)


@given(VALUES)
def test_it_reads_what_was_written(value: Any) -> None:
    for text in (orjson.dumps(value), json.dumps(value, indent=1)):
        assert parse_json(text) == value


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[[{"x": {"a": 1, "\\u0061": null}}]]', b'{"a":1,"b":2,"a":3}'])
def test_a_key_twice_in_one_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="the key 'a' stands twice in one object"):
        parse_json(text)
    assert orjson.loads(text), "and orjson takes the last one"


def test_one_key_in_many_objects_and_numbers_of_any_length_are_read() -> None:
    assert parse_json('[{"a": {"a": 1}}, {"a": 2}, {}]') == [{"a": {"a": 1}}, {"a": 2}, {}]
    assert parse_json("[" + "9" * 5000 + "." + "9" * 5000 + "e-5000]")


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", '"\\ud800"', b"\xff", b'{"a": "\xff"}', "[" * 990 + "]" * 990, "[" * 9999]
)
def test_all_else_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)
