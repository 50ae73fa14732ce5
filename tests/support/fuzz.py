"""Feeds a decoder what is no message, in a process whose memory is limited: `python -m tests.support.fuzz SEED COUNT`.

Prints JSON: how many values, how many of them were refused, the slowest one in milliseconds, and by how many MB the process
grew. Ends with a traceback at the first value that is neither decoded nor refused by a DecodeError, or that the fast reader
sees otherwise; that value is printed as hex.
"""

from __future__ import annotations

import json
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from eventfold.schemas.catalog import Catalog, installed
from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from eventfold.schemas.framing import MARKER
from eventfold.schemas.parsed import fingerprint, parse
from eventfold.schemas.writing import Writer
from tests.support.avro import sample

MEMORY = 256 << 20
"""Bytes that the process may grow by."""
DOMAINS = ("flights", "accounts")

_BOX = {"type": "record", "name": "Box", "fields": [{"name": "x", "type": "int"}, {"name": "of", "type": ["null", "bytes"]}]}
_KINDS: dict[str, tuple[Any, Any]] = {
    "Array": ({"type": "array", "items": "int"}, [1, -70000, 3]),
    "Texts": ({"type": "array", "items": ["null", "string"]}, ["a", None, "\u00e9"]),
    "Grid": ({"type": "array", "items": {"type": "array", "items": "long"}}, [[1, 2], [], [3]]),
    "Map": ({"type": "map", "values": "int"}, {"a": 1, "b": 2}),
    "Maps": ({"type": "map", "values": {"type": "map", "values": "string"}}, {"a": {"b": "c"}}),
    "Enum": ({"type": "enum", "name": "OneOf", "symbols": ["S", "M", "L"]}, "L"),
    "Fixed": ({"type": "fixed", "name": "Five", "size": 5}, b"abcde"),
    "Record": (_BOX, {"x": 1, "of": b"\xff"}),
    "Records": ({"type": "array", "items": _BOX}, [{"x": 1, "of": None}, {"x": 2, "of": b"a"}]),
    "Union": (["null", "string", "long", "boolean", _BOX], 7),
    "Float": ("float", 0.5),
    "Double": (["null", "double"], 0.1),
    "Bytes": ("bytes", b"\xff\x00"),
    "Uuid": ({"type": "string", "logicalType": "uuid"}, "5b3c8c3a-8f0e-4d7c-9a53-0d1f6ad4bb11"),
    "Sum": (
        {"type": "fixed", "name": "Four", "size": 4, "logicalType": "decimal", "precision": 4, "scale": 2},
        Decimal("1.25"),
    ),
    "Price": ({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}, Decimal("1.2345")),
    "Prices": (
        {"type": "array", "items": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}},
        [Decimal("1.5"), Decimal(-3)],
    ),
    "Times": ({"type": "array", "items": {"type": "long", "logicalType": "timestamp-millis"}}, [0, 10**12]),
    "Days": ({"type": "map", "values": {"type": "int", "logicalType": "date"}}, {"a": 1}),
}


def codec_and_messages(choice: random.Random) -> tuple[Codec, list[bytes]]:
    """A codec of eventfold's own domains and of one with every kind of type, and whole messages in all their versions."""
    with tempfile.TemporaryDirectory() as name:
        catalog = _catalog(Path(name))
        codec = Codec(catalog)
    whole = []
    for of in catalog.schemas:
        writer = Writer(parse(of))
        value = _KINDS.get(of.type.removeprefix("fuzz."), (None, None))[1]
        for _ in range(10):
            data = (
                sample(of.schema, choice)
                if of.domain != "fuzz"
                else {"sku": "tea", "value": value, "count": 300, "note": "n" * 70}
            )
            names = {field["name"] for field in of.schema["fields"]}
            whole.append(writer.write(MARKER + fingerprint(of), {name: it for name, it in data.items() if name in names}))
    return codec, whole


