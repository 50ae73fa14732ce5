"""`eventfold publish`: which key and time a line has, and what a line must be."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from eventfold.kafka.settings import KafkaSettings
from eventfold.producers.write_side import WriteSide
from eventfold.schemas.codec import Codec
from eventfold.schemas.envelope import Envelope
from eventfold.schemas.errors import UsageError
from eventfold.schemas.ids import new_id
from eventfold.store.connection import RedisSettings
from eventfold.tools.publish_cli import _event, _lines
from tests.support.avro import catalog_of

PLACE = {
    "type": "record",
    "name": "acme.Place",
    "fields": [{"name": "id", "type": "int"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}],
}
FIELDS = [{"name": "place", "type": ["null", PLACE]}, {"name": "notes", "type": {"type": "map", "values": "string"}}]
LINE = {"place": {"id": 7, "at": "2013-05-01T10:00:00Z"}, "notes": {"en": "north"}}


@pytest.fixture
def write_side(tmp_path: Path) -> WriteSide:
    """Nothing is sent, so nothing is connected to."""
    catalog = catalog_of(tmp_path, {"Seen.v1": FIELDS})
    redis = RedisSettings.from_environ({}).connect()
    return WriteSide(KafkaSettings.from_environ({}), redis, lambda: Codec(catalog), lambda domain: False)


def envelope(write_side: WriteSide, data: dict[str, Any], key: str, time: str | None = None) -> Envelope:
    return _event(write_side, "shop.Seen", 3, data, key, time, new_id())[0]


def test_key_and_time_may_lie_in_records_inside(write_side: WriteSide) -> None:
    found = envelope(write_side, LINE, "place.id", "place.at")
    assert (found.subject, found.time) == ("7", 1_367_402_400_000)
    assert envelope(write_side, LINE, "notes.en").subject == "north"


@pytest.mark.parametrize(
    ("data", "key", "says"),
    [
        (LINE, "place.no", "line 3: there is no field 'place.no'"),
        (LINE, "no.id", "line 3: there is no field 'no'"),
        (LINE, "place.id.x", "line 3: there is no field 'place.id.x': 'place.id' is 7"),
        ({**LINE, "place": None}, "place.id", "line 3: there is no field 'place.id': 'place' is null"),
        (LINE, "place", "line 3: {'id': 7, .* cannot be a key"),
        (LINE, "place.", "line 3: there is no field 'place.'"),
    ],
)
def test_a_key_that_is_not_there_is_named(write_side: WriteSide, data: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        envelope(write_side, data, key)


def test_a_line_with_a_key_that_stands_twice_is_refused() -> None:
    file = BytesIO(b'{"a": 1, "b": {"a": 2}}\n{"b": [{"a": 1, "\\u0061": 2}]}\n')
    file.name = "birds.jsonl"
    lines = _lines(file)
    assert next(lines) == (1, {"a": 1, "b": {"a": 2}})
    with pytest.raises(UsageError, match=r"birds\.jsonl line 2: not JSON: the key 'a' stands twice in one object"):
        next(lines)


def test_a_line_without_end_is_not_read_to_its_end() -> None:
    file = BytesIO(b'{}\n{"a": "' + bytes(7_000_000))
    file.name = "birds.jsonl"
    lines = _lines(file)
    assert next(lines) == (1, {})
    with pytest.raises(UsageError, match=r"birds\.jsonl line 2: it has more than 6,000,000 bytes"):
        next(lines)
