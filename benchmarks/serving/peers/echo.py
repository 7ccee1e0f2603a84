"""A server that does nothing but answer: python -m benchmarks.serving.peers.echo --port 8000 --bytes 400.

What the client reaches against it, on the same two cores, is the most that it could tell of any server.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

from benchmarks.serving.client import run


class Echo(asyncio.Protocol):
    """Answers a whole request with the same bytes."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport, self.data = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        """Answer when the request is whole."""
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        place = self.data.find(b"Content-Length: ")
        if end > 0 and len(self.data) >= end + 4 + int(self.data[place + 16 : self.data.find(b"\r\n", place)]):
            self.data = b""
            self.transport.write(self.answer)


async def serve(port: int) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answer", required=True, help="the JSON to answer with")
    options = parser.parse_args()
    body = options.answer.encode()
    Echo.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    run(serve(options.port))


if __name__ == "__main__":
    main()
