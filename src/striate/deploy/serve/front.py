"""What every request passes, whatever it asks for: its id, who asks, the log line, the counters."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from striate.deploy.serve.access import Access
from striate.deploy.serve.answers import Refusal, own_mistake, refusal_body, shown
from striate.deploy.serve.service import ROUTES, Service

KEY = "striate"  # where a request's Exchange is found in its ASGI scope
CONNECTION = "striate.connection"
CLIENT_GONE = 499  # in the log alone
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ONCE = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"transfer-encoding"})
ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Exchange:
    """One request and what becomes of it.

    Args:
        request_id: Safe to stand anywhere.
        headers: The request's, names in lower case.
        gone: Takes what is to be called when the client goes.
    """

    __slots__ = ("gone", "headers", "pictures", "request_id", "status")

    def __init__(
        self, request_id: str, headers: dict[bytes, bytes], gone: Callable[[Callable[[], None]], None] | None
    ) -> None:
        self.request_id, self.headers, self.gone = request_id, headers, gone
        self.status = 0
        self.pictures = 0


Endpoint = Callable[[Exchange, bytes, Receive], Awaitable[bytes]]  # exchange, query, receive → body


class Front:
    """The outermost ASGI application.

    Args:
        predict: What answers `POST /predict`: FastAPI's way to a route takes longer than all the rest of a request.
        app: What answers everything else.
        service: For its log, its counters, and whether it is ending.
        access: Who may ask.
    """

    def __init__(self, predict: Endpoint, app: ASGIApp, service: Service, access: Access) -> None:
        self._predict, self._app, self._service, self._access = predict, app, service, access
        self._prefix, self._numbers = secrets.token_hex(6), count(1)

    def request_id(self, headers: dict[bytes, bytes]) -> str:
        """Return what a request is called: as its client says, where that can stand anywhere, or by a number."""
        given = headers.get(b"x-request-id")
        theirs = given is not None and _ID.fullmatch(given)
        return theirs[0].decode() if theirs else f"{self._prefix}-{next(self._numbers)}"

    def checked(self, path: str, headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Return a request's headers by name.

        Raises:
            Refusal: 400, one that may stand once stands twice; else who asks may not (`Access`).
        """
        by_name = dict(headers)
        if len(by_name) < len(headers):
            _refuse_twice(headers)
        self._access.check(path, by_name)
        return by_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        began = perf_counter()
        headers = dict(scope["headers"])
        connection = scope.get(CONNECTION)
        request_id = self.request_id(headers)
        exchange = Exchange(request_id, headers, None if connection is None else connection.on_gone)
        scope[KEY] = exchange

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                added = [*message["headers"], *ALWAYS, (b"x-request-id", request_id.encode())]
                if self._service.draining:
                    added.append((b"connection", b"close"))
                message["headers"] = added
            await send(message)

        path: str = scope["path"]
        try:
            self.checked(path, scope["headers"])
            if path == "/predict" and scope["method"] == "POST":
                await send_json(answer, 200, await self._predict(exchange, scope["query_string"], receive))
            else:
                asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # the body is not sent
                await self._app(asked, receive, answer)
        except Refusal as refusal:
            await send_refusal(answer, refusal, request_id)
        except ConnectionError:  # nobody there to be told
            exchange.status = CLIENT_GONE
        except Exception as error:
            self._service.log.event("mistake", "error", request_id=request_id, error=repr(error))
            if not exchange.status:
                await send_refusal(answer, own_mistake(), request_id)
        finally:
            self._note(scope, exchange, path, perf_counter() - began)

    def _note(self, scope: Scope, exchange: Exchange, path: str, seconds: float) -> None:
        service = self._service
        service.metrics.answered(path, exchange.status, seconds)
        client: Any = scope.get("client")
        service.log.request(
            exchange.request_id,
            scope["method"],
            path if path in ROUTES else shown(path),
            exchange.status,
            seconds,
            exchange.pictures,
            client[0] if client else "",
        )


async def send_json(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send an answer of JSON."""
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def send_refusal(send: Send, refusal: Refusal, request_id: str) -> None:
    """Send a refusal as an answer of its own."""
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    if refusal.close:
        headers.append((b"connection", b"close"))
    await send_json(send, refusal.status, refusal_body(refusal, request_id), headers)


def _refuse_twice(headers: list[tuple[bytes, bytes]]) -> None:
    seen = set()
    for name, _ in headers:
        if name in _ONCE and name in seen:
            raise Refusal(400, "header_twice", f"header '{name.decode()}' stands twice", "send it once", close=True)
        seen.add(name)
