"""What comes when the queue is full: turned away in the connection itself, many at a time.

A refusal by the ordinary way takes half as long as an answer, so that a flood of them would leave the event loop no
time for the pictures that were accepted. Here a request has no task of its own; its answer is held back for a moment
and leaves together with others, as writing is cheapest to a client that is awake. The log has one line for all of them.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from striate.deploy.serve.answers import Refusal, busy, refusal_body
from striate.deploy.serve.bodies import is_long
from striate.deploy.serve.front import ALWAYS, Front
from striate.deploy.serve.service import Service

if TYPE_CHECKING:
    from striate.deploy.serve.protocol import Connection

HELD = 0.01  # seconds


class Overload:
    """Turns requests away while the queue is full.

    Args:
        front: Whose rules on who may ask hold here, too, and who names requests.
        service: For its queue, log and counters.
        state: uvicorn's, for the headers of every answer.
    """

    def __init__(self, front: Front, service: Service, state: ServerState) -> None:
        self._front, self._service, self._state = front, service, state
        self._loop = asyncio.get_running_loop()
        self._held: list[tuple[Connection, str, float]] = []

    def takes(self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether a request, whose head is all that has arrived, is turned away here.

        Whatever else there is to be said of it is said in the ordinary way.
        """
        service = self._service
        if url != b"/predict" or method != b"POST" or not service.admission.full or service.draining:
            return False
        try:
            return not is_long(self._front.checked(url.decode(), headers))
        except Refusal:
            return False

    def turn_away(self, connection: Connection) -> None:
        """Answer a request that has arrived with its body, in a moment."""
        if not self._held:
            self._loop.call_later(HELD, self._answer)
        request_id = self._front.request_id(dict(connection.headers))
        self._held.append((connection, request_id, perf_counter()))

    def _answer(self) -> None:
        held, self._held = self._held, []
        refusal = busy()
        fields = [
            *self._state.default_headers,
            (b"content-type", b"application/json"),
            *((name.encode(), value.encode()) for name, value in refusal.headers.items()),
            *ALWAYS,
        ]
        head = STATUS_LINE[refusal.status] + b"".join(b"%b: %b\r\n" % field for field in fields)
        told = []
        for connection, request_id, since in held:
            body = refusal_body(refusal, request_id)
            length_and_id = b"content-length: %d\r\nx-request-id: %b\r\n" % (len(body), request_id.encode())
            if connection.turned_away(b"".join((head, length_and_id)), body):
                told.append(request_id)
                self._service.metrics.answered("/predict", refusal.status, perf_counter() - since)
        if told:
            self._service.log.event("turned_away", "error", status=refusal.status, requests=len(told), request_ids=told)
