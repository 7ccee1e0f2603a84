"""One HTTP connection: uvicorn's, with deadlines for what the client sends and reads, and limits of the head.

uvicorn has no deadline for receiving a request, and takes heads of any length. Here a connection has so many seconds
for a request's head, as many for its body, and may be idle between two as long. A time is kept per connection, and one
task looks at all of them: no timer is set per request.

What is refused while its body is still being sent is answered, and read for a moment more without being kept: a
connection closed at once would take the answer with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from striate.deploy.serve.answers import Refusal, refusal_body
from striate.deploy.serve.front import CONNECTION
from striate.deploy.serve.overload import Overload
from striate.deploy.serve.wire import Cycle, Lingering

LONGEST_TARGET = 8 * 1024
LONGEST_HEAD, MOST_HEADERS = 32 * 1024, 100  # bytes
MOST_PIPELINED = 16  # requests sent ahead
LINGER = 1.0  # seconds in which what is still being sent is read and forgotten


class Connection(HttpToolsProtocol):
    """One connection.

    Args:
        config, state: uvicorn's, loaded.
        loop: The event loop.
        seconds: For a head, a body, and between requests.
        most: Connections at a time.
        refused: Told the refusals that the application never sees; gives each an id.
        overload: Takes requests that come when the queue is full.
    """

    transport: Any

    def __init__(
        self,
        config: Config,
        state: ServerState,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        most: int,
        refused: Callable[[Refusal], str],
        overload: Overload,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._seconds, self._most, self._refused = seconds, most, refused
        self._overload = overload
        self._turning_away = False
        self._since = 0.0  # when what is being awaited from the client began to be
        self._arriving = False  # a request has begun and is not complete
        self._in_head = True
        self._head = 0  # bytes of the head so far, as parsed
        self._fed = 0  # and as received
        self._refusal: Refusal | None = None
        self._ends = 0.0  # when what is left of an ended connection is cut off
        self._sending_since = 0.0
        self._gone: Callable[[], None] | None = None
        self._current: RequestResponseCycle | None = None  # what is being answered; uvicorn's `cycle` is the newest
        self._last = False  # nothing is read any more: what has arrived is answered, then it ends

    @property
    def _pending(self) -> RequestResponseCycle | None:
        """The request that is being answered, if there is one."""
        return None if self._current is None or self._current.response_complete else self._current

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have something called once if the client goes before its answer."""
        self._gone = call
        if self.ended:
            call()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.transport = Lingering(transport, self.end, lambda: self.ended)
        self._since = self.loop.time()
        if len(self.connections) > self._most:
            self._refuse(Refusal(503, "busy", "too many connections", "ask again", {"retry-after": "1"}))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything, and of work that nobody waits for."""
        self._ends = self._ends or self.loop.time()
        super().connection_lost(exc)
        if (pending := self._pending) is not None:
            pending.disconnected = True
            pending.message_event.set()
            if self._gone is not None:
                self._gone()
        self._gone = self._current = None

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        if self._ends or self._last:
            return
        self._unset_keepalive_if_required()
        if not self._since and self._pending is None:
            self._since = self.loop.time()
        self._fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # of which there is none here: answered, then closed
            self._last = True
        except httptools.HttpParserError:
            fix = "send HTTP/1.1 as RFC 9112 has it"
            self._broken(self._refusal or Refusal(400, "malformed_request", "not a valid HTTP request", fix))
            return
        if self._in_head and self._arriving and self._fed > 2 * LONGEST_HEAD:
            self._broken(_head_too_long())

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[literal-required]
        self._arriving = self._in_head = True
        self._head = 0
        if not self._since:
            self._since = self.loop.time()
        if len(self.pipeline) >= MOST_PIPELINED:
            self._stop(Refusal(400, "pipelined", "too many requests without waiting for an answer", "wait for answers"))

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        super().on_url(url)
        if len(self.url) > LONGEST_TARGET:
            self._stop(Refusal(414, "target_too_long", "a target of more than 8 KiB", "send pictures in the body"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self._head += len(name) + len(value)
        if self._head > LONGEST_HEAD or len(self.headers) >= MOST_HEADERS:
            self._stop(_head_too_long())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, or to wait for the turn to, and for the body."""
        if not self.url.startswith(b"/"):
            self._stop(Refusal(400, "wrong_target", "the target has to begin with '/'", "GET /path HTTP/1.1"))
        self._in_head = False
        self._fed = 0
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        version, method = self.parser.get_http_version(), self.parser.get_method()
        if version not in ("1.0", "1.1"):
            self._stop(Refusal(400, "wrong_version", f"HTTP/{version} is not spoken here", "send HTTP/1.1"))
        if self.parser.should_upgrade() and method not in (b"GET", b"HEAD"):  # of these the parser reads no body
            message = "no other protocol is spoken here"
            self._stop(Refusal(400, "upgrade", message, "send HTTP/1.1 without 'Connection: Upgrade'"))
        self.scope["http_version"] = version
        self.scope["method"] = method.decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = target.path
        self.scope["query_string"] = target.query or b""
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if self._pending is None:
            self._since = self.loop.time()
            if not self.expect_100_continue and self._overload.takes(method, self.url, self.headers):
                self._current, self._turning_away = self.cycle, True
            else:
                self._start_asgi_task(self.cycle, self.config.loaded_app)
        else:
            self._since = 0.0
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.config.loaded_app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, unless the request is being turned away."""
        if not self._turning_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that all of a request is here."""
        self._arriving = False
        self._in_head = True
        self._since = 0.0
        self._fed = 0
        super().on_message_complete()
        if self._turning_away:
            self._turning_away = False
            self._overload.turn_away(self)

    def turned_away(self, head: bytes, body: bytes) -> bool:
        """Write the answer to a request that the queue has no room for; False where nobody waits for it any more.

        Args:
            head: With the line of status, without the empty line at its end.
            body: As long as the head says.
        """
        cycle = self._pending
        if cycle is None or cycle.disconnected or cycle.response_started:
            return False
        closing = b"" if cycle.keep_alive else b"connection: close\r\n"
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join((head, closing, b"\r\n", body)))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self._gone = None
        self._sending_since = 0.0
        super().on_response_complete()
        if self._arriving:
            self._since = self.loop.time()
        if self._last and self._pending is None:
            self.end()

    def sweep(self, now: float) -> None:
        """End the connection if the client is too slow."""
        if self._ends:
            if now > self._ends:
                self.transport.abort()
        elif self._since and now - self._since > self._seconds:
            if self._pending is not None and not self._pending.more_body:
                return  # the next request's head can wait until this one is answered
            if self._arriving or self._fed:
                fix = "send it faster, or in smaller pieces"
                self._refuse(Refusal(408, "too_slow", f"not received in {self._seconds:g} seconds", fix))
            else:
                self.transport.close()
        elif self.flow.write_paused:  # what is answered is not taken
            if not self._sending_since:
                self._sending_since = now
            elif now - self._sending_since > self._seconds:
                self.transport.abort()

    def retire(self) -> None:
        """End unless a request is arriving or being answered."""
        if not self._arriving and self._pending is None:
            self.end()

    def end(self) -> None:
        """Close, but hear the client out for a moment where it is still sending."""
        if self._ends:
            return
        transport = self.transport.wrapped
        if (self._arriving or self._fed) and transport.can_write_eof() and not transport.is_closing():
            self._ends = self.loop.time() + LINGER
            self.flow.resume_reading()
            transport.write_eof()
        else:
            self._ends = self.loop.time() + self._seconds  # for the last answer to be taken
            transport.close()

    @property
    def ended(self) -> bool:
        """Whether nothing more is answered."""
        return self._ends > 0

    def _stop(self, refusal: Refusal) -> None:
        """Leave the parser from within a callback."""
        self._refusal = refusal
        raise refusal

    def _broken(self, refusal: Refusal) -> None:
        """Refuse what can no longer be parsed, in its turn."""
        if self._pending is not None and not self._pending.more_body:
            self._last = True  # what came before is complete, and is answered
            if self.pipeline and self.pipeline[0][0].more_body:
                self.pipeline.popleft()
            return
        self._arriving = True
        self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in place of the application, and end."""
        request_id = self._refused(refusal)
        pending = self._pending
        if pending is None or not pending.response_started:
            body = refusal_body(refusal, request_id)
            head = [
                STATUS_LINE[refusal.status],
                b"content-type: application/json\r\nconnection: close\r\nx-content-type-options: nosniff\r\n",
                f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n".encode(),
                *(f"{name}: {value}\r\n".encode() for name, value in refusal.headers.items()),
            ]
            self.transport.write(b"".join((*head, b"\r\n", body)))
        if pending is not None:
            pending.disconnected = True
            pending.message_event.set()
        self.end()


def _head_too_long() -> Refusal:
    message = f"a head of more than {LONGEST_HEAD:,} bytes or {MOST_HEADERS} headers"
    return Refusal(431, "head_too_long", message, "send fewer and shorter headers")