def _catalog(folder: Path) -> Catalog:
    """Each kind in two versions, the older of which is resolved."""
    (folder / "events").mkdir()
    for name, (of, _) in _KINDS.items():
        first = [{"name": "sku", "type": "string"}, {"name": "value", "type": of}, {"name": "count", "type": "int"}]
        second = [*first, {"name": "note", "type": ["null", "string"], "default": None}]
        for version, fields in ((1, first), (2, second)):
            schema = {"type": "record", "namespace": "fuzz", "name": name, "fields": fields}
            (folder / "events" / f"{name}.v{version}.avsc").write_text(json.dumps(schema))
    folders, upcasters = installed(DOMAINS)
    return Catalog({**folders, "fuzz": folder}, upcasters)


def values(choice: random.Random, whole: list[bytes], headers: list[bytes]) -> Iterator[bytes]:
    """Without an end: noise, known headers before noise, and messages that were cut, changed, joined."""
    while True:
        kind = choice.randrange(8)
        if kind == 0:
            yield choice.randbytes(choice.randrange(40))
            continue
        if kind == 1:
            yield choice.choice(headers) + choice.randbytes(choice.randrange(60))
            continue
        value = bytearray(choice.choice(whole))
        if kind == 2:
            yield bytes(value[: choice.randrange(len(value) + 1)])
            continue
        if kind == 3:
            other = choice.choice(whole)
            yield bytes(value[: choice.randrange(10, len(value) + 1)]) + other[choice.randrange(10, len(other) + 1) :]
            continue
        for _ in range(1 if kind < 6 else choice.randint(2, 4)):
            _change(value, choice)
        yield bytes(value)


def _change(value: bytearray, choice: random.Random) -> None:
    """One place in a message, seldom in its header: another bit, byte or number, bytes more or less, an overlong varint."""
    at = choice.randrange(min(10, len(value)) if choice.random() < 0.98 else 0, len(value) + 1)
    number = choice.choice((1, -1)) * (2 ** choice.randint(6, 64)) + choice.randint(-1, 1)
    match choice.randrange(6):
        case 0:
            value[at : at + 1] = bytes(byte ^ 1 << choice.randrange(8) for byte in value[at : at + 1])
        case 1:
            value[at : at + 1] = choice.randbytes(1)
        case 2:
            value[at:at] = choice.randbytes(choice.randint(1, 9))
        case 3:
            del value[at : at + choice.randint(1, 4)]
        case 4:
            value[at : at + 1] = _varint(number)
        case 5:
            value[at : at + 1] = b"\x80" * choice.randint(1, 80) + choice.randbytes(1)


def _varint(number: int) -> bytes:
    number = number << 1 if number >= 0 else (-number << 1) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def outcome(decode: Callable[[bytes], Any], value: bytes) -> str:
    """What was decoded (its text: nothing is equal to a float that is no number), or the DecodeError's."""
    try:
        return repr(tuple(decode(value)))
    except DecodeError as error:
        return "refused: " + re.sub(" at 0x[0-9a-f]+", "", str(error))


def run(seed: int, count: int) -> dict[str, Any]:
    choice = random.Random(seed)
    codec, whole = codec_and_messages(choice)
    types = {of.type for of in codec.catalog.schemas}
    reader, some = codec.reader(dict.fromkeys(types)), codec.reader(dict.fromkeys(types, ()))
    headers = sorted({value[:10] for value in whole})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    refused, slowest = 0, 0.0
    for number, value in enumerate(values(choice, whole, headers)):
        if number == count:
            break
        try:
            started = time.perf_counter()
            slow = outcome(codec.decode, value)
            slowest = max(slowest, time.perf_counter() - started)
            fast, none = outcome(reader, value), outcome(some, value)
            bad = slow.startswith("refused")
            assert slow == fast and (none == slow if bad else none.endswith(", {})")), (slow, fast, none)
        except BaseException:
            print(f"seed={seed} number={number} value={value.hex()}", file=sys.stderr)
            raise
        refused += bad
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown
    return {"values": count, "refused": refused, "slowest_ms": round(slowest * 1000, 3), "grown_mb": round(grown / 1024, 1)}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
