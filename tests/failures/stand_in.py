"""A small server in the place of Striate's, with a fault if one is asked for: who tests servers must notice it.

    python -m tests.failures.stand_in --port 8000 --answers answers.json --fault drop

It knows some pictures and their answers, takes `--work` milliseconds for each, one after the other, and keeps to the
rules: a bounded queue with 503 and Retry-After, a deadline for receiving, and what was accepted is answered before it
ends by SIGTERM. With `--fault` it breaks one of them:

- drop, error, wrong: one request in a hundred gets no answer, a 500, or the answer to another picture;
- leak: every request leaves 30 KiB behind;
- slow-refusal: a refusal takes 300 ms;
- lose: SIGTERM ends it at once, whatever is under way; linger: SIGTERM does not end it;
- patient: no deadline for receiving;
- stuck: a client that leaves is counted as under way for ever;
- frail: a request that it does not understand is a 500; brittle: it ends the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from hashlib import sha256
from pathlib import Path

FAULTS = (
    "none", "drop", "error", "wrong", "leak", "slow-refusal", "lose", "linger", "patient", "stuck", "frail", "brittle",
)  # fmt: skip
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 408: "Request Timeout", 422: "Unprocessable", 503: "Busy"}


class StandIn:
    """The server's state.

    Args:
        answers: JSON of a prediction by the SHA-256 of the picture's bytes.
        queue: How many pictures may wait.
    """

    def __init__(self, answers: dict[str, str], fault: str, work: float, queue: int, receive: float) -> None:
        self.answers, self.fault, self.work, self.queue, self.receive = answers, fault, work, queue, receive
        self.other = dict(zip(answers, [*list(answers.values())[1:], *list(answers.values())[:1]], strict=True))
        self.under_way = 0
        self.number = 0
        self.free_at = 0.0
        self.leaked: list[bytes] = []
        self.connections: set[Visit] = set()
        self.draining = asyncio.Event()

    def faulty(self, fault: str) -> bool:
        """Return whether this request meets a fault that one in a hundred meets."""
        return self.fault == fault and self.number % 100 == 50


def dechunked(data: bytes, coding: str) -> tuple[bytes, int] | None:
    """Return a body sent in chunks, and how many bytes it took; None while it is not whole."""
    if coding != "chunked":
        raise ValueError("another coding")
    body, place = b"", 0
    while (line := data.find(b"\r\n", place)) >= 0:
        digits = data[place:line]
        if not 0 < len(digits) < 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise ValueError("no length of a chunk")
        length = int(digits, 16)
        place = line + 2 + length + 2
        if len(data) < place:
            return None
        if data[place - 2 : place] != b"\r\n":
            raise ValueError("a chunk of another length")
        if length == 0:
            return body, place
        body += data[line + 2 : place - 2]
    if len(data) > place + 100:
        raise ValueError("no length of a chunk")
    return None


class Visit(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: StandIn) -> None:
        self.server = server
        self.data = b""
        self.busy = False

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.server.connections.add(self)
        self.timer = None
        self._expect()

    def connection_lost(self, error) -> None:
        self.server.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()

    def _expect(self) -> None:
        if self.server.fault != "patient":
            self.timer = asyncio.get_running_loop().call_later(self.server.receive, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.busy:
            return
        try:
            self._read()
        except ValueError as error:
            if self.server.fault == "brittle":
                os._exit(1)
            self._answer(500 if self.server.fault == "frail" else 400, str(error), last=True)

    def _read(self) -> None:
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            if len(self.data) > 8192 or (self.data and not self.data[:1].isalpha()):
                raise ValueError("no head of a request")
            return
        first, *lines = self.data[:end].decode("ascii").split("\r\n")
        method, path, version = first.split(" ")
        if version != "HTTP/1.1" or not path.startswith("/"):
            raise ValueError("no request line")
        pairs = [line.split(":", 1) for line in lines]
        headers = {name.lower(): value.strip() for name, value in pairs}
        if len(headers) != len(pairs) or any(name != name.strip() or not name for name, _ in pairs):
            raise ValueError("a header twice, or without a name")
        if "host" not in headers or ("transfer-encoding" in headers and "content-length" in headers):
            raise ValueError("no host, or two lengths")
        if "transfer-encoding" in headers:
            whole = dechunked(self.data[end + 4 :], headers["transfer-encoding"])
        else:
            text = headers.get("content-length", "0")
            if not text.isdigit() or int(text) > 10_000_000:
                raise ValueError("no length")
            size = int(text)
            whole = None if len(self.data) < end + 4 + size else (self.data[end + 4 : end + 4 + size], size)
        if whole is None:
            return
        body, self.data = whole[0], self.data[end + 4 + whole[1] :]
        if self.timer is not None:
            self.timer.cancel()
        self.busy = True
        self._serve(method, path, body, headers)

    def _serve(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        server, loop, last = self.server, asyncio.get_running_loop(), headers.get("connection") == "close"
        if (method, path) == ("GET", "/metrics"):
            text = f"# TYPE stand_in_requests_under_way gauge\nstand_in_requests_under_way {server.under_way}\n"
            return self._answer(200, text, last)
        if method == "GET" and path in ("/live", "/ready"):
            return self._answer(503 if path == "/ready" and server.draining.is_set() else 200, "{}", last)
        if (method, path) != ("POST", "/predict"):
            return self._answer(404, "{}", last)
        key = sha256(body).hexdigest()
        if key not in server.answers:
            return self._answer(422, "{}", last)
        server.number += 1
        own = f"X-Request-Id: {headers['x-request-id']}\r\n" if "x-request-id" in headers else ""
        if server.under_way >= server.queue:
            delay = 0.3 if server.fault == "slow-refusal" else 0.0
            loop.call_later(delay, self._answer, 503, "{}", last, own + "Retry-After: 1\r\n")
            return None
        if server.fault == "leak":
            server.leaked.append(os.urandom(30_720))
        if server.faulty("drop"):
            return self.transport.close()
        if server.faulty("error"):
            return self._answer(500, "{}", last, own)
        server.under_way += 1
        answer = (server.other if server.faulty("wrong") else server.answers)[key]
        server.free_at = max(server.free_at, loop.time()) + server.work
        loop.call_at(server.free_at, self._worked, answer, last, own)
        return None

    def _worked(self, answer: str, last: bool, own: str) -> None:
        if not (self.server.fault == "stuck" and self.transport.is_closing()):
            self.server.under_way -= 1
        self._answer(200, f'{{"predictions": [{answer}]}}', last, own)

    def _answer(self, status: int, text: str, last: bool, headers: str = "") -> None:
        last = last or self.server.draining.is_set()
        close = "Connection: close\r\n" if last else ""
        body = text.encode()
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\n{headers}{close}Content-Length: {len(body)}\r\n"
        if self.transport.is_closing():
            return
        self.transport.write(f"{head}\r\n".encode() + body)
        self.busy = False
        if last:
            self.transport.close()
        else:
            self._expect()
            if self.data:
                self.data_received(b"")


async def serve(server: StandIn, port: int) -> None:
    """Serve until SIGTERM, and answer what has been accepted."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Visit(server), "127.0.0.1", port, backlog=2048)
    if server.fault != "linger":
        loop.add_signal_handler(signal.SIGTERM, server.draining.set)
    else:
        loop.add_signal_handler(signal.SIGTERM, print)
    await server.draining.wait()
    listener.close()
    while server.under_way and server.fault != "lose":
        await asyncio.sleep(0.005)
    for visit in list(server.connections):
        visit.transport.close()
    await asyncio.sleep(0)


def main() -> None:
    """Serve with the options given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answers", type=Path, required=True, help="JSON: {SHA-256 of a picture: its prediction}")
    parser.add_argument("--fault", choices=FAULTS, default="none")
    parser.add_argument("--work", type=float, default=1.0, help="milliseconds for a picture [1]")
    parser.add_argument("--queue", type=int, default=32, help="pictures that may wait [32]")
    parser.add_argument("--receive-timeout", type=float, default=0.5, help="seconds for receiving a request [0.5]")
    options = parser.parse_args()
    answers = {key: json.dumps(answer) for key, answer in json.loads(options.answers.read_text()).items()}
    server = StandIn(answers, options.fault, options.work / 1000, options.queue, options.receive_timeout)
    asyncio.run(serve(server, options.port))


if __name__ == "__main__":
    main()
