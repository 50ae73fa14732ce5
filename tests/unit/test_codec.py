"""Avro single-object encoding: round trips, the header's bytes, and nothing but DecodeError for what is not a message."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from eventfold.schemas.catalog import Catalog
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError, UsageError
from eventfold.schemas.framing import MARKER
from tests.support.avro import exact, sample

CATALOG = Catalog.installed(["flights", "accounts"])
TYPES = sorted({schema.type for schema in CATALOG.schemas})


def messages(type_: str, count: int, seed: int = 1) -> list[dict[str, Any]]:
    choice = random.Random(f"{type_}{seed}")
    schema = CATALOG.newest(type_).schema
    return [sample(schema, choice) for _ in range(count)]


def rabin(text: str) -> int:
    """CRC-64-AVRO, bit by bit, as the Avro specification has it."""
    empty = 0xC15D213AA4D7A795
    found = empty
    for byte in text.encode():
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (empty & -(found & 1))
    return found


@pytest.mark.parametrize("type_", TYPES)
def test_every_message_of_the_catalog_comes_back(codec: Codec, type_: str) -> None:
    for data in messages(type_, 50):
        encoded = codec.encode(type_, data)
        assert codec.decode(encoded) == (type_, data)


def test_the_header_is_marker_and_little_endian_fingerprint(codec: Codec) -> None:
    # The first three are published with Avro (share/test/data/schema-tests.txt), the fourth is ours, written by hand.
    assert rabin('"null"') == 7195948357588979594
    assert rabin('"int"') == 8247732601305521295
    assert rabin('"string"') == -8142146995180207161 & (1 << 64) - 1
    canonical = '{"name":"flights.CancelFlight","type":"record","fields":[{"name":"cancelled_at","type":"long"}]}'
    header = b"\xc3\x01" + rabin(canonical).to_bytes(8, "little")
    # 64 is written as a zigzag varint.
    assert codec.encode("flights.CancelFlight", {"cancelled_at": 64}) == header + b"\x80\x01"


def test_times_are_numbers_not_datetimes(codec: Codec) -> None:
    decoded = codec.decode(codec.encode("flights.CancelFlight", {"cancelled_at": 1357034400000}))
    assert decoded.data == {"cancelled_at": 1357034400000}


@pytest.mark.parametrize("type_", TYPES)
def test_what_people_are_shown_is_json_that_can_be_read_back(codec: Codec, type_: str) -> None:
    for data in messages(type_, 50):
        shown = codec.shown(codec.encode(type_, data))
        assert shown.type == type_
        assert codec.from_json(type_, json.loads(json.dumps(shown.data))) == data


def test_people_are_shown_times_and_dates_as_text(codec: Codec) -> None:
    data = {"cancelled_at": 1357034400000}
    assert codec.shown(codec.encode("flights.CancelFlight", data)).data == {"cancelled_at": "2013-01-01T10:00:00Z"}
    header = codec.encode("flights.CancelFlight", data)[:10]
    assert codec.shown(header + b"\xfe" + b"\xff" * 8 + b"\x01").data == {"cancelled_at": 2**63 - 1}


def test_people_are_shown_what_json_lacks_as_text(tmp_path: Path) -> None:
    fields = [
        {"name": "raw", "type": "bytes"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
        {"name": "by", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "on", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "off", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "parts", "type": {"type": "array", "items": {"type": "map", "values": "bytes"}}},
    ]
    (tmp_path / "events").mkdir()
    schema = {"type": "record", "namespace": "shop", "name": "Sold", "fields": fields}
    (tmp_path / "events" / "Sold.v1.avsc").write_text(json.dumps(schema))
    shop, by = Codec(Catalog({"shop": tmp_path})), "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    data = {"raw": b"\x00\xff", "price": Decimal("12.50"), "by": by, "on": 0, "off": None, "parts": [{"a": b"b"}]}
    assert json.loads(json.dumps(shop.shown(shop.encode("shop.Sold", data)).data)) == {
        "raw": "\x00\xff",
        "price": "12.50",
        "by": by,
        "on": "1970-01-01",
        "off": None,
        "parts": [{"a": "b"}],
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "no value"),
        (b"", "0 bytes are too few"),
        (b"\xc3\x01short", "7 bytes are too few"),
        (b'{"json": "not avro"}', "starts with 7b 22, not c3 01"),
        (b"\x00" * 20, "begins with 00, as messages by a schema registry do, and SCHEMA_REGISTRY_URL is not set"),
        (MARKER + b"12345678rest", "fingerprint 3132333435363738"),
    ],
)
def test_foreign_bytes_are_a_decode_error(codec: Codec, value: bytes | None, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        codec.decode(value)


@pytest.mark.parametrize("type_", TYPES)
def test_a_body_cut_anywhere_or_too_long_is_a_decode_error(codec: Codec, type_: str) -> None:
    for data in messages(type_, 5):
        encoded = codec.encode(type_, data)
        for length in range(10, len(encoded)):
            with pytest.raises(DecodeError, match=type_):
                codec.decode(encoded[:length])
        with pytest.raises(DecodeError, match="3 bytes too many"):
            codec.decode(encoded + b"\x00\x00\x00")


def test_mutated_bodies_are_messages_or_decode_errors(codec: Codec) -> None:
    choice = random.Random(20130101)
    whole = [codec.encode(type_, data) for type_ in TYPES for data in messages(type_, 20, seed=2)]
    refused = 0
    for _ in range(20_000):
        body = bytearray(choice.choice(whole))
        for _ in range(choice.randint(1, 8)):
            at = choice.randrange(10, len(body) + 1)
            match choice.randrange(3):
                case 0:
                    body[at : at + 1] = choice.randbytes(1)
                case 1:
                    body[at:at] = choice.randbytes(choice.randint(1, 9))
                case 2:
                    del body[max(10, at - 1) : at]
        try:
            codec.decode(bytes(body))
        except DecodeError:
            refused += 1
    assert 5_000 < refused < 20_000


def test_an_error_says_where_the_record_lies() -> None:
    error = DecodeError("no schema").at("flights.events", 3, 42, b"UA1")
    assert str(error) == "flights.events/3@42 key b'UA1': no schema"
    assert (error.reason, error.offset) == ("no schema", 42)


def test_what_does_not_fit_the_schema_is_a_usage_error(codec: Codec) -> None:
    with pytest.raises(UsageError, match=r"flights\.Nothing.*flights\.CancelFlight"):
        codec.encode("flights.Nothing", {})
    with pytest.raises(UsageError, match="cancelled_at"):
        codec.encode("flights.CancelFlight", {"cancelled_at": "soon"})
    with pytest.raises(UsageError, match="cancelled_at"):
        codec.encode("flights.CancelFlight", {})
    with pytest.raises(UsageError, match="'arival_delay_min'"):
        codec.encode("flights.ArriveFlight", {"arrived_at": 0, "arival_delay_min": 5})


def test_two_messages_do_not_share_a_fingerprint(codec: Codec) -> None:
    headers = {codec.encode(type_, messages(type_, 1)[0])[:10] for type_ in TYPES}
    assert len(headers) == len(TYPES)


@pytest.mark.parametrize(
    ("type_", "field", "number"),
    [
        ("flights.DepartFlight", "departed_at", 10**17),
        ("flights.DepartFlight", "departure_delay_min", 2**31),
        ("flights.ScheduleFlight", "flight_date", 10**8),
        ("flights.ScheduleFlight", "distance_mi", -(2**31) - 1),
    ],
)
def test_a_number_that_avro_or_the_calendar_cannot_hold_is_refused(codec: Codec, type_: str, field: str, number: int) -> None:
    with pytest.raises(UsageError, match=f"'{field}' must lie between"):
        codec.encode(type_, {**messages(type_, 1)[0], field: number})


# -- decimals ------------------------------------------------------------------------------------------------------------


def decimal(precision: int = 18, scale: int = 4) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def priced(tmp_path: Path, of: Any) -> tuple[Codec, Any]:
    """A codec of `shop.Sold`, whose field `price` is of this type, and fastavro's own schema of it, logical types and all."""
    (tmp_path / "events").mkdir(exist_ok=True)
    fields = [{"name": "sku", "type": "string"}, {"name": "price", "type": of}]
    schema: Any = {"type": "record", "namespace": "shop", "name": "Sold", "fields": fields}
    (tmp_path / "events" / "Sold.v1.avsc").write_text(json.dumps(schema))
    return Codec(Catalog({"shop": tmp_path})), fastavro.parse_schema(schema, named_schemas={})


