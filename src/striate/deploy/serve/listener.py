"""All connections of the server: accepting them, watching how fast they are, ending them without losing a request."""

from __future__ import annotations

import asyncio
import secrets
import socket
from email.utils import formatdate

from uvicorn.config import Config
from uvicorn.server import ServerState

from striate.core.errors import ResourceError
from striate.deploy.serve.answers import Refusal
from striate.deploy.serve.front import Front
from striate.deploy.serve.overload import Overload
from striate.deploy.serve.protocol import Connection
from striate.deploy.serve.service import Service

BACKLOG = 1024
SPARE_FILES = 64  # descriptors for everything but connections
MOST_CONNECTIONS = 10_000
LAST_REQUESTS = 0.5  # seconds in which requests on their way at the end may still arrive on connections that are open


class Listener:
    """What listens at a socket.

    Args:
        front: What answers.
        service: For its settings, log and counters.
        bound: The socket.
    """

    def __init__(self, front: Front, service: Service, bound: socket.socket) -> None:
        self._service, self._bound = service, bound
        self._loop = asyncio.get_running_loop()
        self._seconds = service.settings.receive_timeout
        self._most = min(MOST_CONNECTIONS, _most_files() - SPARE_FILES)
        self._state = ServerState()
        self._overload = Overload(front, service, self._state)
        self._config = Config(
            front,
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=self._seconds,  # type: ignore[arg-type]
        )
        self._config.load()
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None
        service.metrics.gauge("connections", "Connections that are open", lambda: len(self._state.connections))

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        return [connection for connection in self._state.connections if isinstance(connection, Connection)]

    async def listen(self) -> None:
        """Begin: OSError where another listens there."""
        self._watching = self._loop.create_task(self._watch())
        self._server = await self._loop.create_server(self._connection, sock=self._bound, backlog=BACKLOG)

    async def drain(self, until: float) -> None:
        """Take no more connections, and answer what has been accepted and what arrives on those that are open.

        Args:
            until: When to give up, by the event loop's clock.
        """
        assert self._server is not None
        waiting = []
        while True:  # whoever has connected already is served: closing the socket would refuse them
            try:
                waiting.append(self._bound.accept()[0])
            except OSError:
                break
        self._server.close()
        for accepted in waiting:
            await self._loop.connect_accepted_socket(self._connection, accepted)
        patient = min(self._loop.time() + LAST_REQUESTS, until)
        while self._state.connections and self._loop.time() < until:
            if self._loop.time() > patient:
                for connection in self.connections:
                    connection.retire()
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Cut off what is left."""
        if self._watching is not None:
            self._watching.cancel()
        if self._server is not None:
            self._server.close()
        for connection in self.connections:
            connection.transport.abort()

    def _connection(self) -> Connection:
        return Connection(
            self._config, self._state, self._loop, self._seconds, self._most, self._refused, self._overload
        )

    async def _watch(self) -> None:
        """Look after all connections: who is too slow; and keep the date that answers bear."""
        pause = min(0.25, self._seconds / 10)
        while True:
            self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            now = self._loop.time()
            for connection in self.connections:
                connection.sweep(now)
            await asyncio.sleep(pause)

    def _refused(self, refusal: Refusal) -> str:
        request_id = secrets.token_hex(8)
        self._service.metrics.refused_early.inc()
        self._service.log.event("refused", request_id=request_id, status=refusal.status, code=refusal.code)
        return request_id


def _most_files() -> int:
    """Return how many files may be open, having asked for as many as are wanted; ResourceError: too few."""
    try:
        import resource
    except ImportError:  # not on this system
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if max(soft, allowed) < 2 * SPARE_FILES:
        raise ResourceError(f"only {allowed} files may be open", where="ulimit -n", fix="ulimit -n 1024")
    return max(soft, allowed)
