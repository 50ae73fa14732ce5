"""Records of topics that others write become events: type and key as the projection declares them."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema
import pytest
from confluent_kafka import Message as Record

from eventfold.processors.projector.reading import Keyed, Reading, is_of
from eventfold.projections.foreign import Bare, Foreign
from eventfold.projections.projection import Projection, Table
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.event import Event
from eventfold.schemas.failure import Park, Policy, Retry, Stop
from eventfold.schemas.names import Names
from tests.support.avro import catalog_of

SOLD = "shop.Sold"
V1 = [{"name": "id", "type": "long"}, {"name": "sku", "type": "string"}, {"name": "count", "type": "int"}]
V2 = [*V1, {"name": "note", "type": "string", "default": ""}]


@pytest.fixture
def shop(tmp_path: Path) -> Codec:
    return Codec(catalog_of(tmp_path, {"Sold.v1": V1, "Sold.v2": V2, "Seen.v1": [{"name": "id", "type": "long"}]}))


def body(id_: int, sku: str = "tea", count: int = 1) -> bytes:
    """Of version 1, byte by byte as the Avro specification has it; small numbers alone."""
    return bytes([id_ * 2, len(sku) * 2, *sku.encode(), count * 2])


def long_key(key: bytes | None) -> str:
    assert key is not None
    return str(struct.unpack(">q", key)[0])


def reading(shop: Codec, foreign: Foreign, policy: Policy = Stop()) -> Reading:  # noqa: B008
    projection = Projection(
        name="orders", version=1, topics=("orders",), tables=(Table(name="orders"),), foreign=(foreign,), on_failure=policy
    )
    projection.on(SOLD, reads=("sku", "note"))(lambda row, event: event.data)
    return Reading(projection, shop, Names(prefix="x."))


def record(value: bytes | None, key: bytes | None = b"7", **more: Any) -> Record:
    return Record(**{"topic": "x.orders", "partition": 2, "offset": 40, "key": key, "value": value, **more})


def event(reading: Reading, *records: Record) -> list[Event]:
    return reading.events(reading.taken(records))


def test_a_bare_value_is_of_the_declared_version_and_comes_as_the_newest_with_what_is_read(shop: Codec) -> None:
    sold = record(body(7))
    taken = reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1))).taken([sold])
    found = reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1))).events(taken)
    assert found == [Event(SOLD, "7", {"sku": "tea", "note": ""}, sold)]
    assert str(found[0].position) == "x.orders/2@40"
    with pytest.raises(DecodeError, match="ce_id"):
        _ = found[0].envelope


def test_a_key_is_made_of_the_records_bytes_or_of_the_data(shop: Codec) -> None:
    by_key = reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1), key=long_key))
    raw = struct.pack(">q", 1234)
    (taken,) = by_key.taken([record(body(7), raw)])
    assert (taken.key(), event(by_key, record(body(7), raw))[0].key) == (b"1234", "1234")
    assert is_of(taken, b"1234") and is_of(taken, raw) and not is_of(taken, b"7")
    # `id` is no field that a step reads: the key may be made of any.
    by_data = reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1), data_key=lambda data: f"O-{data['id']}"))
    assert event(by_data, record(body(7), None))[0].key == "O-7"


def test_the_type_may_stand_in_a_header_or_in_the_value(shop: Codec) -> None:
    def typed(of: Any) -> Bare | None:
        name = dict(of.headers() or ()).get("type")
        return None if name is None else Bare(f"shop.{name.decode()}", 1)

    by_header = reading(shop, Foreign(topic="orders", bare=typed))
    sold, seen = record(body(7), headers=[("type", b"Sold")]), record(b"\x02", headers=[("type", b"Seen")])
    assert [of.type for of in event(by_header, sold, seen)] == [SOLD]
    with pytest.raises(DecodeError, match=r"x\.orders/2@40 key b'7': its type cannot be told"):
        event(by_header, record(body(7), headers=[]))
    # What is not folded is not looked at, unless its key is in there.
    assert event(by_header, record(b"", headers=[("type", b"Seen")])) == []
    by_data = reading(shop, Foreign(topic="orders", bare=typed, data_key=lambda data: str(data["id"])))
    with pytest.raises(DecodeError, match=r"the body is not a shop\.Seen"):
        event(by_data, record(b"", headers=[("type", b"Seen")]))
    for by in by_header, by_data:
        with pytest.raises(DecodeError, match=r"no schema is called 'shop\.Lost'"):
            event(by, record(body(7), headers=[("type", b"Lost")]))
    marked = reading(shop, Foreign(topic="orders"))
    assert event(marked, record(shop.encode(SOLD, {"id": 1, "sku": "tea", "count": 1, "note": "n"})))[0].data["note"] == "n"


THEIRS = "com.acme.Order"
BOX = {"type": "record", "name": "Box", "fields": [{"name": "size", "type": "int"}]}


def theirs(fields: list[dict[str, Any]], name: str, data: dict[str, Any]) -> bytes:
    """As they write it: single-object encoding by a schema of their own name, with the fingerprint of that."""
    schema = {"type": "record", "namespace": name.rpartition(".")[0], "name": name.rpartition(".")[2], "fields": fields}
    crc = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO")
    written = BytesIO(b"\xc3\x01" + bytes.fromhex(crc))
    written.seek(10)
    fastavro.schemaless_writer(written, fastavro.parse_schema(schema), data)
    return written.getvalue()


def test_a_single_object_body_may_have_a_record_of_its_owners_name(tmp_path: Path) -> None:
    boxed, noted = [*V1, {"name": "box", "type": BOX}], {"name": "note", "type": "string", "default": ""}
    shop = Codec(catalog_of(tmp_path, {"Sold.v1": boxed, "Sold.v2": [*boxed, noted]}))
    first = theirs(boxed, THEIRS, {"id": 1, "sku": "tea", "count": 2, "box": {"size": 3}})
    second = theirs([*boxed, noted], THEIRS, {"id": 1, "sku": "tea", "count": 2, "box": {"size": 3}, "note": "n"})
    declared = reading(shop, Foreign(topic="orders", types={THEIRS: SOLD}))
    assert [of.data["note"] for of in event(declared, record(first), record(second))] == ["", "n"]
    assert [of.type for of in event(declared, record(first), record(second))] == [SOLD, SOLD]
    # Our own name is read as well; another is none.
    assert event(declared, record(theirs(boxed, SOLD, {"id": 1, "sku": "a", "count": 2, "box": {"size": 3}})))
    for other in (
        reading(shop, Foreign(topic="orders")),
        reading(shop, Foreign(topic="orders", types={"com.acme.Sold": SOLD})),
    ):
        with pytest.raises(DecodeError, match="no schema in the catalog has the fingerprint"):
            event(other, record(first))
    # Nothing of it is known to whoever reads another topic.
    with pytest.raises(DecodeError, match="no schema in the catalog has the fingerprint"):
        shop.decode(first)


def test_what_is_no_event_is_left_out_only_where_it_is_declared(shop: Codec) -> None:
    with pytest.raises(DecodeError, match="the record has no value"):
        event(reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1))), record(None))
    some = Foreign(topic="orders", bare=Bare(SOLD, 1), only=lambda of: of.value() is not None)
    assert reading(shop, some).taken([record(None)]) == []


@pytest.mark.parametrize(
    ("declared", "value", "key", "parked_as", "says"),
    [
        ({}, body(7)[:-1], b"7", b"7", f"the body is not a {SOLD}"),
        ({}, body(7), None, b"", "the record has no key"),
        ({}, body(7), b"\xff", b"\xff", "its key cannot be told: UnicodeDecodeError"),
        ({"key": long_key}, body(7)[:-1], struct.pack(">q", 9), b"9", "the body is not a"),
        ({"key": long_key}, body(7), b"short", b"short", "its key cannot be told: error"),
        ({"only": lambda of: of.value()["no"]}, body(7), b"7", b"7", "whether it is an event cannot be told: TypeError"),
        ({"key": lambda _: 7}, body(7), b"7", b"7", "its key is no text, but 7"),
        ({"data_key": lambda data: data["nothing"]}, body(7), b"7", b"7", "its key cannot be told: KeyError: 'nothing'"),
    ],
)
def test_what_cannot_be_told_is_a_decode_error_and_the_key_as_far_as_it_is_known(
    shop: Codec, declared: dict[str, Any], value: bytes, key: bytes | None, parked_as: bytes, says: str
) -> None:
    by = reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1), **declared))
    taken = by.taken([record(value, key)])
    assert isinstance(taken[0], Keyed) and taken[0].key() == parked_as
    with pytest.raises(DecodeError, match=says) as raised:
        by.events(taken)
    assert raised.value.offset == 40


def test_topics_of_ones_own_stay_as_they_are(shop: Codec) -> None:
    by, own = reading(shop, Foreign(topic="orders", bare=Bare(SOLD, 1))), [record(b"", topic="x.shop.events")]
    assert by.taken(own) is own


def test_a_declaration_that_cannot_be_is_refused(shop: Codec) -> None:
    for bare, says in ((Bare(SOLD, 3), f"{SOLD} has no version 3"), (Bare("shop.Lost", 1), "no schema is called")):
        with pytest.raises(UsageError, match=says):
            reading(shop, Foreign(topic="orders", bare=bare))
    with pytest.raises(UsageError, match=r"no schema is called 'shop\.Lost'"):
        reading(shop, Foreign(topic="orders", types={THEIRS: "shop.Lost"}))
    with pytest.raises(UsageError, match="declares `bare` and `types` of 'orders'"):
        reading(shop, Foreign(topic="orders", types={THEIRS: SOLD}, bare=Bare(SOLD, 1)))
    with pytest.raises(UsageError, match="'other' is none of its topics"):
        reading(shop, Foreign(topic="other"))
    for policy in (Park(), Retry(then=Park())):
        with pytest.raises(UsageError, match="cannot park events of 'orders', whose key is in their data"):
            reading(shop, Foreign(topic="orders", data_key=lambda data: "1"), policy)
