"""Pairs of requests that reach an idle server at the same time: how long they take, and whether one waits for more to come.

`python -m tests.attack.pairs http://127.0.0.1:8080 20000` against `eventfold serve` with the domain `flights`, and OAuth off.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWERED_S = 10.0
"""A request that takes longer has waited for something that did not come."""
_READY_S = 60.0
_DAY = "2014-08-01"
_COMMAND = f"/commands/flights/ScheduleFlight/UA1:{_DAY}:EWR"
_QUERY = f"/queries/flights/UA1:{_DAY}:EWR"
_LIST = f"/queries/board/EWR?date={_DAY}"
_STREAM = f"/changes/board/EWR?date={_DAY}"
_SCHEDULED = (
    f'{{"carrier":"UA","flight_number":1,"flight_date":"{_DAY}","origin":"EWR","destination":"SFO","tail_number":null,'
    f'"scheduled_departure":"{_DAY}T15:00:00Z","scheduled_arrival":"{_DAY}T21:10:00Z","distance_mi":2565}}'
).encode()
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Milliseconds that a pair took until both of its requests were answered."""

    kind: str
    pairs: int
    median: float
    p999: float
    worst: float

    def __str__(self) -> str:
        figures = f"median {self.median:.2f} ms, p99.9 {self.p999:.2f} ms, worst {self.worst:.2f} ms"
        return f"{self.kind}: {self.pairs:,} pairs, {figures}: {self.worst / self.median:.0f} times the median"


class Connection:
    """One HTTP/1.1 connection, on which one request is under way at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    async def get(self, path: str, *statuses: int) -> int:
        """The status of the answer, which is 200 or one of these."""
        return await self._answered(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode(), 200, *statuses)

    async def command(self) -> None:
        """Send the command that schedules the flight, which is the same one each time."""
        await self._post("Idempotency-Key: pairs", 202)

    async def decided(self) -> None:
        """Send it under an id of its own, which is refused, and wait for that."""
        await self._post("Prefer: wait=10", 422)

    async def _post(self, header: str, status: int) -> None:
        head = f"POST {_COMMAND} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n{header}\r\n"
        await self._answered(f"{head}Content-Length: {len(_SCHEDULED)}\r\n\r\n".encode() + _SCHEDULED, status)

    async def follow(self, path: str) -> None:
        """Begin an event stream, until its first event."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        await self._reader.readuntil(b"event: open")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _answered(self, request: bytes, *statuses: int) -> int:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None, head
        body = await self._reader.readexactly(int(length[1]))
        status = int(head.split(b" ", 2)[1])
        assert status in statuses, head + body
        return status


Pair = Callable[["Server"], Awaitable[None]]


class Server:
    """The two connections to a server, and what is asked on them."""

    def __init__(self, url: str, one: Connection, other: Connection) -> None:
        self.url = url
        self.one = one
        self.other = other
        self.stream: Connection | None = None

    async def two_queries(self) -> None:
        await asyncio.gather(self.one.get(_QUERY), self.other.get(_QUERY))

    async def a_row_and_a_list(self) -> None:
        await asyncio.gather(self.one.get(_QUERY), self.other.get(_LIST))

    async def two_commands(self) -> None:
        await asyncio.gather(self.one.command(), self.other.command())

    async def two_commands_with_their_outcomes(self) -> None:
        await asyncio.gather(self.one.decided(), self.other.decided())

    async def a_query_and_a_command(self) -> None:
        await asyncio.gather(self.one.get(_LIST), self.other.command())

    async def two_that_look_at_kafka(self) -> None:
        await asyncio.gather(self.one.get("/operations"), self.other.get("/queries/flights/none", 404))

    async def a_query_as_a_stream_ends(self) -> None:
        self.hang_up()
        await self.one.get(_QUERY)

    async def a_stream_as_another_ends(self) -> None:
        self.hang_up()
        await self.follow()

    async def follow(self) -> None:
        """Begin an event stream on a connection of its own."""
        self.stream = await connect(self.url)
        await self.stream.follow(_STREAM)

    def hang_up(self) -> None:
        """End the stream, if there is one."""
        if self.stream is not None:
            self.stream.close()

    async def ready(self) -> None:
        """Return once the read model has the flight."""
        await self.one.command()
        while await self.one.get(_QUERY, 404, 503) != 200:
            await asyncio.sleep(0.1)


KINDS: Mapping[str, Pair] = {
    "two queries": Server.two_queries,
    "a row and a list": Server.a_row_and_a_list,
    "two commands": Server.two_commands,
    "two commands with their outcomes": Server.two_commands_with_their_outcomes,
    "a query and a command": Server.a_query_and_a_command,
    "two that look at Kafka": Server.two_that_look_at_kafka,
    "a query as a stream ends": Server.a_query_as_a_stream_ends,
    "a stream as another one ends": Server.a_stream_as_another_ends,
}


async def connect(url: str) -> Connection:
    """A connection to the server at a URL."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    return Connection(reader, writer, parts.netloc)


@asynccontextmanager
async def _server(url: str) -> AsyncIterator[Server]:
    server = Server(url, await connect(url), await connect(url))
    try:
        yield server
    finally:
        server.hang_up()
        server.one.close()
        server.other.close()


async def _ask(url: str, kind: str, pairs: int) -> Took:
    took = []
    async with _server(url) as server:
        async with asyncio.timeout(_READY_S):
            await server.ready()
        for _ in range(pairs):
            async with asyncio.timeout(ANSWERED_S):
                if "stream" in kind:
                    await server.follow()
                begun = time.perf_counter()
                await KINDS[kind](server)
                took.append(1_000 * (time.perf_counter() - begun))
            server.hang_up()
    cuts = statistics.quantiles(took, n=1_000, method="inclusive")
    return Took(kind=kind, pairs=pairs, median=cuts[499], p999=cuts[998], worst=max(took))


def ask(url: str, kind: str, pairs: int) -> Took:
    """Send so many pairs, each once the one before is answered; TimeoutError for one that is not within ANSWERED_S."""
    return asyncio.run(_ask(url, kind, pairs))


if __name__ == "__main__":
    for each in KINDS:
        print(ask(sys.argv[1], each, int(sys.argv[2]) // len(KINDS)), flush=True)
