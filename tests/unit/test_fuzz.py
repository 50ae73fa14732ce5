"""What is no message is refused by a DecodeError: no other error, no hang, no memory, and the fast reader says the same."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventfold.schemas.codec import Codec
from eventfold.schemas.errors import DecodeError
from tests.support.avro import catalog_of
from tests.support.fuzz import MEMORY, outcome
from tests.support.local_stack import REPOSITORY
from tests.support.soak import SOAK

SHORT, LONG = 20_000, 1_000_000
_SLOWEST_MS = 1_000
_TIMEOUT_S = 280


def test_noise_and_changed_messages() -> None:
    """A process of its own: its memory is limited, and it is ended when it hangs. EVENTFOLD_SOAK=1 takes a million values."""
    seed, count = random.randrange(2**32), LONG if SOAK else SHORT
    command = [sys.executable, "-m", "tests.support.fuzz", str(seed), str(count)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    print(f"seed={seed}\n{done.stdout}{done.stderr}")
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout)
    assert found["values"] == count and count // 2 < found["refused"] < count
    assert found["slowest_ms"] < _SLOWEST_MS
    assert found["grown_mb"] < MEMORY >> 20


def test_a_long_decimal_inside_an_array_takes_no_time(tmp_path: Path) -> None:
    """fastavro would work on a megabyte of it for minutes."""
    of = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}
    codec = Codec(catalog_of(tmp_path, {"Sold.v1": [{"name": "prices", "type": {"type": "array", "items": of}}]}))
    whole = codec.encode("shop.Sold", {"prices": [Decimal("1.25")]})
    assert codec.decode(whole).data == {"prices": [Decimal("1.25")]}
    padded = whole[:10] + b"\x02\x80\x10" + bytes(1_023) + b"\x7d\x00"
    assert codec.decode(padded).data == {"prices": [Decimal("1.25")]}
    started = time.perf_counter()
    with pytest.raises(DecodeError, match="a decimal of 131072 bytes, where 1024 are enough for its 18 digits"):
        codec.decode(whole[:10] + b"\x02\x80\x80\x10" + b"\x7f" * 131_072 + b"\x00")
    assert time.perf_counter() - started < 0.5


@settings(max_examples=500, deadline=1_000, derandomize=True)
@given(st.sampled_from(["flights.FlightArrived", "accounts.AccountDebited"]), st.binary(max_size=80))
def test_any_body_behind_a_known_header(codec: Codec, type_: str, body: bytes) -> None:
    header = codec._framing.header(codec.catalog.newest(type_))
    assert outcome(codec.decode, header + body) == outcome(codec.reader({type_: None}), header + body)
