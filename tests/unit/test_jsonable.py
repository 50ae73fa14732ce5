"""What JSON cannot hold is named by its field, wherever rows are made or something is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Message as Record
from starlette.requests import Request

from eventfold.projections.fold import FoldError
from eventfold.projections.in_memory import folded
from eventfold.projections.projection import Projection, Table
from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.event import Event
from eventfold.schemas.jsonable import json_bytes
from eventfold.store.ledgers import written
from eventfold.tools.log.told import told
from eventfold.tools.show import show
from eventfold.web.queries.entity import answered

WRONG = {"id": "a", "lines": [{"text": "x"}, {"photo": {"raw": b"\xff"}}]}
SAYS = "the field 'lines.1.photo.raw' is bytes: JSON cannot hold it"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (WRONG, SAYS),
        ({"id": 2**64}, "the field 'id' is a whole number of more than 64 bits"),
        ({"a": {"b": {3: "c"}}}, "the name 3 in the field 'a.b' is no text"),
        ({3: "c"}, "the name 3 is no text"),
        ({"a": ["\ud800"]}, "the field 'a.0' has characters that are no Unicode text"),
        ({"a": {"\ud800": 1}}, r"the name '\\ud800' in the field 'a' has characters that are no Unicode text"),
        ({"a": ({"b": {1, 2}},)}, "the field 'a.0.b' is of the class set"),
        (b"x", "it is bytes"),
    ],
)
def test_the_first_field_that_json_cannot_hold_is_named(value: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        json_bytes(value)


def test_what_json_can_hold_is_written() -> None:
    assert json.loads(json_bytes({"a": [1, None, "ü"]})) == {"a": [1, None, "ü"]}


def test_a_row() -> None:
    things = Projection(name="things", version=1, topics=("shop.events",), tables=(Table(name="things"),))
    things.on("shop.Sold")(lambda row, event: WRONG)
    with pytest.raises(FoldError, match=SAYS):
        folded(things, [Event("shop.Sold", "a", {}, None)])


def test_an_aggregates_state() -> None:
    with pytest.raises(TypeError, match=r"the field 'state\.lines\.1\.photo\.raw' is bytes"):
        written(1, WRONG)


@pytest.mark.parametrize("as_json", [False, True])
def test_an_answer_on_the_command_line(as_json: bool) -> None:
    with pytest.raises(EventfoldError, match="the answer cannot be shown: the field"):
        show(WRONG, as_json)


def test_an_answer_over_http() -> None:
    with pytest.raises(EventfoldError, match=f"the answer cannot be shown: {SAYS}"):
        answered(Request({"type": "http", "headers": []}), WRONG, {})


def test_a_number_of_very_many_digits_is_shown(tmp_path: Path) -> None:
    """A decimal of 3,000 bytes, as a foreign producer may write it: more digits than Python makes an int's text of."""
    amount = {"type": "bytes", "logicalType": "decimal", "precision": 9000, "scale": 2}
    schema = {"type": "record", "name": "Paid", "namespace": "shop", "fields": [{"name": "amount", "type": amount}]}
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "Paid.v1.avsc").write_text(json.dumps(schema))
    codec = Codec(Catalog({"shop": tmp_path}))
    # The fingerprint of the schema, the length in zigzag (6000), the number.
    value = codec.encode("shop.Paid", {"amount": "1.00"})[:10] + b"\xf0\x2e" + (256**3000 // 3).to_bytes(3000, "big")
    row = told(codec, Record(topic="shop.events", partition=0, offset=7, value=value, headers=[]))
    assert (row["type"], row["position"]) == ("shop.Paid", "shop.events/0@7")
    shown = json.loads(json_bytes(row))["data"]["amount"]
    assert len(shown) > 7_000 and shown[-3] == "."