# As Java's BigInteger.toByteArray() has them.
BYTES = {
    0: "00",
    1: "01",
    127: "7f",
    128: "0080",
    255: "00ff",
    256: "0100",
    32767: "7fff",
    32768: "008000",
    -1: "ff",
    -128: "80",
    -129: "ff7f",
    -256: "ff00",
    -32768: "8000",
    -32769: "ff7fff",
    10**18 - 1: "0de0b6b3a763ffff",
    -(10**18) + 1: "f21f494c589c0001",
}


@pytest.mark.parametrize("number", BYTES)
def test_a_decimal_takes_the_fewest_bytes(tmp_path: Path, number: int) -> None:
    codec, _ = priced(tmp_path, decimal())
    price = exact(number, 4)
    value = codec.encode("shop.Sold", {"sku": "", "price": price})
    wanted = bytes.fromhex(BYTES[number])
    assert value[11:] == bytes([2 * len(wanted)]) + wanted
    found = codec.decode(value).data["price"]
    assert (found, str(found)) == (price, str(price))


@pytest.mark.parametrize("of", [decimal(), ["null", decimal()], decimal(18, 0), decimal(9, 9), decimal(38, 2)], ids=str)
def test_fastavro_and_we_read_each_others_decimals(tmp_path: Path, of: Any) -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    choice = random.Random(seed)
    codec, schema = priced(tmp_path, of)
    kind = of[1] if isinstance(of, list) else of
    fitting = [exact(number, kind["scale"]) for number in BYTES if abs(number) < 10 ** kind["precision"]]
    for price in [*fitting, *(sample(kind, choice) for _ in range(300))]:
        value = codec.encode("shop.Sold", {"sku": "a", "price": price})
        read: Any = fastavro.schemaless_reader(BytesIO(value[10:]), schema, None)
        assert read["price"] == price
        body = BytesIO()
        fastavro.schemaless_writer(body, schema, {"sku": "a", "price": price})
        for decode in (codec.decode, codec.reader({"shop.Sold": None})):
            assert decode(value[:10] + body.getvalue()) == ("shop.Sold", {"sku": "a", "price": price})


