"""How an answer leaves: in one piece, over a transport whose connection decides how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


class Cycle(RequestResponseCycle):
    """A request's answer, whose head and body leave together."""

    _status = 0
    _head: Sequence[tuple[bytes, bytes]] = ()

    async def send(self, message: Any) -> None:
        """Take the head, and write it with the body: both as `front.py` makes them, of a known length."""
        if message["type"] == "http.response.start":
            self._status, self._head = message["status"], message["headers"]
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or self.response_complete:
            return
        close = not self.keep_alive or (b"connection", b"close") in self._head
        content = [STATUS_LINE[self._status]]
        for name, value in (*self.default_headers, *self._head):
            content += (name, b": ", value, b"\r\n")
        if close and self.keep_alive:
            self.keep_alive = False
        elif close:
            content.append(b"connection: close\r\n")
        content.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            content.append(message["body"])
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(content))
        self.message_event.set()
        if close:
            self.transport.close()
        self.on_response()


class Lingering:
    """A transport whose `close` is its connection's own way of ending; all else is the transport's.

    Args:
        wrapped: The transport.
        end: Ends the connection.
        ended: Says whether that has begun.
    """

    __slots__ = ("_ended", "abort", "close", "pause_reading", "resume_reading", "wrapped", "write")

    def __init__(self, wrapped: asyncio.Transport, end: Callable[[], None], ended: Callable[[], bool]) -> None:
        self.wrapped, self._ended = wrapped, ended
        self.close, self.write, self.abort = end, wrapped.write, wrapped.abort
        self.pause_reading, self.resume_reading = wrapped.pause_reading, wrapped.resume_reading

    def is_closing(self) -> bool:
        """Whether it is ending."""
        return self._ended() or self.wrapped.is_closing()
