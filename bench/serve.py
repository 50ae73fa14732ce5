"""Reads over HTTP: get-by-id by wrk, against the framework alone and against redis-py doing the same reads; followers.

wrk asks for random flights over 32 connections. redis-py reads what the server reads of each: the live generation, the row
and what is parked of it, one flight after the other, in one process.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from bench.log import create_topics, daemon, import_months, with_prefix
from bench.report import Figure, against
from eventfold import Client
from eventfold.installation import Installation
from eventfold.schemas.times import iso_day
from eventfold.tools.lag import lags

CONNECTIONS = 32
_DEADLINE_S = 60
_DAY = 22_400  # in days since 1970
_ASK = """
local ids = {}
for line in io.lines(os.getenv("IDS")) do ids[#ids + 1] = line end
math.randomseed(1)
request = function() return wrk.format("GET", "/queries/flights/" .. ids[math.random(#ids)]) end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What wrk says: requests a second, the 99th percentile in ms, and how many were not answered with a 2xx."""

    rate: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server as a process."""

    address: str
    pid: int

    @property
    def resident_mb(self) -> float:
        """Its resident memory."""
        return int(Path(f"/proc/{self.pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def measure(environ: Mapping[str, str], seconds: int, rounds: int, followers: int) -> Iterator[Figure]:
    """Of January, folded into `flights`; then with clients that follow a board."""
    own = with_prefix(environ, "bench-serve.")
    installation = Installation(own)
    create_topics(installation)
    import_months(own, "1")
    served, bare, direct = [], [], []
    with daemon(own, "run", "all"), tempfile.TemporaryDirectory() as folder:
        _await(installation)
        ids = _ids(installation, Path(folder) / "ids")
        for _ in range(rounds):
            with _server(own, "-m", "bench.bare") as server:
                bare.append(_wrk(server, ids, seconds))
            with _server(own, "-m", "eventfold", "serve", "queries", "--port", "0") as server:
                served.append(_wrk(server, ids, seconds))
            direct.append(_direct(installation, ids, seconds))
        rates, failed = [one.rate for one in served], sum(one.failed for one in served)
        yield against("get-by-id over HTTP, beside the framework alone", "requests/s", rates, [one.rate for one in bare], None)
        yield against("get-by-id over HTTP, beside redis-py one by one", "requests/s", rates, direct, None)
        note = f"{CONNECTIONS} connections, {failed} requests failed"
        yield Figure(
            name="get-by-id over HTTP, p99", value=statistics.median(one.p99_ms for one in served), unit="ms", note=note
        )
        yield Figure(name="the framework alone, p99", value=statistics.median(one.p99_ms for one in bare), unit="ms")
        with _server(own, "-m", "eventfold", "serve", "--port", "0") as server:
            yield from asyncio.run(_follow(own, server, followers))


def _await(installation: Installation) -> None:
    """Until the read models have caught up."""
    deadline = time.monotonic() + 3 * _DEADLINE_S
    while any(lag.lag for lag in lags(installation.runtime)):
        assert time.monotonic() < deadline, "the read models do not catch up"
        time.sleep(0.5)


def _ids(installation: Installation, file: Path) -> Path:
    """Some flights, one a line, as they stand in an address."""
    reader = installation.readers.open("flights")
    found = [key for slice_ in reader.generation.slices() for key, _ in islice(reader.rows(slice_, "flights"), 500)]
    file.write_text("\n".join(found) + "\n")
    return file


def _wrk(server: Server, ids: Path, seconds: int) -> Asked:
    program = _program()
    script = ids.with_name("ask.lua")
    script.write_text(_ASK)
    command = [program, "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), server.address]
    _run(command, ids, 1)
    said = _run(command, ids, seconds)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert rate is not None and p99 is not None, said
    return Asked(
        rate=float(rate[1]),
        p99_ms=float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1_000}[p99[2]],
        failed=int(failed[1]) if failed else 0,
    )


def _run(command: list[str], ids: Path, seconds: int) -> str:
    timed = [part if not part.startswith("-d") else f"-d{seconds}s" for part in command]
    return subprocess.run(timed, env={"IDS": str(ids)}, stdout=subprocess.PIPE, text=True, check=True).stdout


def _program() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is needed to measure what is served (on Debian: `sudo apt-get install wrk`)")
    return found


def _direct(installation: Installation, ids: Path, seconds: int) -> float:
    """Flights a second that the readers give without a server, by redis-py, one after the other."""
    readers = installation.readers
    keys = ids.read_text().split()
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        readers.query("flights", {"id": keys[count % len(keys)]})
        count += 1
    return count / (time.monotonic() - started)


async def _follow(environ: Mapping[str, str], server: Server, followers: int) -> list[Figure]:
    """Let so many clients follow a board, and change it: how long a change takes to reach them, and what they weigh."""
    client, before = Client(environ), server.resident_mb
    host, _, port = server.address.removeprefix("http://").partition(":")
    streams = [await _open(host, int(port)) for _ in range(followers)]
    took: list[float] = []
    cost = _cpu_s(server.pid)
    for number in range(10):
        changed = time.monotonic()
        _, *heard = await asyncio.gather(
            asyncio.to_thread(_change, client, number), *(_heard(reader, changed) for reader, _ in streams)
        )
        took += heard
    cost = _cpu_s(server.pid) - cost
    weight = server.resident_mb
    for _, writer in streams:
        writer.close()
    cuts = statistics.quantiles((1_000 * seconds for seconds in took), n=100, method="inclusive")
    note = f"{followers:,} clients of one process"
    return [
        Figure(name="a change at the last of all followers, p50", value=cuts[49], unit="ms", note=f"from the command; {note}"),
        Figure(name="a change at the last of all followers, p99", value=cuts[98], unit="ms", note=f"from the command; {note}"),
        Figure(name="CPU of the server a change to all followers", value=1_000 * cost / 10, unit="ms", note=note),
        Figure(name="memory of the server without followers", value=before, unit="MB"),
        Figure(name="memory of the server with followers", value=weight, unit="MB", note=note),
    ]


async def _open(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /changes/board/EWR?date={iso_day(_DAY)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    await reader.readuntil(b"event: open")
    return reader, writer


async def _heard(reader: asyncio.StreamReader, since: float) -> float:
    async with asyncio.timeout(_DEADLINE_S):
        await reader.readuntil(b"event: changed")
    return time.monotonic() - since


def _change(client: Client, number: int) -> None:
    data = {
        "carrier": "UA",
        "flight_number": number + 1,
        "flight_date": _DAY,
        "origin": "EWR",
        "destination": "SFO",
        "tail_number": None,
        "scheduled_departure": _DAY * 86_400_000,
        "scheduled_arrival": _DAY * 86_400_000 + 3_600_000,
        "distance_mi": 2565,
    }
    client.submit("flights.ScheduleFlight", f"UA{number + 1}:{iso_day(_DAY)}:EWR", data)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def _server(environ: Mapping[str, str], *args: str) -> Iterator[Server]:
    """A server as a process, once it answers."""
    with tempfile.TemporaryFile("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, *args],
            env={**environ, "EVENTFOLD_OAUTH": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield Server(address=_address(process, log), pid=process.pid)
        finally:
            process.terminate()
            process.wait(_DEADLINE_S)


def _address(process: subprocess.Popen[bytes], log: BinaryIO) -> str:
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        said = os.pread(log.fileno(), 65_536, 0).decode()
        if found := re.search(r"event=serves address=(\S+)", said):
            return found[1]
        assert time.monotonic() < deadline and process.poll() is None, said
        time.sleep(0.1)
