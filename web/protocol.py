"""HTTP/1.1 on one connection, within bounds: whenever it is the client's turn, a deadline runs.

uvicorn itself ends a connection only when nothing at all came for a while after an answer, so a byte now and then would hold
it for ever, and it keeps what a client sends or does not take in memory without a limit.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from eventfold.web.bounds import Bounds

KEPT_ALIVE_S = 30
_LARGEST_HEAD = 65_536
# Of each header besides its bytes, as HTTP/2 counts it: many short ones take much more memory than they have bytes.
_HEADER = 32
# As it is sent: a body of many short chunks, or what is sent to a resource that reads no body.
_LARGEST_MESSAGE = 16_000_000
_MOST_PIPELINED = 100
_REFUSED = 500


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a client.

    It is closed when a head, or the rest of a body that nobody reads, does not come within `client_s`; when the client does
    not take what waits for it within `send_s`; when a head has more than 64 KiB (after a 400) or a message more than 16 MB;
    when more than 100 requests wait for the answers before them.
    """

    bounds: ClassVar[Bounds] = Bounds()
    _deadline: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _begun: RequestResponseCycle | None = None
    _head = 0
    _size = 0
    _in_head = True
    _in_message = False

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head. A connection far beyond the limit is closed without an answer, since each takes a file."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections + _REFUSED:
            transport.abort()
            return
        self._within(self.bounds.client_s)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        self._size += len(data)
        super().data_received(data)
        cycle = self.cycle
        if self._deadline is None and (cycle is None or cycle.response_complete):
            # Afterwards: a head that came at once, as most do, needs no timer.
            self._within(self.bounds.client_s)
        if self._size > (_LARGEST_HEAD if self._in_head else _LARGEST_MESSAGE) and not self.transport.is_closing():
            # The parser tells of a header only when it has all of it.
            self._refuse() if self._in_head and not self._answering else self.transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        super().on_message_begin()
        self._head = self._size = 0
        self._in_head = self._in_message = True

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value) + _HEADER)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head came: it is the server's turn."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()
        if not self.pipeline:
            self._begun = self.cycle
        elif len(self.pipeline) > _MOST_PIPELINED:
            self.transport.abort()

    def on_message_complete(self) -> None:
        """A body came; where it was answered before, the next head is waited for."""
        super().on_message_complete()
        self._in_message = False
        if not self._answering:
            self._within(KEPT_ALIVE_S)

    def on_response_complete(self) -> None:
        """It is the client's turn: to take the answer, to send the rest of what was answered already, or the next head."""
        if self.pipeline:
            self._begun = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.is_closing():
            self._within(self.bounds.send_s)
        elif not self._answering and self._in_message:
            if self.expect_100_continue and not self._in_head:
                # Who was not told to go on may leave the body out: what comes next may be either.
                self.transport.close()
            self._within(self.bounds.client_s)

    def pause_writing(self) -> None:
        """The client is slow to take what it is sent."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self.bounds.send_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken most of it."""
        super().resume_writing()
        self._freed()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more: each request that was begun, or waits for its turn, hears of it."""
        self._disarm()
        self._freed()
        # uvicorn tells the newest one alone.
        for cycle in (self._begun, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > _LARGEST_HEAD:
            # To the parser, that what came is no HTTP.
            raise ValueError("the head is too long")

    def _refuse(self) -> None:
        self.send_400_response("The head is too long.")

    def _within(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._cut)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _freed(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _cut(self) -> None:
        # To close it would wait for the client to take what is left of its answer.
        self._deadline = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()
