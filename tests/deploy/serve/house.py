"""A server within the test's own process, with a decoding process of its own, asked in process or over its socket."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import numpy as np
import uvloop
from PIL import Image

from striate.deploy import Prediction, Predictor
from striate.deploy.serve.access import Access
from striate.deploy.serve.application import application
from striate.deploy.serve.listener import Listener
from striate.deploy.serve.listening import bind
from striate.deploy.serve.logs import Log
from striate.deploy.serve.model import Served
from striate.deploy.serve.service import Service
from striate.deploy.serve.settings import ServeSettings

PATIENCE = 10.0  # seconds after which a test has failed
T = TypeVar("T")


def png(seed: int = 0, side: int = 12, mode: str = "L") -> bytes:
    shape = (side, side) if mode == "L" else (side, side, 3)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(file, "PNG")
    return file.getvalue()


def form(*files: tuple[str, bytes], boundary: str = "b") -> tuple[bytes, str]:
    """Return a multipart body and its content type, built by hand."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def request(body: bytes = b"", method: str = "POST", target: str = "/predict", **headers: str) -> bytes:
    """Return a request as it goes over the wire; `content_length="x"` and their like replace or add headers."""
    fields = {"host": "127.0.0.1", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


@dataclass
class Answer:
    """What came back over a socket; `closed`: the server ended the connection after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool = False

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


class House:
    """A running server.

    Args:
        predictor: The network, or what stands for one.
        token, settings: As the server's.
    """

    def __init__(
        self, predictor: Predictor, token: str | None = None, warm: bool = True, port: bool = True, **settings: Any
    ) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.settings = ServeSettings.parse({"workers": 1, "port": 0, **settings})
        self.predictor = predictor
        self.log = io.StringIO()
        self._token = token
        self.run(self._start(warm, port))

    async def _start(self, warm: bool, port: bool) -> None:
        self.own_log = Log(self.log)
        self.service = Service(Served(self.predictor), self.settings, self.own_log)
        self.app = application(self.service, Access("127.0.0.1", self.settings.allowed_host, self._token))
        self.listener = None
        if port:
            self.bound = bind("127.0.0.1", 0)
            self.port = self.bound.getsockname()[1]
            self.listener = Listener(self.app, self.service, self.bound)
            await self.listener.listen()
        if warm:
            await self.service.warm_up(self.service.served)
            self.service.warm = True

    def close(self) -> None:
        self.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        if self.listener is not None:
            self.listener.close()
            await self.until(lambda: not self.listener.connections)
            self.bound.close()
        await self.service.close()
        self.own_log.close()
        for _ in range(10):  # what is closed ends in the next turns of the loop
            await asyncio.sleep(0)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def in_time() -> T:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self.runner.run(in_time())

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def ask(self, method: str, target: str, **options: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, target, **options)

        return self.run(once())

    def predict(self, body: bytes, target: str = "/predict", **headers: str) -> httpx.Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", target, content=body, headers=headers)

    def send(self, *pieces: bytes, until_closed: bool = False) -> Answer:
        """Send bytes over a socket and return the first answer."""
        return self.run(self.exchange(*pieces, until_closed=until_closed))

    async def exchange(self, *pieces: bytes, until_closed: bool = False) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
            answer = await read_answer(reader, without_body=pieces[0].startswith(b"HEAD"))
            if until_closed:
                answer.closed = await reader.read(1) == b""
            return answer
        finally:
            writer.close()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for something to become so."""
        while not reached():
            await asyncio.sleep(0.005)

    def logged(self) -> list[dict[str, Any]]:
        """Return every line of the log so far; each has to be a JSON object."""
        self.run(self.until(lambda: not self.own_log._lines))
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def figure(self, name: str) -> float:
        """Return a figure of /metrics."""
        lines = self.ask("GET", "/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


async def read_answer(reader: asyncio.StreamReader, without_body: bool = False) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(0 if without_body else int(headers.get("content-length", 0)))
    return Answer(int(first.split()[1]), headers, body)


class Stand:
    """Stands for a predictor: the pixels' way is the real one's, the answers are what a test wants.

    Args:
        real: For spec and card.
        answer: From pixels and names to predictions.
    """

    def __init__(self, real: Predictor, answer: Callable[[np.ndarray, Sequence[str]], list[Prediction]]) -> None:
        self._real = real
        self.predict_pixels = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