def test_a_decimal_that_may_be_null(tmp_path: Path) -> None:
    codec, _ = priced(tmp_path, ["null", decimal()])
    value = codec.encode("shop.Sold", {"sku": "a", "price": None})
    assert codec.decode(value).data == {"sku": "a", "price": None}
    assert codec.shown(value).data == {"sku": "a", "price": None}
    assert codec.from_json("shop.Sold", {"sku": "a", "price": None}) == {"sku": "a", "price": None}


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (Decimal("1E14"), r"the field 'price': '1E\+14' has more than 14 digits before the point"),
        (Decimal("1E+999999999"), r"the field 'price': '1E\+999999999' has more than 14 digits before the point"),
        (Decimal("0.00001"), "the field 'price': '0.00001' has more than 4 decimals"),
        (Decimal("1E-999999999"), "the field 'price': '1E-999999999' has more than 4 decimals"),
        (Decimal("NaN"), "the field 'price' NaN is not a decimal number"),
        (Decimal("-Infinity"), "the field 'price' -Infinity is not a decimal number"),
        ("1e3", "the field 'price': '1e3' is not a decimal number"),
        (True, "the field 'price' must be a Decimal, or text like '1.0000', not true"),
        (100, "the field 'price' must be a Decimal, or text like '1.0000', not 100"),
        (1.5, "the field 'price' must be a Decimal, or text like '1.0000', not 1.5"),
        (b"\x01", r"the field 'price' must be a Decimal, or text like '1.0000', not the bytes b'\\x01'"),
        (None, "the field 'price' must be a Decimal, or text like '1.0000', not null"),
    ],
)
def test_what_is_no_such_decimal_is_not_written(tmp_path: Path, number: Any, says: str) -> None:
    codec, _ = priced(tmp_path, decimal())
    with pytest.raises(UsageError, match=f"^shop.Sold: {says}"):
        codec.encode("shop.Sold", {"sku": "a", "price": number})


def test_a_wrong_field_beside_a_decimal_is_the_one_that_is_named(tmp_path: Path) -> None:
    codec, _ = priced(tmp_path, decimal())
    with pytest.raises(UsageError, match=r"^shop.Sold: the field 'sku' must be text, not 7$"):
        codec.encode("shop.Sold", {"sku": 7, "price": "1"})
    with pytest.raises(UsageError, match=r"^shop.Sold: the field 'price' is missing$"):
        codec.encode("shop.Sold", {"sku": "a"})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100.00", 1_000_000),
        ("0", 0),
        ("-0.0", 0),
        ("007", 70_000),
        ("-0.0001", -1),
        ("1.00000", 10_000),
        ("9" * 14, 99999999999999 * 10**4),
    ],
)
def test_a_decimal_of_json_is_text(tmp_path: Path, text: str, number: int) -> None:
    codec, _ = priced(tmp_path, decimal())
    assert codec.from_json("shop.Sold", {"sku": "a", "price": text})["price"] == exact(number, 4)


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "abc",
        "",
        "1.",
        ".5",
        "+1",
        " 1",
        "1 ",
        "1,5",
        "1_000",
        "NaN",
        "-",
        "--1",
        "0x1",
        "\u0661",
        "1.00001",
        "9" * 15,
        "9" * 9999,
    ],
)
def test_what_is_not_an_exact_decimal_is_a_usage_error_that_names_the_field(tmp_path: Path, text: str) -> None:
    codec, _ = priced(tmp_path, decimal())
    with pytest.raises(UsageError, match=r"^shop.Sold: the field 'price': ") as error:
        codec.from_json("shop.Sold", {"sku": "a", "price": text})
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0.0000"), (1, "0.0001"), (-12_500, "-1.2500"), (10**18 - 1, "9" * 14 + ".9999")]
)
def test_a_decimal_is_shown_with_all_its_decimals(tmp_path: Path, number: int, text: str) -> None:
    codec, _ = priced(tmp_path, decimal())
    shown = codec.shown(codec.encode("shop.Sold", {"sku": "a", "price": exact(number, 4)})).data
    assert shown["price"] == text
    assert codec.from_json("shop.Sold", shown)["price"] == exact(number, 4)
